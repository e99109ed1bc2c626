//! The node's own switches for forwarding. They are set from here because the plugin runs on the host with its rights, and
//! the agent's container sees /proc/sys read-only. Switches that stand already are not touched.

use std::fs;
use std::path::Path;

use sart_cni::failure::{Failure, code};

const V4: &str = "/proc/sys/net/ipv4/ip_forward";
const V6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// Lets the node forward the families its pod has.
pub fn enable(v4: bool, v6: bool) -> Result<(), Failure> {
    if v4 && !is_on(V4) {
        set(V4, "1")?;
    }
    if v6 && !is_on(V6) {
        keep_router_advertisements()?;
        set(V6, "1")?;
    }
    Ok(())
}

fn is_on(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
}

/// A forwarding host takes no default route from its router any more unless `accept_ra` is 2 (kernel documentation,
/// ip-sysctl): switching forwarding on must not cost the node its way out.
fn keep_router_advertisements() -> Result<(), Failure> {
    let Ok(links) = fs::read_dir("/proc/sys/net/ipv6/conf") else { return Ok(()) };
    for link in links.flatten() {
        let path = link.path().join("accept_ra");
        if fs::read_to_string(&path).is_ok_and(|text| text.trim() == "1") {
            set(path, "2")?;
        }
    }
    Ok(())
}

fn set(path: impl AsRef<Path>, value: &str) -> Result<(), Failure> {
    let path = path.as_ref();
    fs::write(path, value).map_err(|error| {
        let msg = format!("the node does not forward packets and {} cannot be set", path.display());
        Failure::detailed(code::IO, msg, error.to_string())
    })
}
