//! Forgets the tracked flows of addresses that were let go, so that a client which goes on sending is not led to a pod that
//! is gone, or to the one that comes after it (plugins#1277). Works beside the DELs, never in them, and well before an
//! address has cooled down: one reading of the kernel's table for all that were let go meanwhile.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sart_netlink::{ConntrackHandle, Tracked};

use super::network::NetworkError;

/// Others that leave at the same time go along.
const GATHER: Duration = Duration::from_millis(250);
/// How much longer than a reading the rest after it is: a large table keeps no CPU busy while many pods leave.
const REST: u32 = 4;
/// The longest rest: well below the cool-down.
const LONGEST: Duration = Duration::from_secs(20);
/// For so long it is tried: then the address may have cooled down, and its flows be another pod's.
const PATIENCE: Duration = Duration::from_secs(100);
/// RFC 9293: a connection whose other end is gone is reset, and a new one begins with a segment that says so.
const TCP: u8 = 6;

/// Addresses whose flows are to be forgotten.
#[derive(Debug, Default)]
pub struct OldFlows {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// With the time at which it is too late.
    released: BTreeMap<IpAddr, Instant>,
    /// The rest after the last reading.
    rest: Duration,
    /// The last try failed: the next one takes its time.
    failed: bool,
    closed: bool,
}

impl OldFlows {
    /// These addresses were let go. Wakes whoever [waits](Self::wait).
    pub fn push(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let late = Instant::now() + PATIENCE;
        let mut state = self.lock();
        state.released.extend(addresses.into_iter().map(|address| (address, late)));
        self.changed.notify_all();
    }

    /// Waits until there is something to do and the others have had time to come along, or until `idle` has passed.
    pub fn wait(&self, idle: Duration) {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), idle, |state| {
                !state.closed && (state.failed || state.released.is_empty())
            })
            .unwrap_or_else(PoisonError::into_inner);
        if !state.released.is_empty() {
            let pause = GATHER.max(state.rest);
            drop(self.changed.wait_timeout_while(state, pause, |state| !state.closed));
        }
    }

    /// Nobody waits from now on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Deletes what the kernel tracks of the addresses in this thread's network namespace; returns how many entries that
    /// were. After a failure the same ones are tried again the next time.
    ///
    /// # Errors
    /// The kernel's table cannot be read or changed.
    pub fn forget(&self) -> Result<usize, NetworkError> {
        let released = self.lock().released.clone();
        if released.is_empty() {
            return Ok(0);
        }
        let begun = Instant::now();
        let forgotten = ConntrackHandle::open()
            .map_err(NetworkError::from)
            .and_then(|mut table| Ok(table.delete(|tracked| is_old(tracked, &released))?));
        let now = Instant::now();
        let mut state = self.lock();
        state.rest = (now - begun).saturating_mul(REST).min(LONGEST);
        state.failed = forgotten.is_err();
        let failed = state.failed;
        // One that was let go once more meanwhile has another time, and is for the next time.
        let is_new = |address: &IpAddr, late: &Instant| released.get(address) != Some(late);
        state.released.retain(|address, late| is_new(address, late) || failed && *late > now);
        forgotten
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a flow is one of the addresses', and of a protocol in which nobody would notice that the other end is gone.
fn is_old(tracked: &Tracked, released: &BTreeMap<IpAddr, Instant>) -> bool {
    tracked.protocol != TCP && tracked.addresses.iter().any(|address| released.contains_key(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 1));

    fn tracked(protocol: u8, last: [u8; 4]) -> Tracked {
        let addresses = [[192, 0, 2, 9], [192, 0, 2, 1], last, [192, 0, 2, 9]].map(IpAddr::from);
        Tracked { protocol, addresses: addresses.to_vec() }
    }

    #[test]
    fn flows_of_all_protocols_but_tcp_are_old_wherever_the_address_stands_in_them() {
        let released = BTreeMap::from([(GONE, Instant::now())]);
        for protocol in [1, 17, 58, 132, 136] {
            assert!(is_old(&tracked(protocol, [10, 1, 0, 1]), &released), "{protocol}");
            assert!(!is_old(&tracked(protocol, [10, 1, 0, 2]), &released), "{protocol}");
        }
        assert!(!is_old(&tracked(TCP, [10, 1, 0, 1]), &released));
    }

    #[test]
    fn the_waiting_ends_with_an_address_with_the_closing_and_by_itself() {
        let flows = OldFlows::default();
        let begun = Instant::now();
        flows.wait(Duration::from_millis(1));
        flows.push([GONE]);
        flows.wait(Duration::from_secs(600));
        flows.close();
        flows.wait(Duration::from_secs(600));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}
