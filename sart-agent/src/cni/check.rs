//! CHECK: what was promised beside what is there, and a code of its own for each thing that is missing. What later plugins
//! added is not looked at.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sart_cni::failure::{Failure, code};
use sart_cni::result::Attached;
use sart_cni::wire::Request;
use sart_fib::KernelRoute;
use sart_netlink::blocking::BlockingHandle;
use sart_netlink::pod::{Neighbour, PairLink};
use sart_netlink::{Address, RequestError};

use super::answer;
use super::attachment::{self, Attachment, AttachmentKey};
use super::journal::Record;
use super::machine::{Machine, busy};
use super::network::{self, NetworkError, Sandbox, default_route};
use super::ports::PodPort;

/// For an ADD or DEL of the same attachment to end.
const TURN: Duration = Duration::from_secs(5);

/// What one namespace shows of an attachment.
#[derive(Debug, Clone)]
pub struct Side {
    /// The link of that name.
    pub link: Option<PairLink>,
    /// All addresses.
    pub addresses: Vec<Address>,
    /// All routes.
    pub routes: Vec<KernelRoute>,
    /// All permanent neighbours.
    pub neighbours: Vec<Neighbour>,
}

impl Side {
    /// Reads a namespace through a socket of it.
    pub fn read(socket: &mut BlockingHandle, link: &str) -> Result<Self, RequestError> {
        Ok(Self {
            link: socket.link_named(link)?,
            addresses: socket.all_addresses()?,
            routes: socket.all_routes()?,
            neighbours: socket.permanent_neighbours()?,
        })
    }

    fn has_neighbour(&self, ifindex: u32, address: IpAddr, mac: [u8; 6]) -> bool {
        self.neighbours.contains(&Neighbour { ifindex, address, mac })
    }

    fn has_route(&self, wanted: &sart_fib::Route) -> bool {
        self.routes.iter().any(|found| {
            let found = &found.route;
            found.key.prefix == wanted.key.prefix
                && found.key.table == wanted.key.table
                && found.kind == wanted.kind
                && wanted.legs.iter().all(|leg| {
                    found.legs.iter().any(|have| (have.gateway, have.ifindex) == (leg.gateway, leg.ifindex))
                })
        })
    }
}

impl Machine {
    /// Compares.
    ///
    /// # Errors
    /// The first difference, with a code from 110 on; 11 when nothing can be compared.
    pub fn check(&self, request: &Request, mut sandbox: Sandbox) -> Result<(), Failure> {
        let key = &request.key;
        let known = self.attached(key)?;
        let previous = request
            .previous
            .as_ref()
            .ok_or_else(|| Failure::new(code::INVALID_CONFIG, "CHECK needs prevResult"))?;
        let previous = Attached::previous(previous)?;
        let known = self.follow_mac(known, request, &previous, &mut sandbox)?;
        same_result(&known, &request.netns, &previous)?;
        if self.addresses.held(key) != known.addresses {
            return Err(different(
                code::CHECK_LEDGER,
                &known,
                "the address ledger has other addresses for it",
            ));
        }
        let unread = |error: NetworkError| {
            Failure::detailed(code::TRY_AGAIN, "the kernel cannot be read", error.to_string())
        };
        let pod = Side::read(&mut sandbox.socket, &key.ifname).map_err(|error| unread(error.into()))?;
        let host = self.host_side(&known).map_err(unread)?;
        compare(&known, &pod, &host)?;
        self.ports.check(&known.port()).map(drop).map_err(|error| {
            Failure::detailed(code::CHECK_DATAPLANE, "the dataplane lacks the pod's port", error.to_string())
        })
    }

    fn attached(&self, key: &AttachmentKey) -> Result<Attachment, Failure> {
        let known = self.journal.get(key).and_then(|(attachment, made)| made.then_some(attachment));
        known.ok_or_else(|| Failure::new(code::CHECK_UNKNOWN, format!("{key} is not attached to this node")))
    }

    /// A later plugin may give the container's link another MAC, and says so in the result (the `tuning` plugin does). The
    /// kernel forgets the gateways of such a link (`neigh_changeaddr`), and the node would go on sending to the old MAC: both
    /// are led to the new one, and the journal learns it. Any other change of the MAC stays a difference.
    fn follow_mac(
        &self,
        known: Attachment,
        request: &Request,
        previous: &Attached,
        sandbox: &mut Sandbox,
    ) -> Result<Attachment, Failure> {
        let key = &request.key;
        let mut links = previous.interfaces.iter();
        let link =
            links.find(|link| link.name == key.ifname && link.sandbox.as_ref() == Some(&request.netns));
        let Some(mac) = link.and_then(|link| attachment::parse_mac(link.mac.as_deref()?)) else {
            return Ok(known);
        };
        if mac == known.pod_mac {
            return Ok(known);
        }
        let Some(_turn) = self.turns.take(key, Instant::now() + TURN) else {
            return Err(busy(key));
        };
        // Read again in its turn: it may have left meanwhile, or another CHECK have followed.
        let known = self.attached(key)?;
        if mac == known.pod_mac {
            return Ok(known);
        }
        let failed = |error: String| {
            let msg = "the container's new MAC cannot be followed";
            Failure::detailed(code::TRY_AGAIN, msg, error)
        };
        let found = sandbox.socket.link_named(&key.ifname).map_err(|error| failed(error.to_string()))?;
        if found.is_none_or(|found| found.mac != mac || found.link.index != known.pod_ifindex) {
            return Err(different(
                code::CHECK_MAC,
                &known,
                "the container's MAC is not the one of prevResult",
            ));
        }
        let known = Attachment { pod_mac: mac, ..known };
        network::find_gateways(&known, sandbox)
            .and_then(|()| network::route(&known))
            .map_err(|error| failed(error.to_string()))?;
        self.ports.attach(&known.port()).map_err(|error| failed(error.to_string()))?;
        let number = self.journal.append(Record::Made(known.clone()));
        number.and_then(|number| self.journal.sync(number)).map_err(|error| failed(error.to_string()))?;
        Ok(known)
    }

