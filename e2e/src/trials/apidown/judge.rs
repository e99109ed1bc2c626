//! What is right about answers and addresses. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_json::Value;

use super::plugin::Said;

/// The specification's number for a passing condition.
pub(super) const TRY_AGAIN: u64 = 11;

/// One row of `sart cni -o json list`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Attachment {
    pub(super) pod: String,
    pub(super) container: String,
    pub(super) link: String,
    pub(super) state: String,
    pub(super) addresses: Vec<Taken>,
}

/// An address in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Taken {
    pub(super) address: IpAddr,
}

/// Addresses by `namespace/name` of their pod.
pub(super) type ByPod = BTreeMap<String, BTreeSet<IpAddr>>;

/// The configuration of our plugin in a list, as a runtime hands it over.
pub(super) fn netconf(list: &Value, patience: Option<u64>) -> Result<Value> {
    let plugins = list["plugins"].as_array().context("the list has no plugins")?;
    let mut first = plugins.first().context("the list has no first plugin")?.clone();
    ensure!(first["type"] == "sart-cni", "the first plugin is {}", first["type"]);
    let entry = first.as_object_mut().context("the first plugin is no object")?;
    entry.remove("capabilities");
    for key in ["cniVersion", "name"] {
        let value = list[key].as_str().with_context(|| format!("the list has no {key}"))?;
        entry.insert(key.to_owned(), value.into());
    }
    if let Some(seconds) = patience {
        entry.insert("timeout".to_owned(), seconds.into());
    }
    Ok(first)
}

/// The address that an ADD gave: one, alone in its prefix.
pub(super) fn given(said: &Said) -> Result<Ipv4Addr> {
    ensure!(said.exit == Some(0), "ADD ended {:?}: {}", said.exit, said.document);
    let ips = said.document["ips"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(ips.len() == 1, "ADD gave {ips:?}");
    let net: Ipv4Net = ips[0]["address"].as_str().context("ADD gave no address")?.parse()?;
    ensure!(net.prefix_len() == 32, "ADD gave {net}");
    Ok(net.addr())
}

/// An ADD that must have failed, and with which number.
pub(super) fn to_try_again(said: &Said) -> Result<()> {
    ensure!(said.exit.is_some_and(|exit| exit != 0), "ADD ended {:?}: {}", said.exit, said.document);
    ensure!(said.document["code"] == TRY_AGAIN, "ADD failed otherwise: {}", said.document);
    Ok(())
}

/// What was given while the API server was away: to each another address, each of a block that was the node's before, none
/// that somebody had.
pub(super) fn pre_claimed(
    given: &[(String, Ipv4Addr)],
    blocks: &BTreeSet<Ipv4Net>,
    had: &BTreeMap<Ipv4Addr, String>,
) -> Result<()> {
    let mut seen: BTreeMap<Ipv4Addr, &str> = BTreeMap::new();
    for (whom, address) in given {
        ensure!(
            blocks.iter().any(|block| block.contains(address)),
            "{address} of {whom} is of none of {blocks:?}"
        );
        if let Some(other) = had.get(address) {
            anyhow::bail!("{address} was given to {whom} and had been {other}'s");
        }
        if let Some(other) = seen.insert(*address, whom) {
            anyhow::bail!("{address} was given to {other} and to {whom}");
        }
    }
    Ok(())
}

/// API and agent say the same about the node's pods, each of which is attached once.
pub(super) fn agree(api: &ByPod, node: &[Attachment]) -> Result<()> {
    let mut listed = ByPod::new();
    for row in node {
        ensure!(row.state == "attached", "{} ({}) is {}", row.pod, row.container, row.state);
        let addresses = row.addresses.iter().map(|taken| taken.address).collect();
        let known = listed.insert(row.pod.clone(), addresses);
        ensure!(known.is_none(), "{} is attached twice", row.pod);
    }
    ensure!(*api == listed, "the API says {api:?}, the agent {listed:?}");
    Ok(())
}

#[cfg(test)]
mod tests;
