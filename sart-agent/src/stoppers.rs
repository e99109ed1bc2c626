//! Writes the loop stoppers: an unreachable route per VIP in table 2179, and a rule per uplink that leads there. Removes only
//! what carries the agent's protocol id in that table.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use sart_fib::RouteAction;
use sart_fib::route::{PROTOCOL_AGENT, Route, RouteKey};
use sart_netlink::{OpenError, RequestError, RouteHandle, Rule};
use tokio::sync::watch;
use tracing::warn;

use crate::metrics::Metrics;
use crate::node::LoopStoppers;
use crate::node::routes::{RULE_PREFERENCE, TABLE};

/// Any metric does, the table is ours; IPv6 knows no metric 0.
const METRIC: u32 = 1024;
/// First wait after a failure; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Why the stoppers are not as ordered.
#[derive(Debug, thiserror::Error)]
enum StopperError {
    #[error("cannot reach the routing tables: {0}")]
    Open(#[from] OpenError),
    #[error("cannot change the loop stoppers of table 2179: {0}")]
    Request(#[from] RequestError),
    #[error("the kernel refused {count} of the loop stoppers, first: {first}")]
    Refused { count: usize, first: sart_netlink::ActionFailure },
}

/// What stands in the kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Installed {
    prefixes: BTreeSet<IpNet>,
    rules: BTreeSet<Rule>,
}

/// Follows the orders until the engine is gone.
pub async fn run(mut orders: watch::Receiver<Option<LoopStoppers>>, metrics: Metrics) {
    let mut wait = FIRST_WAIT;
    loop {
        let Err(error) = follow(&mut orders, &mut wait).await else { return };
        metrics.stopper_failures.inc();
        warn!(%error, "loop stoppers are not in place; trying again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        orders.mark_changed();
    }
}

/// `Ok` means that the engine is gone. After an error the kernel is read again.
async fn follow(
    orders: &mut watch::Receiver<Option<LoopStoppers>>,
    wait: &mut Duration,
) -> Result<(), StopperError> {
    let mut handle = RouteHandle::open()?;
    let mut installed = read(&mut handle).await?;
    while orders.changed().await.is_ok() {
        let Some(order) = orders.borrow_and_update().clone() else { continue };
        let wanted = wanted(&order);
        write(&mut handle, &installed, &wanted).await?;
        installed = wanted;
        *wait = FIRST_WAIT;
    }
    Ok(())
}

async fn read(handle: &mut RouteHandle) -> Result<Installed, StopperError> {
    let routes = handle.routes().await?;
    let ours = |route: &Route| route.key.table == TABLE && route.protocol == PROTOCOL_AGENT;
    let prefixes = routes.iter().map(|found| &found.route).filter(|route| ours(route));
    let rules = handle.rules().await?;
    Ok(Installed {
        prefixes: prefixes.map(|route| route.key.prefix).collect(),
        rules: rules
            .into_iter()
            .filter(|rule| rule.table == TABLE && rule.protocol == PROTOCOL_AGENT)
            .collect(),
    })
}

fn wanted(order: &LoopStoppers) -> Installed {
    let families: BTreeSet<bool> = order.prefixes.iter().map(|prefix| prefix.addr().is_ipv6()).collect();
    let rule = |name: &String, v6: bool| Rule {
        v6,
        input: Some(name.clone()),
        table: TABLE,
        preference: RULE_PREFERENCE,
        protocol: PROTOCOL_AGENT,
    };
    let rules = order.uplinks.iter().flat_map(|name| families.iter().map(move |v6| rule(name, *v6)));
    Installed { prefixes: order.prefixes.clone(), rules: rules.collect() }
}

/// Routes before the rules that lead to them; rules go before their routes.
async fn write(handle: &mut RouteHandle, from: &Installed, to: &Installed) -> Result<(), StopperError> {
    for rule in from.rules.difference(&to.rules) {
        handle.delete_rule(rule).await?;
    }
    let add = to.prefixes.difference(&from.prefixes).map(|prefix| RouteAction::Replace(stopper(*prefix)));
    let remove = from.prefixes.difference(&to.prefixes).map(|prefix| RouteAction::Delete(stopper(*prefix)));
    let actions: Vec<_> = add.chain(remove).collect();
    let failures = handle.apply(&actions).await?;
    for rule in to.rules.difference(&from.rules) {
        handle.add_rule(rule).await?;
    }
    let count = failures.len();
    match failures.into_iter().next() {
        None => Ok(()),
        Some(first) => Err(StopperError::Refused { count, first }),
    }
}

fn stopper(prefix: IpNet) -> Route {
    Route::unreachable(RouteKey { table: TABLE, prefix, metric: METRIC }, PROTOCOL_AGENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_uplink_gets_one_rule_per_family_in_use() {
        let order = LoopStoppers {
            uplinks: BTreeSet::from(["eth0".to_owned(), "eth1".to_owned()]),
            prefixes: BTreeSet::from(["10.0.1.0/32".parse().unwrap(), "2001:db8::1/128".parse().unwrap()]),
        };
        let wanted = wanted(&order);
        assert_eq!(wanted.rules.len(), 4);
        assert!(wanted.rules.iter().all(|rule| rule.table == 2179 && rule.preference == 31000));
        let none = super::wanted(&LoopStoppers { prefixes: BTreeSet::new(), ..order });
        assert_eq!(none, Installed::default());
    }
}
