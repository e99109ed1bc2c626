//! Feeds the engine from the API server's watches. A failed watch is retried with growing, jittered pauses; nothing is dropped.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Service};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use sart_api::{
    AddressBlock, AddressClaim, AddressPool, BGPAdvertisement, BGPPeer, BGPPeerTemplate, BlockRequest,
    ClusterBGP, NodeBGP,
};
use tokio::sync::mpsc::Sender;

use crate::key::Name;
use crate::world::{Update, Watched, World};

/// Starts one watch per kind.
pub fn spawn(client: &Client, changes: &Sender<Update>) {
    start::<Node>(client, changes);
    start::<Service>(client, changes);
    start::<ClusterBGP>(client, changes);
    start::<BGPPeerTemplate>(client, changes);
    start::<NodeBGP>(client, changes);
    start::<BGPPeer>(client, changes);
    start::<BGPAdvertisement>(client, changes);
    start::<AddressPool>(client, changes);
    start::<AddressBlock>(client, changes);
    start::<BlockRequest>(client, changes);
    start::<AddressClaim>(client, changes);
}

fn start<T: Watched>(client: &Client, changes: &Sender<Update>) {
    let api: Api<T> = Api::all(client.clone());
    let changes = changes.clone();
    tokio::spawn(async move {
        let events = watcher(api, watcher::Config::default())
            .inspect_err(|error| tracing::warn!(kind = %T::kind(&()), %error, "watch failed; retrying"))
            .default_backoff();
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let Ok(event) = event else { continue };
            if changes.send(change(event)).await.is_err() {
                return;
            }
        }
    });
}

fn change<T: Watched>(event: watcher::Event<T>) -> Update {
    match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            Box::new(move |world: &mut World| world.put(object))
        }
        watcher::Event::Delete(object) => {
            let (name, uid) = (Name::of(&object), object.meta().uid.clone().unwrap_or_default());
            Box::new(move |world: &mut World| world.remove::<T>(&name, &uid))
        }
        watcher::Event::Init => Box::new(|world: &mut World| {
            T::cache(world).begin_list();
            Vec::new()
        }),
        watcher::Event::InitDone => Box::new(|world: &mut World| world.end_list::<T>()),
    }
}
