//! Streams of the watched objects, each with the narrowest selector, turned into facts where they arrive. Decides nothing
//! and writes nothing.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use sart_api::{BGPAdvertisement, BGPPeer, NodeBGP, keys};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tracing::warn;

use crate::event::{Event, Fact, Kind};
use crate::node::{ObjectKey, read};

/// One kind: what to ask for, and how to read it.
struct Source<K, F> {
    kind: Kind,
    api: Api<K>,
    config: watcher::Config,
    read: F,
}

/// Starts the watches of node `node`.
pub fn spawn(tasks: &mut JoinSet<()>, client: &Client, node: &str, events: &Sender<Event>) {
    let own = watcher::Config::default().fields(&format!("metadata.name={node}"));
    let source = Source {
        kind: Kind::Node,
        api: Api::all(client.clone()),
        config: own.clone(),
        read: |object: &Node| Fact::Node(Some(read::node(object))),
    };
    tasks.spawn(run(source, events.clone()));
    let source = Source {
        kind: Kind::NodeBgp,
        api: Api::all(client.clone()),
        config: own,
        read: |object: &NodeBGP| {
            Fact::NodeBgp(read::bgp(object).map(|fact| (fact, object.status.clone().unwrap_or_default())))
        },
    };
    tasks.spawn(run(source, events.clone()));
    spawn_peers(tasks, client, node, events);
    spawn_services(tasks, client, node, events);
}

fn spawn_peers(tasks: &mut JoinSet<()>, client: &Client, node: &str, events: &Sender<Event>) {
    let peers = Source {
        kind: Kind::BgpPeer,
        api: Api::all(client.clone()),
        config: watcher::Config::default().labels(&format!("{}={node}", keys::PEER_NODE)),
        read: |object: &BGPPeer| {
            Fact::BgpPeer(read::peer(object).map(|fact| (fact, object.status.clone().unwrap_or_default())))
        },
    };
    tasks.spawn(run(peers, events.clone()));
    let adverts = Source {
        kind: Kind::Advertisement,
        api: Api::all(client.clone()),
        config: watcher::Config::default(),
        read: |object: &BGPAdvertisement| match read::block_advert(object) {
            Some(block) => Fact::BlockAdvertisement(block),
            None => Fact::Advertisement(read::advert(object)),
        },
    };
    tasks.spawn(run(adverts, events.clone()));
}

fn spawn_services(tasks: &mut JoinSet<()>, client: &Client, node: &str, events: &Sender<Event>) {
    // The API has no field selector for spec.type, so Services are filtered when they are read.
    let services = Source {
        kind: Kind::Service,
        api: Api::all(client.clone()),
        config: watcher::Config::default(),
        read: |object: &Service| Fact::Service(read::service(object)),
    };
    tasks.spawn(run(services, events.clone()));
    let node = node.to_owned();
    let slices = Source {
        kind: Kind::EndpointSlice,
        api: Api::all(client.clone()),
        config: watcher::Config::default().labels(keys::SERVICE_NAME),
        read: move |object: &EndpointSlice| Fact::EndpointSlice(read::slice(object, &node)),
    };
    tasks.spawn(run(slices, events.clone()));
}

/// Passes the stream on until the engine is gone. The watcher itself resumes, and lists again only when it must.
async fn run<K, F>(source: Source<K, F>, events: Sender<Event>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: Fn(&K) -> Fact,
{
    let Source { kind, api, config, read } = source;
    let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(item) = stream.next().await {
        let event = match item {
            Ok(item) => next(kind, &read, item, &mut listed),
            Err(error) => {
                warn!(?kind, %error, "watch interrupted; the last known objects stay in force");
                continue;
            }
        };
        let Some(event) = event else { continue };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

fn next<K: Resource + Clone>(
    kind: Kind,
    read: impl Fn(&K) -> Fact,
    item: watcher::Event<K>,
    listed: &mut BTreeSet<ObjectKey>,
) -> Option<Event> {
    let at = Instant::now();
    match item {
        watcher::Event::Apply(object) => {
            Some(Event::Fact { key: read::key(&object), fact: read(&object), at })
        }
        watcher::Event::Delete(object) => {
            Some(Event::Fact { key: read::key(&object), fact: Fact::absent(kind), at })
        }
        watcher::Event::Init => {
            listed.clear();
            None
        }
        watcher::Event::InitApply(object) => {
            let key = read::key(&object);
            listed.insert(key.clone());
            Some(Event::Fact { key, fact: read(&object), at })
        }
        watcher::Event::InitDone => Some(Event::Listed(kind, std::mem::take(listed))),
    }
}
