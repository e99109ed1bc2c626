//! FRR on the routers: writes each router's configuration and starts zebra and bgpd in its machine.

use super::layout::Layout;
use super::machine::Machine;
use super::template::fill;
use super::topology::{CLIENT_GATEWAY, CLIENT_SUBNET, CORE, CORE_ASN, SPINES, Spine, Topology, ipv6};
use crate::wait::{Patience, until};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// Starts FRR on every router.
///
/// # Errors
/// If a daemon does not open its control socket.
pub fn start_all(layout: &Layout, topology: &Topology, machines: &BTreeMap<String, Machine>) -> Result<()> {
    let mut configs = vec![(CORE, core_config())];
    configs.extend(SPINES.iter().map(|spine| (spine.name, spine_config(spine, topology))));
    for (name, mut config) in configs {
        if topology.is_dual_stack() {
            let spine = SPINES.iter().find(|spine| spine.name == name);
            config.push_str(&spine.map_or_else(core_ipv6, |spine| spine_ipv6(spine, topology)));
        }
        let machine = machines.get(name).ok_or_else(|| anyhow!("machine {name} was not started"))?;
        start(layout, machine, &config)?;
    }
    Ok(())
}

fn start(layout: &Layout, machine: &Machine, config: &str) -> Result<()> {
    let folder = layout.machine(&machine.name).join("etc/frr");
    // Written through the machine: a file put below a mounted overlay behind its back may stay unseen.
    let mut write = machine.command("sh");
    write.args(["-c", "mkdir -p /etc/frr && cat > /etc/frr/lab-bgpd.conf && : > /etc/frr/lab-zebra.conf && chmod 0644 /etc/frr/lab-*.conf"]);
    crate::exec::feed(&mut write, config)
        .with_context(|| format!("cannot configure {} ({})", machine.name, folder.display()))?;
    for daemon in ["zebra", "bgpd"] {
        let args = ["-u", "frr", "-g", "frr", "-f"].map(str::to_owned);
        let mut args = args.to_vec();
        args.push(format!("/etc/frr/lab-{daemon}.conf"));
        args.extend([
            "-i".to_owned(),
            format!("/run/frr/{daemon}.pid"),
            "--log".to_owned(),
            "stdout".to_owned(),
        ]);
        machine.daemon(daemon, &Path::new("/usr/lib/frr").join(daemon), &args)?;
        let socket = format!("/proc/{}/root/run/frr/{daemon}.vty", machine.init.pid);
        until(&format!("{daemon} on {}", machine.name), Patience::once(Duration::from_secs(20)), || {
            if Path::new(&socket).exists() {
                Ok(())
            } else {
                bail!("it has no control socket yet (log: lab logs {daemon}-{})", machine.name)
            }
        })?;
    }
    Ok(())
}

fn spine_config(spine: &Spine, topology: &Topology) -> String {
    let mut neighbors = String::new();
    for node in &topology.nodes {
        let address = node.uplink(spine);
        let _ = writeln!(
            neighbors,
            " neighbor {address} remote-as {}\n neighbor {address} peer-group nodes",
            node.asn
        );
        let _ = writeln!(neighbors, " neighbor {address} description {}", node.name);
    }
    fill(
        include_str!("../../templates/spine.conf"),
        &[
            ("asn", &spine.asn.to_string()),
            ("loopback", &spine.loopback.to_string()),
            ("node_neighbors", &neighbors),
            ("core", &spine.core_side().to_string()),
            ("core_asn", &CORE_ASN.to_string()),
        ],
    )
}

fn core_config() -> String {
    let mut neighbors = String::new();
    for spine in &SPINES {
        let address = spine.towards_core();
        let _ = writeln!(
            neighbors,
            " neighbor {address} remote-as {}\n neighbor {address} timers 3 9",
            spine.asn
        );
        let _ = writeln!(
            neighbors,
            " neighbor {address} timers connect 1\n neighbor {address} description {}",
            spine.name
        );
    }
    fill(
        include_str!("../../templates/core.conf"),
        &[
            ("asn", &CORE_ASN.to_string()),
            ("router_id", &CLIENT_GATEWAY.to_string()),
            ("spine_neighbors", &neighbors),
            ("client_subnet", CLIENT_SUBNET),
        ],
    )
}

/// Sessions and prefixes of the second family; a session over IPv6 carries IPv6 only, as ours do.
fn spine_ipv6(spine: &Spine, topology: &Topology) -> String {
    let mut neighbors = String::new();
    for node in &topology.nodes {
        let address = ipv6::uplink(node, spine);
        let _ = writeln!(
            neighbors,
            " neighbor {address} remote-as {}\n neighbor {address} peer-group nodes6",
            node.asn
        );
    }
    fill(
        include_str!("../../templates/spine-ipv6.conf"),
        &[
            ("loopback", &ipv6::loopback(spine).to_string()),
            ("node_neighbors", &neighbors),
            ("core", &ipv6::core_side(spine).to_string()),
            ("core_asn", &CORE_ASN.to_string()),
        ],
    )
}

fn core_ipv6() -> String {
    let (mut sessions, mut off, mut on) = (String::new(), String::new(), String::new());
    for spine in &SPINES {
        let address = ipv6::towards_core(spine);
        let _ =
            writeln!(sessions, " neighbor {address} remote-as {}\n neighbor {address} timers 3 9", spine.asn);
        let _ = writeln!(sessions, " neighbor {address} timers connect 1");
        let _ = writeln!(off, "  no neighbor {address} activate");
        let _ = writeln!(on, "  neighbor {address} activate");
    }
    format!(
        "{sessions} address-family ipv4 unicast\n{off} exit-address-family\n address-family ipv6 unicast\n{on}  \
         network {}\n  maximum-paths 64\n exit-address-family\n",
        ipv6::CLIENT_SUBNET
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spine_peers_with_every_node_at_its_link_address_and_as_number() {
        let lab = Topology::new(4);
        let config = spine_config(&SPINES[1], &lab);
        assert!(config.starts_with("router bgp 65002\n"));
        assert!(
            config
                .contains(" neighbor 169.253.4.2 remote-as 65040\n neighbor 169.253.4.2 peer-group nodes\n")
        );
        assert!(config.contains(" neighbor nodes update-source 7.7.7.7\n"));
        assert!(!config.contains("{{"), "every placeholder is filled");
    }

    #[test]
    fn the_core_announces_the_clients_network_to_both_spines() {
        let config = core_config();
        assert!(config.contains(" neighbor 192.168.1.2 remote-as 65001\n"));
        assert!(config.contains(" neighbor 192.168.2.2 remote-as 65002\n"));
        assert!(config.contains("  network 192.168.10.0/24\n"));
        assert!(!config.contains("{{"));
    }

    #[test]
    fn a_session_over_ipv6_carries_ipv6_and_nothing_else() {
        let config = spine_ipv6(&SPINES[0], &Topology::new(4));
        assert!(config.contains(
            " neighbor fd00:254:4::2 remote-as 65040\n neighbor fd00:254:4::2 peer-group nodes6\n"
        ));
        assert!(
            config.contains("  no neighbor nodes6 activate\n")
                && config.contains("  network fd00:9::9/128\n")
        );
        assert!(!config.contains("{{"));
        let core = core_ipv6();
        assert!(core.contains("  no neighbor fd00:192:168:1::2 activate\n"));
        assert!(
            core.contains("  neighbor fd00:192:168:2::2 activate\n  network fd00:192:168:10::/64\n"),
            "{core}"
        );
    }
}
