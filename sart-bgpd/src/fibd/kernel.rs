//! Our view of the kernel's tables: a dump, kept up to date with our own writes, and thrown away whenever somebody else
//! changed something.

use std::collections::BTreeMap;

use sart_fib::{KernelRoute, RouteAction, RouteKey};
use sart_netlink::{RequestError, RouteHandle};

/// Writes of one plan that are followed in the view; after more of them a new dump is cheaper.
const FOLLOWED: usize = 256;

/// The view and the socket behind it.
pub struct Kernel {
    handle: RouteHandle,
    routes: Vec<KernelRoute>,
    links: BTreeMap<u32, String>,
    stale: bool,
}

impl Kernel {
    /// A view that has not looked yet.
    pub fn new(handle: RouteHandle) -> Self {
        Self { handle, routes: Vec::new(), links: BTreeMap::new(), stale: true }
    }

    /// The address that the kernel stamps on the notifications of our writes.
    pub fn port(&self) -> u32 {
        self.handle.port()
    }

    /// The routes as last seen, with our writes since.
    pub fn routes(&self) -> &[KernelRoute] {
        &self.routes
    }

    /// Interface names by index.
    pub fn links(&self) -> &BTreeMap<u32, String> {
        &self.links
    }

    /// Somebody else changed something: look again before the next plan.
    pub fn forget(&mut self) {
        self.stale = true;
    }

    /// Looks again if needed; true if it did.
    pub async fn refresh(&mut self) -> Result<bool, RequestError> {
        if !self.stale {
            return Ok(false);
        }
        self.routes = self.handle.routes().await?;
        let links = self.handle.links().await?;
        self.links = links.into_iter().map(|link| (link.index, link.name)).collect();
        self.stale = false;
        Ok(true)
    }

    /// Carries out a plan and returns the refusals by route. After any failure the view is not trusted any more.
    pub async fn apply(
        &mut self,
        actions: &[RouteAction],
    ) -> Result<BTreeMap<RouteKey, String>, RequestError> {
        let failures = match self.handle.apply(actions).await {
            Ok(failures) => failures,
            Err(error) => {
                self.stale = true;
                return Err(error);
            }
        };
        self.stale |= !failures.is_empty() || actions.len() > FOLLOWED;
        if !self.stale {
            actions.iter().for_each(|action| self.write(action));
        }
        let refused = failures.into_iter().filter_map(|failure| {
            let key = actions.get(failure.index)?.route().key;
            Some((key, format!("the kernel refused the route: {}", failure.refusal)))
        });
        Ok(refused.collect())
    }

    fn write(&mut self, action: &RouteAction) {
        let wanted = action.route();
        let same =
            |found: &KernelRoute| found.route.key == wanted.key && found.route.protocol == wanted.protocol;
        let at = self.routes.iter().position(same);
        match (action, at) {
            (RouteAction::Delete(_), Some(at)) => {
                self.routes.swap_remove(at);
            }
            (RouteAction::Delete(_), None) => {}
            (_, Some(at)) => self.routes[at] = KernelRoute::up(wanted.clone()),
            (_, None) => self.routes.push(KernelRoute::up(wanted.clone())),
        }
    }
}
