//! Checks on the routers' side: sessions, and which prefix stands in which table from which node.

use super::context::{Context, LIMIT, NAMESPACE, SAMPLES, list};
use super::install::roll_out;
use super::traffic::local;
use crate::lab::topology::{CLIENT_SUBNET, CORE, SPINES};
use crate::wait::{Patience, until};
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Prefix → AS numbers of the nodes it comes from.
type Table = BTreeMap<String, BTreeSet<u32>>;

/// Each spine has an Established session with each node.
pub fn spines_see_every_node(context: &Context) -> Result<String> {
    let nodes = &context.lab.topology.nodes;
    for spine in &SPINES {
        until(&format!("sessions of {}", spine.name), Patience::stable(LIMIT), || {
            let summary = context.lab.ask(spine.name, "show bgp ipv4 unicast summary json")?;
            for node in nodes {
                let peer = &summary["peers"][node.uplink(spine).to_string()];
                ensure!(
                    peer["state"] == "Established",
                    "the session with {} is {}",
                    node.name,
                    peer["state"]
                );
                ensure!(
                    peer["remoteAs"] == node.asn,
                    "{} presents the AS number {}",
                    node.name,
                    peer["remoteAs"]
                );
            }
            Ok(())
        })?;
    }
    Ok(format!("{} sessions", SPINES.len() * nodes.len()))
}

/// Beside the routers' own prefixes the tables hold the VIPs and nothing else, each from the nodes that serve it.
pub fn tables_hold_exactly_the_vips(context: &Context) -> Result<String> {
    let table = await_tables(context)?;
    Ok(table
        .iter()
        .map(|(prefix, nodes)| format!("{prefix} from {} nodes", nodes.len()))
        .collect::<Vec<_>>()
        .join(", "))
}

/// Every path a spine has from a node was originated by that node.
pub fn no_node_is_a_transit(context: &Context) -> Result<String> {
    let mut paths = 0;
    for spine in &SPINES {
        for node in &context.lab.topology.nodes {
            let question = format!("show bgp ipv4 unicast neighbors {} routes json", node.uplink(spine));
            let answer = context.lab.ask(spine.name, &question)?;
            let Some(routes) = answer["routes"].as_object() else { continue };
            for (prefix, route) in routes {
                for path in list(route) {
                    let path = &path["path"];
                    ensure!(
                        path == &Value::from(node.asn.to_string()),
                        "{} sent {prefix} with the path {path} to {}",
                        node.name,
                        spine.name
                    );
                    paths += 1;
                }
            }
        }
    }
    ensure!(paths > 0, "no node sent anything");
    Ok(format!("{paths} paths, each of its sender only"))
}

/// Scales the Local Service's pods to one, none and back to two; the routes follow each time.
pub fn routes_follow_local_pods(context: &Context) -> Result<String> {
    let local = local()?;
    let prefix = format!("{}/32", local.address);
    let mut counts = Vec::new();
    for replicas in [1, 0, 2] {
        let (deployment, count) =
            (format!("deployment/{}", local.deployment), format!("--replicas={replicas}"));
        context.kubectl.run(&["-n", NAMESPACE, "scale", &deployment, &count])?;
        roll_out(context, NAMESPACE, &deployment)?;
        until("pods of the Local Service", Patience::once(LIMIT), || {
            let ready = context.ready_endpoints(local.service)?.len();
            ensure!(ready == replicas, "{ready} endpoints are ready instead of {replicas}");
            Ok(())
        })?;
        let nodes = await_tables(context)?.remove(&prefix).unwrap_or_default();
        counts.push(format!("{replicas} pods: {} nodes", nodes.len()));
    }
    Ok(counts.join(", "))
}

/// Waits until every router's table is what the endpoints say, and returns it.
pub fn await_tables(context: &Context) -> Result<Table> {
    let mut wanted = Table::new();
    for spine in &SPINES {
        until(&format!("table of {}", spine.name), Patience::stable(LIMIT), || {
            wanted = expected(context)?;
            let found = learned(&context.lab.ask(spine.name, "show bgp ipv4 unicast json")?)?;
            ensure!(wanted == found, "it holds {found:?} instead of {wanted:?}");
            Ok(())
        })?;
    }
    until(&format!("table of {CORE}"), Patience::stable(LIMIT), || {
        wanted = expected(context)?;
        core_holds(&context.lab.ask(CORE, "show bgp ipv4 unicast json")?, &wanted)
    })?;
    Ok(wanted)
}

