//! Tells whether this node sees a route to the block of a lost node: a node that is cut off from the API may still announce
//! it, and then nobody else may have it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use ipnet::IpNet;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use sart_api::{AddressBlock, LostBlock, keys};
use sart_netlink::RouteHandle;
use tokio::sync::mpsc::Sender;
use tracing::warn;

use super::error::RouteFailure;
use crate::event::Event;

/// How often the routes are looked at while a block is lost.
const LOOK: Duration = Duration::from_secs(5);

/// Runs until the engine is gone. Without a lost block it only waits for its watch.
pub async fn run(client: Client, events: Sender<Event>) {
    let config = watcher::Config::default().labels(keys::BLOCK_LOST);
    let api: Api<AddressBlock> = Api::all(client);
    let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
    let mut lost: BTreeMap<String, IpNet> = BTreeMap::new();
    let mut listed = BTreeSet::new();
    let mut told: Option<Vec<LostBlock>> = None;
    while !events.is_closed() {
        tokio::select! {
            item = stream.next() => match item {
                None => return,
                Some(Err(error)) => warn!(%error, "watch of lost blocks interrupted"),
                Some(Ok(event)) => take(&mut lost, &mut listed, event),
            },
            () = tokio::time::sleep(LOOK), if !lost.is_empty() => {}
        }
        let nets: BTreeSet<IpNet> = lost.values().copied().collect();
        match look(&nets).await {
            Err(error) => warn!(%error, "cannot say whether routes lead to lost blocks"),
            Ok(found) if told.as_ref() != Some(&found) => {
                if events.send(Event::LostBlocks(found.clone())).await.is_err() {
                    return;
                }
                told = Some(found);
            }
            Ok(_) => {}
        }
    }
}

fn take(
    lost: &mut BTreeMap<String, IpNet>,
    listed: &mut BTreeSet<String>,
    event: watcher::Event<AddressBlock>,
) {
    match event {
        watcher::Event::Apply(block) => insert(lost, &block),
        watcher::Event::Delete(block) => drop(lost.remove(&block.name_any())),
        watcher::Event::Init => listed.clear(),
        watcher::Event::InitApply(block) => {
            listed.insert(block.name_any());
            insert(lost, &block);
        }
        watcher::Event::InitDone => lost.retain(|name, _| listed.contains(name)),
    }
}

fn insert(lost: &mut BTreeMap<String, IpNet>, block: &AddressBlock) {
    lost.extend(block.spec.cidr.parse().ok().map(|net| (block.name_any(), net)));
}

/// Each prefix, and whether a route to it or into it stands in any table; our own covering and pod routes count: the block
/// may have been this node's.
async fn look(nets: &BTreeSet<IpNet>) -> Result<Vec<LostBlock>, RouteFailure> {
    if nets.is_empty() {
        return Ok(Vec::new());
    }
    let routes = RouteHandle::open()?.routes().await?;
    let inside = |net: &IpNet| routes.iter().any(|found| net.contains(&found.route.key.prefix));
    Ok(nets.iter().map(|net| LostBlock { prefix: net.to_string(), route: inside(net) }).collect())
}
