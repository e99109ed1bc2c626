//! The thread that owns the eBPF dataplane: its calls block. Brings maps and uplinks to the newest order and reports what
//! was read back. Decides nothing about Services.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sart_dataplane::desired::{DesiredTables, DesiredVip, Endpoint, Protocol, ServiceRef, VipId};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::dataplane::{Applied, Config, Dataplane, OpenError, PodPath, VipError};
use crate::event::Event;
use crate::node::{Backend, Forwarding, ForwardingPlan, Row, Rows, Transport, Uplinks, VipPort};

/// First wait before a refused open is tried again; doubles up to [`LONGEST_WAIT`]. kube-proxy serves meanwhile.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// First wait before rows or links that the kernel refused are tried again; doubles up to [`AUDIT`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Between two looks at what nobody ordered to change.
const AUDIT: Duration = Duration::from_secs(30);

type Orders = watch::Receiver<Option<ForwardingPlan>>;

/// Starts the thread; `pods` learns from it what carries the packets of pods.
pub fn spawn(
    config: Config,
    pods: PodPath,
    mut orders: Orders,
    events: Sender<Event>,
) -> std::io::Result<()> {
    let runtime = Handle::current();
    let run = move || {
        if let Some(dataplane) = open(&runtime, &config, &pods, (&mut orders, &events)) {
            follow(&runtime, dataplane, orders, &events);
        }
    };
    std::thread::Builder::new().name("dataplane".to_owned()).spawn(run).map(drop)
}

