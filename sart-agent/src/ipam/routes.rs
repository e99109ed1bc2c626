//! Covering routes: a blackhole per block of this node in the main table, so that a packet to an address nobody holds ends
//! here instead of circling to the router and back. Touches only routes of its own protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use sart_fib::RouteAction;
use sart_fib::route::{PROTOCOL_BLOCK, Route, RouteKey, RouteKind, TABLE_MAIN};
use sart_netlink::RouteHandle;
use tokio::sync::watch;
use tracing::warn;

use super::book::AddressBook;
use super::error::RouteFailure;

/// Worse than the route to a pod (1024): in a block of one address both have the same prefix.
const METRIC: u32 = 4096;
/// The kernel is read again after this time, whatever happens: somebody may have flushed the table.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// Wait after a failure.
const WAIT: Duration = Duration::from_millis(500);

/// Follows the orders until the agent ends. `None` leaves the kernel as it is: the blocks have not been listed yet.
pub async fn run(mut orders: watch::Receiver<Option<BTreeSet<IpNet>>>, book: AddressBook) {
    loop {
        let Err(error) = follow(&mut orders, &book).await else { return };
        warn!(%error, "will be tried again");
        tokio::time::sleep(WAIT).await;
    }
}

async fn follow(
    orders: &mut watch::Receiver<Option<BTreeSet<IpNet>>>,
    book: &AddressBook,
) -> Result<(), RouteFailure> {
    let mut handle = RouteHandle::open()?;
    loop {
        let wanted = orders.borrow_and_update().clone();
        let standing = match wanted {
            Some(wanted) => settle(&mut handle, &wanted).await?,
            None => read(&mut handle).await?,
        };
        book.routes_stand(standing);
        tokio::select! {
            changed = orders.changed() => if changed.is_err() {
                return Ok(());
            },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Makes the kernel hold just these, and returns what it holds.
async fn settle(handle: &mut RouteHandle, wanted: &BTreeSet<IpNet>) -> Result<BTreeSet<IpNet>, RouteFailure> {
    let standing = read(handle).await?;
    let add = wanted.difference(&standing).map(|net| RouteAction::Replace(blackhole(*net)));
    let remove = standing.difference(wanted).map(|net| RouteAction::Delete(blackhole(*net)));
    let actions: Vec<RouteAction> = add.chain(remove).collect();
    if actions.is_empty() {
        return Ok(standing);
    }
    let failures = handle.apply(&actions).await?;
    let count = failures.len();
    match failures.into_iter().next() {
        None => read(handle).await,
        Some(first) => Err(RouteFailure::Refused { count, first }),
    }
}

async fn read(handle: &mut RouteHandle) -> Result<BTreeSet<IpNet>, RouteFailure> {
    let routes = handle.routes().await?;
    let ours = |route: &Route| {
        route.key.table == TABLE_MAIN
            && route.protocol == PROTOCOL_BLOCK
            && route.kind == RouteKind::Blackhole
    };
    Ok(routes.into_iter().map(|found| found.route).filter(ours).map(|route| route.key.prefix).collect())
}

fn blackhole(prefix: IpNet) -> Route {
    let key = RouteKey { table: TABLE_MAIN, prefix, metric: METRIC };
    Route { key, protocol: PROTOCOL_BLOCK, kind: RouteKind::Blackhole, legs: Vec::new() }
}