/// A spine hands on its best path only (RFC 4271 section 9.1.3): the core has every VIP once from each spine, and each
/// path began at a node that serves it.
fn core_holds(answer: &Value, wanted: &Table) -> Result<()> {
    let found = learned(answer)?;
    ensure!(found.keys().eq(wanted.keys()), "it holds {found:?} instead of the prefixes of {wanted:?}");
    for (prefix, nodes) in &found {
        let serving = wanted.get(prefix).is_some_and(|serving| nodes.is_subset(serving));
        ensure!(serving, "it has {prefix} from {nodes:?}, served by {:?}", wanted.get(prefix));
        let first = |path: &Value| path["path"].as_str()?.split(' ').next()?.parse().ok();
        let spines: BTreeSet<u32> = list(&answer["routes"][prefix]).iter().filter_map(first).collect();
        let all = SPINES.iter().map(|spine| spine.asn).collect();
        ensure!(spines == all, "it has {prefix} from the spines {spines:?} instead of {all:?}");
    }
    Ok(())
}

fn expected(context: &Context) -> Result<Table> {
    let mut table = Table::new();
    for sample in SAMPLES {
        let ready = context.ready_endpoints(sample.service)?;
        let nodes = if sample.local {
            ready.iter().map(|(node, _)| context.asn(node)).collect::<Result<BTreeSet<_>>>()?
        } else if ready.is_empty() {
            BTreeSet::new()
        } else {
            context.lab.topology.nodes.iter().map(|node| node.asn).collect()
        };
        if !nodes.is_empty() {
            table.insert(format!("{}/32", sample.address), nodes);
        }
    }
    if context.dual() {
        for (prefix, node) in super::pods::origins(context)? {
            table.entry(prefix).or_default().insert(context.asn(&node)?);
        }
    }
    Ok(table)
}

/// What a router's table holds beside the routers' own prefixes; the last AS number of a path is where it began.
fn learned(answer: &Value) -> Result<Table> {
    let own: BTreeSet<_> = SPINES
        .iter()
        .map(|spine| format!("{}/32", spine.loopback))
        .chain([CLIENT_SUBNET.to_owned()])
        .collect();
    let Some(routes) = answer["routes"].as_object() else { bail!("the router's table has no routes") };
    let mut table = Table::new();
    for (prefix, paths) in routes.iter().filter(|(prefix, _)| !own.contains(*prefix)) {
        for path in list(paths) {
            let origin = path["path"].as_str().and_then(|path| path.split(' ').next_back()?.parse().ok());
            let Some(origin) = origin else { bail!("{prefix} has a path without AS numbers: {path}") };
            table.entry(prefix.clone()).or_default().insert(origin);
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_core_must_have_each_vip_from_each_spine_and_only_from_nodes_that_serve_it() {
        let wanted = Table::from([("10.0.1.0/32".to_owned(), BTreeSet::from([65010, 65020]))]);
        let table =
            |paths: [&str; 2]| json!({"routes": {"10.0.1.0/32": paths.map(|path| json!({"path": path}))}});
        assert!(core_holds(&table(["65001 65010", "65002 65010"]), &wanted).is_ok());
        assert!(core_holds(&table(["65001 65010", "65001 65020"]), &wanted).is_err());
        assert!(core_holds(&table(["65001 65010", "65002 65030"]), &wanted).is_err());
        assert!(core_holds(&json!({"routes": {}}), &wanted).is_err());
    }

    #[test]
    fn a_table_is_read_as_prefixes_and_the_nodes_they_began_at() {
        let answer = json!({"routes": {
            "9.9.9.9/32": [{"path": ""}],
            "10.0.1.0/32": [{"path": "65010"}, {"path": "65000 65002 65020"}],
        }});
        let wanted = Table::from([("10.0.1.0/32".to_owned(), BTreeSet::from([65010, 65020]))]);
        assert_eq!(learned(&answer).ok(), Some(wanted));
    }
}
