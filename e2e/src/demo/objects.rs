//! Checks on what the API server holds: topology, pools, addresses, and what kubectl prints of them.

use super::context::{Context, LIMIT, NAMESPACE, SAMPLES, list};
use super::install;
use crate::lab::topology::SPINES;
use crate::wait::{Patience, until};
use anyhow::{Result, bail, ensure};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One NodeBGP per node, named after it, with the label's AS number, the InternalIP as router id, and Available.
pub fn each_node_has_its_node_bgp(context: &Context) -> Result<String> {
    let nodes = &context.lab.topology.nodes;
    let wanted: BTreeSet<_> = nodes
        .iter()
        .map(|node| format!("{} {} {} Available", node.name, node.asn, node.internal()))
        .collect();
    let shown = |item: &Value| {
        format!(
            "{} {} {} {}",
            text(&item["metadata"]["name"]),
            item["spec"]["asn"],
            text(&item["spec"]["routerId"]),
            status(item)
        )
    };
    until("NodeBGPs", Patience::stable(LIMIT), || same(&wanted, &all(context, "nodebgp", shown)?))?;
    Ok(format!("{} NodeBGPs", wanted.len()))
}

/// One BGPPeer per node and spine, with the article's name, and the last condition Established.
pub fn peers_are_established(context: &Context) -> Result<String> {
    let mut wanted = BTreeSet::new();
    for node in &context.lab.topology.nodes {
        wanted.extend(SPINES.iter().map(|spine| {
            format!(
                "bgppeertemplate-{}-{}-{}-{} Established",
                spine.name, node.name, spine.asn, spine.loopback
            )
        }));
    }
    let shown = |item: &Value| format!("{} {}", text(&item["metadata"]["name"]), status(item));
    until("BGPPeers", Patience::stable(LIMIT), || same(&wanted, &all(context, "bgppeer", shown)?))?;
    Ok(format!("{} BGPPeers", wanted.len()))
}

/// A service pool has one block, of its own name and CIDR.
pub fn pools_have_their_blocks(context: &Context) -> Result<String> {
    let wanted =
        ["default-lb-pool 10.0.1.0/24", "non-default-lb-pool 10.0.100.0/24"].map(str::to_owned).into();
    until("AddressBlocks", Patience::stable(LIMIT), || {
        let objects = context.kubectl.json(&["get", "addressblock"])?;
        let service = list(&objects["items"]).iter().filter(|item| item["spec"]["type"] == "service");
        let shown =
            |item: &Value| format!("{} {}", text(&item["metadata"]["name"]), text(&item["spec"]["cidr"]));
        same(&wanted, &service.map(shown).collect())
    })?;
    Ok("10.0.1.0/24, 10.0.100.0/24".to_owned())
}

/// Creates the Services one after the other; each gets its address before the next is created.
pub fn services_get_their_addresses(context: &Context) -> Result<String> {
    for sample in SAMPLES {
        context.apply(&install::service(context, sample.service)?)?;
        until(&format!("address of {}", sample.service), Patience::once(LIMIT), || {
            let service = context.kubectl.json(&["-n", NAMESPACE, "get", "service", sample.service])?;
            let ingress = list(&service["status"]["loadBalancer"]["ingress"]);
            let addresses: Vec<_> = ingress.iter().map(|entry| text(&entry["ip"])).collect();
            ensure!(addresses == [sample.address], "it has {addresses:?} instead of {}", sample.address);
            Ok(())
        })?;
    }
    Ok(SAMPLES.map(|sample| sample.address).join(", "))
}

