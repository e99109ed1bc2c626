//! The kernel's side of an attachment, as calls that do one step each. Touches only links whose alias is ours and routes
//! with the protocol id for pods.

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use std::os::fd::AsFd as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use sart_fib::route::{Leg, Route, RouteKey, TABLE_MAIN};
use sart_fib::{KernelRoute, RouteAction};
use sart_netlink::blocking::BlockingHandle;
use sart_netlink::pod::{Neighbour, PairLink, Veth, Write};
use sart_netlink::{ActionFailure, OpenError, RequestError};

use super::attachment::{self, ALIAS, Attachment};

/// Links about to be deleted together carry it (`sart` in ASCII).
const GROUP: u32 = 0x7361_7274;
/// The MTU where no link says more: Ethernet's.
const MTU: u32 = 1500;

/// What arrived with an ADD or a CHECK.
#[derive(Debug)]
pub struct Sandbox {
    /// The pod's network namespace.
    pub namespace: OwnedFd,
    /// A route socket that speaks for it.
    pub socket: BlockingHandle,
}

/// The kernel refused or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No socket.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A call failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// One write of several was refused.
    #[error("cannot {what}: {failure}")]
    Write {
        /// What they were for.
        what: &'static str,
        /// The first refusal.
        failure: ActionFailure,
    },
    /// The name is taken, in the pod or on the host.
    #[error("the link exists already")]
    Exists,
    /// A link has our name but not our alias.
    #[error("link {link} exists and belongs to `{alias}`, not to {wanted}")]
    Foreign {
        /// Its name.
        link: String,
        /// Its alias.
        alias: String,
        /// Whose it should be.
        wanted: String,
    },
    /// Deletion in company failed.
    #[error("cannot delete link {link}: {message}")]
    Delete {
        /// Which.
        link: String,
        /// The kernel's answer to all of them.
        message: String,
    },
}

/// What the node's kernel has of us.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Links with our alias.
    pub links: Vec<PairLink>,
    /// Routes with the protocol id for pods.
    pub routes: Vec<KernelRoute>,
    /// Permanent neighbours of those links.
    pub neighbours: Vec<Neighbour>,
}

/// Makes the pair, the host's end up.
pub fn link(attachment: &Attachment, sandbox: &Sandbox) -> Result<PairLink, NetworkError> {
    let name = attachment.link();
    let alias = attachment::alias(&attachment.key);
    let veth = Veth {
        host: &name,
        host_mac: attachment.host_mac,
        alias: &alias,
        pod: &attachment.key.ifname,
        pod_mac: attachment.pod_mac,
        netns: sandbox.namespace.as_fd(),
        mtu: attachment.mtu,
    };
    let mut host = BlockingHandle::open()?;
    match host.create_veth(&veth) {
        Err(error) if error.errno() == Some(libc_eexist()) => {}
        made => return Ok(made?),
    }
    // Either the pod has such a link, or a crash left ours: the latter may go.
    match host.link_named(&name)? {
        Some(left) if left.alias == alias => {
            host.delete_link(&name)?;
            host.create_veth(&veth).map_err(|error| match error.errno() {
                Some(errno) if errno == libc_eexist() => NetworkError::Exists,
                _ => error.into(),
            })
        }
        Some(other) => Err(NetworkError::Foreign { link: name, alias: other.alias, wanted: alias }),
        None => Err(NetworkError::Exists),
    }
}

const fn libc_eexist() -> i32 {
    nix::errno::Errno::EEXIST as i32
}

/// Brings the pod's end up and gives the pod its addresses, its gateways' neighbour entries, and its default routes: in this order, in one datagram.
pub fn configure(attachment: &Attachment, sandbox: &mut Sandbox) -> Result<(), NetworkError> {
    let mut writes = vec![Write::Up { ifindex: attachment.pod_ifindex }];
    writes.extend(attachment.ips().flat_map(|address| inside(attachment, address)));
    written("configure the pod's link", sandbox.socket.write(&writes)?)
}

/// Writes the gateways' neighbour entries of the pod anew.
pub fn find_gateways(attachment: &Attachment, sandbox: &mut Sandbox) -> Result<(), NetworkError> {
    let writes: Vec<_> = attachment.ips().map(|address| gateway_neighbour(attachment, address)).collect();
    written("lead the pod to its gateways", sandbox.socket.write(&writes)?)
}

fn gateway_neighbour(attachment: &Attachment, address: IpAddr) -> Write {
    let ifindex = attachment.pod_ifindex;
    Write::Neighbour { ifindex, address: attachment::gateway(address), mac: attachment.host_mac }
}

fn inside(attachment: &Attachment, address: IpAddr) -> [Write; 3] {
    let ifindex = attachment.pod_ifindex;
    [
        Write::Address { ifindex, address: attachment::host_prefix(address) },
        gateway_neighbour(attachment, address),
        Write::Route(RouteAction::Add(default_route(address, ifindex))),
    ]
}

/// The pod's way out. `RTPROT_BOOT`, like any route of a container.
#[must_use]
pub fn default_route(address: IpAddr, ifindex: u32) -> Route {
    let (prefix, metric) = match address {
        IpAddr::V4(_) => (ipnet::IpNet::V4(ipnet::Ipv4Net::default()), 0),
        // What the kernel makes of 0 in IPv6.
        IpAddr::V6(_) => (ipnet::IpNet::V6(ipnet::Ipv6Net::default()), 1024),
    };
    // No address of the pod covers the IPv4 gateway, so the kernel has to be told that it is on the link.
    let leg =
        Leg { gateway: Some(attachment::gateway(address)), ifindex, weight: 1, onlink: address.is_ipv4() };
    Route::unicast(RouteKey { table: TABLE_MAIN, prefix, metric }, sart_fib::route::PROTOCOL_BOOT, vec![leg])
}