    pub(super) fn host_side(&self, known: &Attachment) -> Result<Side, NetworkError> {
        Ok(Side::read(&mut BlockingHandle::open()?, &known.link())?)
    }
}

/// ADD for what is attached: the same answer if it is all there, an error if not.
pub fn again(known: &Attachment, request: &Request, sandbox: &mut Sandbox) -> Result<Attached, Failure> {
    let unread = |error: NetworkError| {
        Failure::detailed(code::TRY_AGAIN, "the kernel cannot be read", error.to_string())
    };
    let pod = Side::read(&mut sandbox.socket, &known.key.ifname).map_err(|error| unread(error.into()))?;
    let mut host = BlockingHandle::open().map_err(|error| unread(error.into()))?;
    let host = Side::read(&mut host, &known.link()).map_err(|error| unread(error.into()))?;
    match compare(known, &pod, &host) {
        Ok(()) => Ok(answer::attached(known, &request.netns)),
        Err(difference) => Err(Failure::detailed(
            code::INTERFACE_EXISTS,
            format!("{} is attached already, and not as it was; DEL it first", known.key),
            difference.to_string(),
        )),
    }
}

/// What the runtime remembers must be what we made; later plugins may have added to it.
fn same_result(known: &Attachment, netns: &str, previous: &Attached) -> Result<(), Failure> {
    let ours = answer::attached(known, netns);
    let sandboxed = ours.interfaces.iter().all(|link| {
        previous
            .interfaces
            .iter()
            .any(|had| had.name == link.name && had.mac == link.mac && had.sandbox == link.sandbox)
    });
    let addressed = ours.ips.iter().all(|ip| previous.ips.iter().any(|had| had.address == ip.address));
    if sandboxed && addressed {
        return Ok(());
    }
    Err(different(code::CHECK_RESULT, known, "prevResult names other links or addresses"))
}

/// Pod first, then host: the first difference tells most about what happened.
pub fn compare(known: &Attachment, pod: &Side, host: &Side) -> Result<(), Failure> {
    let inside = pod.link.as_ref().filter(|link| link.link.kind == "veth");
    let inside =
        inside.ok_or_else(|| different(code::CHECK_LINK, known, "the container has no such veth link"))?;
    let outside = host.link.as_ref().filter(|link| link.alias == attachment::alias(&known.key));
    let outside =
        outside.ok_or_else(|| different(code::CHECK_HOST_LINK, known, "the host's link is gone"))?;
    let checks = [
        (code::CHECK_DOWN, inside.link.up, "the container's link is down"),
        (code::CHECK_HOST_DOWN, outside.link.up, "the host's link is down"),
        (code::CHECK_MAC, inside.mac == known.pod_mac, "the container's MAC differs"),
        (code::CHECK_MAC, outside.mac == known.host_mac, "the host link's MAC differs"),
        (code::CHECK_MTU, inside.link.mtu == known.mtu, "the container's MTU differs"),
        (
            code::CHECK_PEER,
            inside.peer == outside.link.index && outside.peer == inside.link.index,
            "the two links are not each other's peers",
        ),
    ];
    if let Some((code, _, what)) = checks.into_iter().find(|(_, holds, _)| !holds) {
        return Err(different(code, known, what));
    }
    known.ips().try_for_each(|address| compare_address(known, address, (pod, inside), (host, outside)))
}

fn compare_address(
    known: &Attachment,
    address: IpAddr,
    (pod, inside): (&Side, &PairLink),
    (host, outside): (&Side, &PairLink),
) -> Result<(), Failure> {
    let (near, far) = (inside.link.index, outside.link.index);
    let prefix = attachment::host_prefix(address);
    let addressed = pod.addresses.iter().any(|have| have.ifindex == near && have.address == prefix);
    let gateway = attachment::gateway(address);
    let checks = [
        (code::CHECK_ADDRESS, addressed, "the container lacks address"),
        (
            code::CHECK_ROUTE,
            pod.has_route(&default_route(address, near)),
            "the container lacks the default route for",
        ),
        (
            code::CHECK_GATEWAY,
            pod.has_neighbour(near, gateway, known.host_mac),
            "the container cannot find the gateway of",
        ),
        (
            code::CHECK_HOST_ROUTE,
            host.has_route(&attachment::route(address, far)),
            "the node has no route to",
        ),
        (code::CHECK_NEIGHBOUR, host.has_neighbour(far, address, known.pod_mac), "the node cannot find"),
    ];
    match checks.into_iter().find(|(_, holds, _)| !holds) {
        Some((code, _, what)) => Err(different(code, known, &format!("{what} {address}"))),
        None => Ok(()),
    }
}

fn different(code: u32, known: &Attachment, what: &str) -> Failure {
    let details = format!("{}, host link {}", known.key, known.link());
    Failure::detailed(code, what.to_owned(), details)
}

/// The port of a link that nobody remembers anything else of: enough to detach it.
#[must_use]
pub fn port(link: &PairLink) -> PodPort {
    PodPort {
        ifindex: link.link.index,
        link: link.link.name.clone(),
        host_mac: link.mac,
        pod_ifindex: link.peer,
        pod_mac: [0; 6],
        addresses: Vec::new(),
        shaped: false,
    }
}