/// Kind and the columns that kubectl prints for it.
const COLUMNS: [(&str, &str); 7] = [
    ("clusterbgp", "NAME AGE"),
    ("nodebgp", "NAME ASN ROUTERID BACKOFF STATUS AGE"),
    ("bgppeer", "NAME ASN ADDRESS NODEBGP CLUSTERBGP BACKOFF STATUS AGE"),
    ("addresspool", "NAME CIDR TYPE BLOCKSIZE AUTO AGE"),
    ("addressblock", "NAME CIDR TYPE POOLREF NODEREF AGE"),
    ("bgpadvertisement", "NAMESPACE NAME CIDR TYPE PROTOCOL AGE"),
    ("service", "NAMESPACE NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
];

/// What a person sees with one `kubectl get`.
pub fn columns_are_the_articles(context: &Context) -> Result<String> {
    let mut kinds = "clusterbgp,nodebgp,bgppeer,addresspool,addressblock,bgpadvertisement,svc".to_owned();
    let mut wanted = COLUMNS.to_vec();
    if context.dual() {
        kinds.push_str(",blockrequest");
        wanted.push(("blockrequest", "NAME POOL NODE"));
    }
    let output = context.kubectl.run(&["get", &kinds, "-A"])?;
    let headers = headers(&output);
    for (kind, columns) in wanted {
        // With several kinds kubectl puts an empty NAMESPACE column before cluster-scoped ones too.
        let found = headers.get(kind).map(|found| found.trim_start_matches("NAMESPACE ").to_owned());
        let columns = columns.trim_start_matches("NAMESPACE ");
        ensure!(
            found.as_deref() == Some(columns),
            "{kind}: columns {found:?} instead of {columns:?} in\n{output}"
        );
    }
    advertisements(context)
}

fn advertisements(context: &Context) -> Result<String> {
    let services = SAMPLES.map(|sample| format!("{}/32 service ipv4", sample.address));
    let mut wanted: BTreeSet<String> = services.into();
    if context.dual() {
        wanted.extend(
            super::pods::origins(context)?.into_iter().map(|(prefix, _)| format!("{prefix} pod ipv4")),
        );
    }
    let shown = |item: &Value| ["cidr", "type", "protocol"].map(|field| text(&item["spec"][field])).join(" ");
    until("BGPAdvertisements", Patience::stable(LIMIT), || {
        same(&wanted, &all(context, "bgpadvertisement", shown)?)
    })?;
    Ok(format!("{} BGPAdvertisements", wanted.len()))
}

/// Kind (of the first row below) → the column names.
fn headers(output: &str) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let mut last = String::new();
    for line in output.lines() {
        let words: Vec<_> = line.split_ascii_whitespace().collect();
        if words.contains(&"NAME") {
            last = words.join(" ");
        } else if let Some((kind, _)) = words.iter().find_map(|word| word.split_once('/')) {
            let kind = kind.split('.').next().unwrap_or(kind);
            headers.entry(kind.to_owned()).or_insert_with(|| last.clone());
        }
    }
    headers
}

fn all(context: &Context, kind: &str, shown: impl Fn(&Value) -> String) -> Result<BTreeSet<String>> {
    let objects = context.kubectl.json(&["get", kind, "-A"])?;
    Ok(list(&objects["items"]).iter().map(shown).collect())
}

/// What the STATUS column prints: the last condition.
fn status(item: &Value) -> String {
    list(&item["status"]["conditions"]).last().map(|condition| text(&condition["status"])).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn same(wanted: &BTreeSet<String>, found: &BTreeSet<String>) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    let missing: Vec<_> = wanted.difference(found).collect();
    let surplus: Vec<_> = found.difference(wanted).collect();
    bail!("missing {missing:?}, not expected {surplus:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_each_kind_are_read_from_the_header_above_its_rows() {
        let output = "NAMESPACE   NAME                                    AGE\n\
            \u{20}           clusterbgp.sart.terassyi.net/clusterbgp-a   5s\n\n\
            NAMESPACE   NAME                 TYPE\ntest        service/app-svc      LoadBalancer\n";
        let headers = headers(output);
        assert_eq!(headers.get("clusterbgp").map(String::as_str), Some("NAMESPACE NAME AGE"));
        assert_eq!(headers.get("service").map(String::as_str), Some("NAMESPACE NAME TYPE"));
    }
}
