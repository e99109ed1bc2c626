//! The container's network namespace: opened, told from our own, and entered once to make the socket through which the agent
//! will configure it. This process has one thread, ends soon, and goes back before it does anything else.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::fstatfs;
use sart_cni::environment::Environment;
use sart_cni::failure::{Failure, code};

/// The magic of nsfs (linux/magic.h).
const NSFS: i64 = 0x6e73_6673;

/// Handles to a container's namespace.
pub struct Sandbox {
    /// The namespace.
    pub namespace: File,
    /// A route netlink socket made in it.
    pub socket: Socket,
}

impl Sandbox {
    /// Opens the namespace that the runtime names.
    pub fn open(environment: &Environment) -> Result<Self, Failure> {
        let namespace = File::open(&environment.netns).map_err(|error| {
            let msg = format!("cannot open the network namespace {}", environment.netns);
            Failure::detailed(code::IO, msg, error.to_string())
        })?;
        let own = own()?;
        if !is_namespace(&namespace) || (same(&namespace, &own)? && !environment.own_netns_allowed) {
            return Err(invalid(environment));
        }
        enter(&namespace).map_err(|error| io("cannot enter the container's namespace", error.into()))?;
        let socket = route_socket();
        enter(&own).map_err(|error| io("cannot return from the container's namespace", error.into()))?;
        let socket =
            socket.map_err(|error| io("cannot make a socket in the container's namespace", error))?;
        Ok(Self { namespace, socket })
    }
}

/// DEL does not need the namespace, but must not be given the host's. One that cannot be opened is gone.
pub fn refuse_own(environment: &Environment) -> Result<(), Failure> {
    let Ok(namespace) = File::open(&environment.netns) else { return Ok(()) };
    if !environment.own_netns_allowed && same(&namespace, &own()?)? {
        return Err(invalid(environment));
    }
    Ok(())
}

fn own() -> Result<File, Failure> {
    File::open("/proc/thread-self/ns/net").map_err(|error| {
        Failure::detailed(code::IO, "cannot open our own network namespace", error.to_string())
    })
}

fn is_namespace(file: &File) -> bool {
    fstatfs(file).is_ok_and(|found| found.filesystem_type().0 == NSFS)
}

fn same(one: &File, other: &File) -> Result<bool, Failure> {
    let identity = |file: &File| file.metadata().map(|found| (found.dev(), found.ino()));
    let failed =
        |error: std::io::Error| Failure::detailed(code::IO, "cannot compare namespaces", error.to_string());
    Ok(identity(one).map_err(failed)? == identity(other).map_err(failed)?)
}

/// The options stay with the socket: the agent reads the kernel's words for a refusal.
fn route_socket() -> std::io::Result<Socket> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.set_cap_ack(true)?;
    socket.set_ext_ack(true)?;
    Ok(socket)
}

fn enter(namespace: &File) -> nix::Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWNET)
}

fn invalid(environment: &Environment) -> Failure {
    let msg = format!("CNI_NETNS {} is no container's network namespace", environment.netns);
    Failure::detailed(code::INVALID_NETNS, msg, "it is the plugin's own, or no network namespace at all")
}

fn io(msg: &str, error: std::io::Error) -> Failure {
    Failure::detailed(code::IO, msg, error.to_string())
}
