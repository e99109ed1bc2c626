//! Every component but the speaker is killed while nothing changes: no Service may be written and no UPDATE sent. (A
//! speaker that dies takes its sessions with it; RFC 4724 is what will cover that.)

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::audit::service_writes;
use super::sart::{kill_everywhere, node_conditions, nodes, rolled_out};
use crate::Lab;
use crate::audit::Mark;
use crate::lab::topology::SPINES;
use crate::wait::{Patience, until};

/// Killed programs with the workload that starts each again.
const KILLED: [(&str, &str); 3] = [
    ("sart-controller", "deployment/sart-controller"),
    ("sart-agent", "daemonset/sartd-agent"),
    ("sart-fibd", "daemonset/sartd-bgp"),
];
/// What a restart would have changed shows within this time: a status is written at most once a second.
const SETTLED: Patience =
    Patience { limit: Duration::from_secs(120), pause: Duration::from_secs(1), in_a_row: 6 };

/// Kills each component everywhere and waits until it runs again.
pub(super) fn quiet(lab: &Lab) -> Result<String> {
    let before = settled_updates(lab)?;
    let mark = Mark::now(&lab.layout.file("audit.log"))?;
    let mut killed = 0;
    for (program, workload) in KILLED {
        let here = kill_everywhere(lab, &nodes(lab), program)?;
        ensure!(here > 0, "no {program} was running");
        killed += here;
        rolled_out(lab, workload)?;
    }
    node_conditions(lab, "Dataplane", "True")?;
    let after = settled_updates(lab)?;
    let writes = service_writes(&mark)?;
    ensure!(writes.is_empty(), "Services were written: {}", writes.join("; "));
    ensure!(after == before, "the spines had {before} UPDATEs before and {after} after");
    Ok(format!("{killed} processes killed; 0 writes to Services, 0 UPDATEs (the spines count {after})"))
}

/// UPDATEs that the spines have received from the nodes, once the number stays.
fn settled_updates(lab: &Lab) -> Result<u64> {
    let mut last = None;
    until("the number of UPDATEs stays", SETTLED, || {
        let counted = updates(lab)?;
        ensure!(last.replace(counted) == Some(counted), "the spines went on to {counted}");
        Ok(counted)
    })
}

fn updates(lab: &Lab) -> Result<u64> {
    let mut sum = 0;
    for spine in SPINES {
        let neighbors = lab.ask(spine.name, "show bgp neighbors json")?;
        for node in &lab.topology.nodes {
            let address = node.uplink(&spine).to_string();
            let received = neighbors.get(&address).and_then(|n| n.pointer("/messageStats/updatesRecv"));
            let received = received.and_then(Value::as_u64);
            sum += received.with_context(|| format!("{} counts nothing from {address}", spine.name))?;
        }
    }
    Ok(sum)
}
