//! Counts the TCP segments that never arrived, by the counters of both ends' kernels (snmp_counter.rst of Linux). A clock
//! cannot tell: where the processors are busy elsewhere an answer is late though nothing was lost, and a lost segment with
//! data is sent again before anybody would call the answer late.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::machine::Machine;
use crate::lab::node::pod_process;
use crate::lab::topology::CLIENT_NAME;
use crate::wait::{Patience, until};
use crate::{Lab, exec};

/// A segment is sent again 200 ms (TCP_RTO_MIN of Linux) after it was lost at the earliest, but for what later ones uncover:
/// three equal readings span more.
const REST: Patience = Patience::stable(Duration::from_secs(30));

/// Network namespaces between which connections run, and no others do.
#[derive(Debug)]
pub(in crate::trials) struct Ends(Vec<End>);

#[derive(Debug)]
struct End {
    machine: Machine,
    /// A process in the namespace, as the machine's process ids go.
    process: String,
}

/// What the kernels of all ends have counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Segments {
    /// Sent once more: tcpRetransSegs (RFC 4022).
    sent_again: u64,
    /// Arrived once more, which the receiver tells the sender (RFC 2883): what was sent again in vain.
    arrived_again: u64,
}

impl Ends {
    /// The client, and pods by their node and name.
    ///
    /// # Errors
    /// If a pod has no process.
    pub(in crate::trials) fn of(lab: &Lab, namespace: &str, pods: &[(String, String)]) -> Result<Self> {
        let mut ends = vec![End { machine: lab.machine(CLIENT_NAME)?, process: "1".to_owned() }];
        for (node, pod) in pods {
            let machine = lab.machine(node)?;
            let process = pod_process(&machine, namespace, pod)?;
            ends.push(End { machine, process });
        }
        Ok(Self(ends))
    }

    /// What they have counted, as soon as no connection sends anything again.
    ///
    /// # Errors
    /// If a namespace is gone, or they do not come to rest.
    pub(super) fn at_rest(&self) -> Result<Segments> {
        let mut last = Segments::default();
        until("the TCP counters of client and pods at rest", REST, || {
            let now = self.count()?;
            ensure!(std::mem::replace(&mut last, now) == now, "segments are sent again");
            Ok(now)
        })
    }

    fn count(&self) -> Result<Segments> {
        self.0.iter().try_fold(Segments::default(), |sum, end| {
            let counted = end.count().with_context(|| format!("TCP counters on {}", end.machine.name))?;
            Ok(Segments {
                sent_again: sum.sent_again + counted.sent_again,
                arrived_again: sum.arrived_again + counted.arrived_again,
            })
        })
    }
}

impl End {
    fn count(&self) -> Result<Segments> {
        let folder = format!("/proc/{}/net", self.process);
        let files = [format!("{folder}/snmp"), format!("{folder}/netstat")];
        Segments::read(&exec::stdout(self.machine.command("cat").args(files))?)
    }
}

impl Segments {
    fn read(text: &str) -> Result<Self> {
        let of = |group: &str, name: &str| {
            counter(text, group, name).with_context(|| format!("the kernel tells no {group} {name}"))
        };
        Ok(Self {
            sent_again: of("Tcp:", "RetransSegs")?,
            arrived_again: of("TcpExt:", "TCPDSACKOldSent")? + of("TcpExt:", "TCPDSACKOfoSent")?,
        })
    }

    /// How many were lost since.
    pub(super) const fn lost_since(self, before: Self) -> u64 {
        let again = self.sent_again.saturating_sub(before.sent_again);
        again.saturating_sub(self.arrived_again.saturating_sub(before.arrived_again))
    }
}

/// A counter of /proc/net/snmp or /proc/net/netstat: a line of names, and one of as many numbers, behind the same group.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.split_ascii_whitespace().next() == Some(group));
    let names = lines.next()?.split_ascii_whitespace();
    let numbers = lines.next()?.split_ascii_whitespace();
    names.zip(numbers).find(|(found, _)| *found == name)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "Ip: Forwarding\nIp: 1\nTcp: RtoMax MaxConn RetransSegs InErrs\nTcp: 120000 -1 12 0\n\
                        TcpExt: TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv\nTcpExt: 4 1 9\n";

    #[test]
    fn the_counters_are_found_by_group_and_name() {
        assert_eq!(Segments::read(TOLD).unwrap(), Segments { sent_again: 12, arrived_again: 5 });
        let missing = Segments::read("Tcp: RetransSegs\nTcp: 3\n").unwrap_err();
        assert_eq!(missing.to_string(), "the kernel tells no TcpExt: TCPDSACKOldSent");
    }

    #[test]
    fn lost_is_what_was_sent_again_and_did_not_arrive_twice() {
        let before = Segments { sent_again: 100, arrived_again: 40 };
        let after = |sent_again, arrived_again| Segments { sent_again, arrived_again };
        assert_eq!(before.lost_since(before), 0);
        assert_eq!(after(127, 67).lost_since(before), 0, "an end that waits too briefly loses nothing");
        assert_eq!(after(112, 46).lost_since(before), 6);
        assert_eq!(after(101, 40).lost_since(before), 1);
    }
}