/// Leads the pod's addresses to its link.
pub fn route(attachment: &Attachment) -> Result<(), NetworkError> {
    let writes: Vec<_> = attachment.ips().flat_map(|address| outside(attachment, address)).collect();
    written("lead the node to the pod", BlockingHandle::open()?.write(&writes)?)
}

fn outside(attachment: &Attachment, address: IpAddr) -> [Write; 2] {
    let ifindex = attachment.ifindex;
    [
        Write::Neighbour { ifindex, address, mac: attachment.pod_mac },
        Write::Route(RouteAction::Replace(attachment::route(address, ifindex))),
    ]
}

fn written(what: &'static str, failures: Vec<ActionFailure>) -> Result<(), NetworkError> {
    failures.into_iter().next().map_or(Ok(()), |failure| Err(NetworkError::Write { what, failure }))
}

/// The host's end, if it is there and ours.
pub fn find(attachment: &attachment::AttachmentKey) -> Result<Option<PairLink>, NetworkError> {
    let found = named(&attachment::link_name(attachment))?;
    Ok(found.filter(|link| link.alias == attachment::alias(attachment)))
}

/// The link of that name, whoever's it is.
pub fn named(link: &str) -> Result<Option<PairLink>, NetworkError> {
    Ok(BlockingHandle::open()?.link_named(link)?)
}

/// Everything of ours on this node.
pub fn observe() -> Result<Observed, NetworkError> {
    let mut host = BlockingHandle::open()?;
    let mut links = host.pair_links()?;
    links.retain(|link| link.alias.starts_with(ALIAS));
    let mut routes = host.all_routes()?;
    routes.retain(|found| found.route.protocol == sart_fib::route::PROTOCOL_POD);
    let mut neighbours = host.permanent_neighbours()?;
    neighbours.retain(|neighbour| links.iter().any(|link| link.link.index == neighbour.ifindex));
    Ok(Observed { links, routes, neighbours })
}

/// Deletes a route of ours.
pub fn unroute(route: &Route) -> Result<(), NetworkError> {
    let mut host = BlockingHandle::open()?;
    let mut failures = host.write(&[Write::Route(RouteAction::Delete(route.clone()))])?;
    failures.retain(|failure| failure.refusal.errno != nix::errno::Errno::ESRCH as i32);
    written("delete a stale route", failures)
}

/// MTU of the link that leads out of the node (the smaller one if each family has its own); of what else there is where no
/// default route says which. Never the loopback's.
pub fn uplink_mtu() -> Result<u32, NetworkError> {
    let mut host = BlockingHandle::open()?;
    // Addresses for documentation (RFC 5737, RFC 3849): nobody has a better route to them than the default.
    let outside = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])];
    let usable = |link: &PairLink| !link.link.loopback && link.link.mtu >= 1280;
    let mut named = Vec::new();
    for address in outside {
        if let Some(ifindex) = host.link_towards(address)? {
            named.extend(host.link_at(ifindex)?.filter(usable));
        }
    }
    if named.is_empty() {
        named = host.pair_links()?;
        named.retain(|link| usable(link) && link.link.up && !link.alias.starts_with(ALIAS));
    }
    Ok(named.iter().map(|link| link.link.mtu).min().unwrap_or(MTU))
}

/// Deletes links. Deletions that come while one runs go together in the next: each would wait for the same grace periods of
/// the kernel.
#[derive(Debug, Default)]
pub struct Remover {
    state: Mutex<Removals>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Removals {
    waiting: Vec<String>,
    round: u64,
    running: bool,
    /// Failure of each round that somebody may still ask for.
    failures: std::collections::BTreeMap<u64, String>,
}

impl Remover {
    /// Deletes the link and returns when it is gone; that it is gone already is no error.
    pub fn remove(&self, link: &str) -> Result<(), NetworkError> {
        let mut state = self.lock();
        state.waiting.push(link.to_owned());
        // The round that will take it: the next one to begin.
        let round = state.round + 1;
        while state.running && state.round < round {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.round < round {
            state = self.run(state);
        } else {
            while state.running && state.round == round {
                state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        match state.failures.get(&round) {
            None => Ok(()),
            Some(message) => Err(NetworkError::Delete { link: link.to_owned(), message: message.clone() }),
        }
    }

    fn run<'a>(&'a self, mut state: MutexGuard<'a, Removals>) -> MutexGuard<'a, Removals> {
        let links = std::mem::take(&mut state.waiting);
        state.round += 1;
        state.running = true;
        let round = state.round;
        drop(state);
        let result = delete(&links);
        let mut state = self.lock();
        state.running = false;
        if let Err(error) = result {
            state.failures.insert(round, error.to_string());
        }
        // Whoever waited for a round of long ago has read it.
        state.failures.retain(|failed, _| failed + 64 > round);
        self.ended.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, Removals> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delete(links: &[String]) -> Result<(), NetworkError> {
    let mut host = BlockingHandle::open()?;
    match links {
        [one] => host.delete_link(one).map(drop)?,
        many => host.delete_links(&many.iter().map(String::as_str).collect::<Vec<_>>(), GROUP)?,
    }
    Ok(())
}

impl NetworkError {
    /// Label for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Request(error) => error.reason(),
            Self::Write { .. } => "refused",
            Self::Exists => "exists",
            Self::Foreign { .. } => "foreign",
            Self::Delete { .. } => "delete",
        }
    }
}
