//! Streams of pods, namespaces, pools, blocks and requests, each with the narrowest selector, straight into the book.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use sart_api::{AddressBlock, AddressPool, BlockRequest, keys, names};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::warn;

use super::book::AddressBook;
use super::read;
use super::view::View;
use crate::node::ObjectKey;

type Put<K> = Box<dyn Fn(&mut View, &K) + Send + Sync>;

/// How one kind enters the view: what to do with an object, with a name that is gone, and with the names of a whole list.
struct Door<K> {
    kind: &'static str,
    put: Put<K>,
    drop: fn(&mut View, &ObjectKey),
    listed: fn(&mut View, &BTreeSet<ObjectKey>),
}

/// Starts the watches of node `node`.
pub fn spawn(tasks: &mut JoinSet<()>, client: &Client, node: &str, book: &AddressBook) {
    let own = format!("{}={}", keys::BLOCK_NODE, names::label_value(node));
    let by_label = watcher::Config::default().labels(&own);
    let on_node = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let node: Arc<str> = node.into();
    follow(tasks, client, on_node, pods(), book);
    follow(tasks, client, watcher::Config::default(), pools(), book);
    follow(tasks, client, by_label.clone(), blocks(Arc::clone(&node)), book);
    follow(tasks, client, by_label, requests(node), book);
    // The client asks for the metadata of namespaces only.
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let stream = watcher(api, watcher::Config::default()).default_backoff().boxed();
    tasks.spawn(run(stream, namespaces(), book.clone()));
}

fn follow<K>(
    tasks: &mut JoinSet<()>,
    client: &Client,
    config: watcher::Config,
    door: Door<K>,
    book: &AddressBook,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let stream = watcher(Api::<K>::all(client.clone()), config).default_backoff().boxed();
    tasks.spawn(run(stream, door, book.clone()));
}

async fn run<K: Resource>(
    mut stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Unpin,
    door: Door<K>,
    book: AddressBook,
) {
    let mut seen = BTreeSet::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(watcher::Event::Apply(object)) => book.take(|view| (door.put)(view, &object)),
            Ok(watcher::Event::Delete(object)) => book.take(|view| (door.drop)(view, &key(&object))),
            Ok(watcher::Event::Init) => seen.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                seen.insert(key(&object));
                book.take(|view| (door.put)(view, &object));
            }
            Ok(watcher::Event::InitDone) => book.take(|view| (door.listed)(view, &std::mem::take(&mut seen))),
            Err(error) => {
                warn!(kind = door.kind, %error, "watch interrupted; the last known objects stay in force")
            }
        }
    }
}

fn key(object: &impl Resource) -> ObjectKey {
    let meta = object.meta();
    ObjectKey::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

fn pods() -> Door<Pod> {
    Door {
        kind: "Pod",
        put: Box::new(|view, pod| match read::pod(pod) {
            Some(fact) => drop(view.pods.insert(key(pod), fact)),
            None => drop(view.pods.remove(&key(pod))),
        }),
        drop: |view, key| drop(view.pods.remove(key)),
        listed: |view, seen| {
            view.pods.retain(|key, _| seen.contains(key));
            view.synced.pods = true;
        },
    }
}

fn namespaces() -> Door<PartialObjectMeta<Namespace>> {
    Door {
        kind: "Namespace",
        put: Box::new(|view, namespace| {
            let pool = namespace.annotations().get(keys::ADDRESS_POOL).cloned();
            view.namespaces.insert(namespace.name_any(), pool);
        }),
        drop: |view, key| drop(view.namespaces.remove(&*key.name)),
        listed: |view, seen| {
            let names: BTreeSet<&str> = seen.iter().map(|key| &*key.name).collect();
            view.namespaces.retain(|name, _| names.contains(name.as_str()));
            view.synced.namespaces = true;
        },
    }
}

fn pools() -> Door<AddressPool> {
    Door {
        kind: "AddressPool",
        put: Box::new(|view, pool| match read::pool(pool) {
            Some(fact) => drop(view.pools.insert(pool.name_any(), fact)),
            None => drop(view.pools.remove(&pool.name_any())),
        }),
        drop: |view, key| drop(view.pools.remove(&*key.name)),
        listed: |view, seen| {
            view.pools.retain(|name, _| seen.contains(&ObjectKey::new("", name.clone())));
            view.synced.pools = true;
        },
    }
}

fn blocks(node: Arc<str>) -> Door<AddressBlock> {
    Door {
        kind: "AddressBlock",
        put: Box::new(move |view, block| match read::block(block, &node) {
            Some(fact) => drop(view.blocks.insert(block.name_any(), fact)),
            None => drop(view.blocks.remove(&block.name_any())),
        }),
        drop: |view, key| drop(view.blocks.remove(&*key.name)),
        listed: |view, seen| {
            view.blocks.retain(|name, _| seen.contains(&ObjectKey::new("", name.clone())));
            view.synced.blocks = true;
        },
    }
}

fn requests(node: Arc<str>) -> Door<BlockRequest> {
    Door {
        kind: "BlockRequest",
        put: Box::new(move |view, request| match read::request(request, &node) {
            Some(fact) => drop(view.requests.insert(request.name_any(), fact)),
            None => drop(view.requests.remove(&request.name_any())),
        }),
        drop: |view, key| drop(view.requests.remove(&*key.name)),
        listed: |view, seen| {
            view.requests.retain(|name, _| seen.contains(&ObjectKey::new("", name.clone())));
            view.synced.requests = true;
        },
    }
}