/// Tries until the kernel takes the programs; nothing when the engine is gone. Pods need no order of the engine.
fn open(
    runtime: &Handle,
    config: &Config,
    pods: &PodPath,
    (orders, events): (&mut Orders, &Sender<Event>),
) -> Option<Dataplane> {
    let mut wait = FIRST_WAIT;
    loop {
        let error = match Dataplane::open(config.clone()) {
            Ok(mut dataplane) => {
                info!(pins = %config.pin_root.display(), "the kernel runs our programs");
                if let Err(error) = pods.serve(&mut dataplane) {
                    warn!(reason = error.reason(), %error, "pods are left to the kernel's routing");
                }
                return Some(dataplane);
            }
            Err(error) => error,
        };
        pods.route(&error);
        // The first answer belongs to an order: before one there is nothing whose absence could be judged.
        runtime.block_on(orders.wait_for(Option::is_some)).ok()?;
        events.blocking_send(Event::Forwarding(refused(&error))).ok()?;
        // The second refusal is no accident, and by now every VIP without another proof is withdrawn.
        if wait > FIRST_WAIT {
            leave_to_kube_proxy(config);
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn follow(runtime: &Handle, dataplane: Dataplane, mut orders: Orders, events: &Sender<Event>) {
    if runtime.block_on(orders.wait_for(Option::is_some)).is_err() {
        return;
    }
    let mut owner = Owner {
        dataplane,
        uplinks: Uplinks::new(),
        attached: Vec::new(),
        all_attached: false,
        looked_at: None,
    };
    orders.mark_changed();
    let mut last = Forwarding::Unknown;
    let mut wait = FIRST_RETRY;
    while runtime.block_on(next(&mut orders, wait)) {
        let Some(order) = orders.borrow_and_update().clone() else { continue };
        let report = owner.follow(&order);
        wait = if owner.reached(&report) { AUDIT } else { (wait * 2).min(AUDIT) };
        if report != last && events.blocking_send(Event::Forwarding(report.clone())).is_err() {
            return;
        }
        last = report;
    }
}

/// Waits for a new order, or until the last one is to be looked at again; false when the engine is gone.
async fn next(orders: &mut Orders, wait: Duration) -> bool {
    match tokio::time::timeout(wait, orders.changed()).await {
        Ok(changed) => changed.is_ok(),
        Err(_) => true,
    }
}

/// Programs of an earlier agent would send packets to the pods it knew: without control over the maps they have to go.
fn leave_to_kube_proxy(config: &Config) {
    if let Err(error) = Dataplane::remove_all(&config.pin_root) {
        let pins = config.pin_root.display();
        warn!(%pins, %error, "programs of an earlier agent stay attached: remove the folder by hand");
    }
}

fn refused(error: &OpenError) -> Forwarding {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Forwarding::Refused { reason: error.reason().to_owned(), message: format!("{error}{cause}") }
}

struct Owner {
    dataplane: Dataplane,
    uplinks: Uplinks,
    attached: Vec<String>,
    all_attached: bool,
    looked_at: Option<Instant>,
}

impl Owner {
    /// Maps first, so that a freshly attached program finds its rows. Links are looked at when they change, and now and then
    /// because someone may have detached us.
    fn follow(&mut self, order: &ForwardingPlan) -> Forwarding {
        let applied = self.dataplane.apply(&tables(&order.rows));
        let stale = self.looked_at.is_none_or(|at| at.elapsed() >= AUDIT);
        if stale || !self.all_attached || self.uplinks != order.uplinks {
            self.attach(&order.uplinks);
        }
        let mut report = report(&order.rows, &applied, self.attached.clone());
        if let Forwarding::Serving { degraded, .. } = &mut report {
            *degraded = degradation(&self.dataplane);
        }
        report
    }

    /// The order stands in the kernel as a whole.
    fn reached(&self, report: &Forwarding) -> bool {
        self.all_attached && matches!(report, Forwarding::Serving { refused, .. } if refused.is_empty())
    }

    fn attach(&mut self, uplinks: &Uplinks) {
        let names: Vec<String> = uplinks.keys().cloned().collect();
        let results = self.dataplane.set_uplinks(&names);
        self.attached.clear();
        for name in names {
            match results.get(&name) {
                Some(Ok(())) => self.attached.push(name),
                Some(Err(error)) => {
                    warn!(uplink = name, reason = error.reason(), %error, "uplink without our programs");
                }
                None => warn!(uplink = name, "the dataplane said nothing about the uplink"),
            }
        }
        self.all_attached = self.attached.len() == uplinks.len();
        self.uplinks = uplinks.clone();
        self.looked_at = Some(Instant::now());
    }
}

/// What does not run as this agent would have it: reason and message for the condition.
fn degradation(dataplane: &Dataplane) -> Option<(&'static str, String)> {
    if let Some(why) = dataplane.degraded() {
        let message = format!("programs of an earlier agent serve, because this one's were refused: {why}");
        return Some(("EarlierPrograms", message));
    }
    let why = dataplane.plain_pods()?;
    Some(("PodsRouted", format!("pods are left to plain routing, their sources are not judged: {why}")))
}

fn tables(rows: &Rows) -> DesiredTables {
    let vip = |(vip, row): (&VipPort, &Row)| {
        Some(DesiredVip {
            id: vip_id(vip)?,
            service: ServiceRef {
                namespace: row.service.namespace.to_string(),
                name: row.service.name.to_string(),
            },
            endpoints: row.backends.iter().filter_map(endpoint).collect(),
        })
    };
    DesiredTables { vips: rows.iter().filter_map(vip).collect() }
}

/// The maps hold IPv4, TCP and UDP; the plan asks for nothing else.
fn vip_id(vip: &VipPort) -> Option<VipId> {
    let IpAddr::V4(addr) = vip.address else { return None };
    let protocol = match vip.transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
        Transport::Sctp => return None,
    };
    Some(VipId { addr, port: vip.port, protocol })
}

fn endpoint(backend: &Backend) -> Option<Endpoint> {
    let IpAddr::V4(addr) = backend.socket.ip() else { return None };
    let Backend { identity, draining, .. } = *backend;
    Some(Endpoint { addr, port: backend.socket.port(), identity, draining })
}

fn report(rows: &Rows, applied: &Applied, attached: Vec<String>) -> Forwarding {
    let mut programmed = Rows::new();
    let mut refused = BTreeMap::new();
    for (vip, row) in rows {
        match vip_id(vip).and_then(|id| applied.programmed.get(&id)) {
            Some(Ok(_) | Err(VipError::NoEndpoint { .. })) => {
                programmed.insert(*vip, row.clone());
            }
            Some(Err(error)) => {
                warn!(%vip, reason = error.reason(), %error, "the maps do not serve a VIP");
                refused.insert(*vip, error.to_string());
            }
            None => {
                refused.insert(*vip, "the dataplane said nothing about it".to_owned());
            }
        }
    }
    Forwarding::Serving { rows: programmed, refused, attached, degraded: None }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::node::ObjectKey;

    fn rows() -> Rows {
        let backend = Backend { socket: ([10, 1, 0, 2], 8080).into(), identity: 7, draining: false };
        let vip = VipPort { address: [10, 0, 1, 0].into(), transport: Transport::Udp, port: 53 };
        Rows::from([(vip, Row { service: ObjectKey::new("ns", "dns"), backends: [backend].into() })])
    }

    #[test]
    fn rows_become_tables_with_service_and_identity() {
        let tables = tables(&rows());
        assert_eq!(tables.vips[0].id.to_string(), "10.0.1.0:53/UDP");
        assert_eq!(tables.vips[0].service.to_string(), "ns/dns");
        let expected =
            Endpoint { addr: Ipv4Addr::new(10, 1, 0, 2), port: 8080, identity: 7, draining: false };
        assert_eq!(tables.vips[0].endpoints, [expected]);
    }

    #[test]
    fn only_a_row_that_was_read_back_counts_as_programmed() {
        let rows = rows();
        let silent = report(&rows, &Applied::default(), vec!["eth0".into()]);
        let Forwarding::Serving { rows: programmed, refused, .. } = silent else { panic!("serving") };
        assert!(programmed.is_empty() && refused.len() == 1);
        let id = vip_id(rows.keys().next().unwrap()).unwrap();
        let mut applied = Applied::default();
        applied.programmed.insert(id, Ok(1));
        let Forwarding::Serving { rows: programmed, refused, .. } = report(&rows, &applied, Vec::new())
        else {
            panic!("serving")
        };
        assert_eq!((programmed, refused.len()), (rows, 0));
    }
}
