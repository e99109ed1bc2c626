//! Makes the running speaker equal to a configuration: compares, and touches only what differs. Must never change
//! anything before the whole configuration was found good.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::neighbor::Neighbor;
use super::record::Step;
use super::{Applied, PathsUpdated, Running, Speaker, SpeakerOutput};
use crate::config::{Config, ConfigError, Global, LocalPath, NeighborConfig, PeerPolicies, PolicySource};
use crate::family::Family;
use crate::policy::{ChainConfig, PolicyConfig};
use crate::rib::{Rib, RibConfig};
use crate::session::{Input, Session, SessionConfig, farewell};
use crate::wire::notification::Notification;

impl Speaker {
    /// Makes the whole configuration equal to `config`; what is unchanged is not touched.
    ///
    /// # Errors
    /// The first fault of `config`; then nothing has changed.
    pub fn apply_config(&mut self, config: Config, now: Duration) -> Result<Applied, ConfigError> {
        config.check()?;
        let source = PolicySource::new(&config)?;
        let policies: BTreeMap<_, _> = config
            .neighbors
            .iter()
            .map(|neighbor| source.of(neighbor).map(|policies| (neighbor.address, policies)))
            .collect::<Result<_, _>>()?;
        self.note_config(&config, now);
        let paths_changed = self.apply_tables(&config, source, now);
        let kept: BTreeSet<_> = config.neighbors.iter().map(|neighbor| neighbor.address).collect();
        let gone: Vec<_> = self.neighbors.keys().filter(|address| !kept.contains(address)).copied().collect();
        let mut applied =
            Applied { neighbors_removed: gone.len() as u32, paths_changed, ..Applied::default() };
        for address in gone {
            self.remove_neighbor(address, now);
        }
        for neighbor in config.neighbors {
            let session =
                SessionConfig { asn: config.global.asn, router_id: config.global.router_id, neighbor };
            self.apply_neighbor(session, &mut applied, now);
        }
        self.apply_policies(policies);
        self.settle.configured(now);
        self.send_all(now);
        Ok(applied)
    }

    /// Sessions that are up keep going; what they sent and were told is judged again where a chain changed.
    fn apply_policies(&mut self, policies: BTreeMap<IpAddr, PeerPolicies>) {
        let Some(running) = &mut self.running else { return };
        for (address, policies) in policies {
            running.rib.set_policies(address, policies);
        }
    }

    /// Changes identity and switches only. A new AS number or router id restarts every session.
    ///
    /// # Errors
    /// The first fault of `global`; then nothing has changed.
    pub fn set_global(&mut self, global: Global, now: Duration) -> Result<(), ConfigError> {
        let config = Config {
            global,
            neighbors: self.neighbor_configs(),
            paths: self.local_paths(),
            policy: self.policy(),
        };
        self.apply_config(config, now).map(|_| ())
    }

    /// Adds one neighbour.
    ///
    /// # Errors
    /// If there is no identity yet, a field is wrong, or address or name are taken.
    pub fn add_neighbor(&mut self, neighbor: NeighborConfig, now: Duration) -> Result<(), ConfigError> {
        let mut config = self.config()?;
        if let Some(old) = config.neighbors.iter().find(|old| old.address == neighbor.address) {
            return Err(ConfigError::NeighborExists { address: old.address, name: old.name.clone() });
        }
        config.neighbors.push(neighbor);
        self.apply_config(config, now).map(|_| ())
    }

    /// Removes one neighbour; its session ends with Cease/Peer De-configured.
    ///
    /// # Errors
    /// If no neighbour has that address.
    pub fn delete_neighbor(&mut self, address: IpAddr, now: Duration) -> Result<(), ConfigError> {
        self.known(address)?;
        self.note(now, || Step::DeleteNeighbor { peer: address });
        self.remove_neighbor(address, now);
        self.send_all(now);
        Ok(())
    }

    /// Takes one neighbour down with a text for its operator, or up again; [`NeighborConfig::shutdown`] says the same in a
    /// configuration.
    ///
    /// # Errors
    /// If no neighbour has that address or the text is too long.
    pub fn set_shutdown(
        &mut self,
        address: IpAddr,
        shutdown: Option<String>,
        now: Duration,
    ) -> Result<(), ConfigError> {
        let mut config = self.config()?;
        let neighbor = config.neighbors.iter_mut().find(|neighbor| neighbor.address == address);
        neighbor.ok_or(ConfigError::UnknownNeighbor { address })?.shutdown = shutdown;
        self.apply_config(config, now).map(|_| ())
    }

    /// Ends one session with Cease/Administrative Reset and a text, and begins anew; also ends a pause after a prefix limit.
    ///
    /// # Errors
    /// If no neighbour has that address.
    pub fn reset(&mut self, address: IpAddr, text: &str, now: Duration) -> Result<(), ConfigError> {
        self.known(address)?;
        self.note(now, || Step::Reset { peer: address, text: text.to_owned() });
        self.feed(address, Input::Reset(farewell::reset(text)), now);
        self.send_all(now);
        Ok(())
    }

    /// Asks one neighbour for all its routes again, where it knows how (RFC 2918).
    ///
    /// # Errors
    /// If no neighbour has that address.
    pub fn ask_refresh(&mut self, address: IpAddr, now: Duration) -> Result<(), ConfigError> {
        self.known(address)?;
        self.note(now, || Step::AskRefresh { peer: address });
        for family in Family::SUPPORTED {
            self.feed(address, Input::AskRefresh(family), now);
        }
        self.send_all(now);
        Ok(())
    }

    fn known(&self, address: IpAddr) -> Result<(), ConfigError> {
        let known = self.neighbors.contains_key(&address);
        if known { Ok(()) } else { Err(ConfigError::UnknownNeighbor { address }) }
    }

    /// Originates and withdraws own paths in one pass. Repeating an upsert with equal content sends nothing.
    ///
    /// # Errors
    /// If nothing is configured, a prefix has host bits, or one is given twice among the upserts; then nothing has
    /// changed.
    pub fn update_paths(
        &mut self,
        upserts: Vec<LocalPath>,
        withdrawals: &[IpNet],
        now: Duration,
    ) -> Result<PathsUpdated, ConfigError> {
        crate::config::check_paths(&upserts)?;
        if self.running.is_none() {
            return Err(ConfigError::NoGlobal);
        }
        self.note(now, || Step::UpdatePaths { upserts: upserts.clone(), withdrawals: withdrawals.to_vec() });
        let rib = &mut self.running.as_mut().ok_or(ConfigError::NoGlobal)?.rib;
        let mut updated = PathsUpdated::default();
        for prefix in withdrawals {
            if rib.withdraw(prefix) {
                updated.changed += 1;
            } else {
                updated.unknown += 1;
            }
        }
        for path in upserts {
            updated.changed += u32::from(rib.originate(path, now));
        }
        self.send_all(now);
        Ok(updated)
    }

    /// Ends every session with Cease/Administrative Shutdown and a text for the neighbours' operators, and dials no more
    /// until a configuration is applied.
    pub fn shutdown(&mut self, text: &str, now: Duration) {
        self.note(now, || Step::Shutdown { text: text.to_owned() });
        self.feed_all(&Input::Stop(farewell::shutdown(text)), now);
    }

    /// Tells every neighbour to use other routes than ours while they still work (RFC 8326), or takes that back. Sessions
    /// stay up: give the neighbours time, then call [`Speaker::shutdown`].
    ///
    /// # Errors
    /// If nothing is configured.
    pub fn drain(&mut self, draining: bool, now: Duration) -> Result<(), ConfigError> {
        let mut config = self.config()?;
        config.global.graceful_shutdown = draining;
        self.apply_config(config, now).map(|_| ())
    }

    /// Closes every connection without a NOTIFICATION and dials no more until a configuration is applied: we come back
    /// soon, and a neighbour that knows graceful restart keeps our routes meanwhile (RFC 4724 section 4.1).
    pub fn leave_for_restart(&mut self, now: Duration) {
        self.note(now, || Step::LeaveForRestart);
        self.feed_all(&Input::Abandon, now);
    }

    fn feed_all(&mut self, input: &Input<'_>, now: Duration) {
        for address in self.neighbors.keys().copied().collect::<Vec<_>>() {
            self.feed(address, input.clone(), now);
        }
        self.send_all(now);
    }

    /// The own paths, in order of prefix.
    #[must_use]
    pub fn local_paths(&self) -> Vec<LocalPath> {
        self.running.iter().flat_map(|running| running.rib.locals().cloned()).collect()
    }

    /// Sets and policies, as they were configured.
    #[must_use]
    pub fn policy(&self) -> PolicyConfig {
        self.running.as_ref().map(|running| running.policy.clone()).unwrap_or_default()
    }

    /// Changes sets and policies only; sessions stay, routes are judged again.
    ///
    /// # Errors
    /// If nothing is configured or the policies have a fault; then nothing has changed.
    pub fn set_policy(&mut self, policy: PolicyConfig, now: Duration) -> Result<(), ConfigError> {
        let config = Config { policy, ..self.config()? };
        self.apply_config(config, now).map(|_| ())
    }

    /// Changes the chains of one neighbour only; its session stays.
    ///
    /// # Errors
    /// If no neighbour has that address or a chain has a fault; then nothing has changed.
    pub fn set_neighbor_policy(
        &mut self,
        address: IpAddr,
        (import, export): (Option<ChainConfig>, Option<ChainConfig>),
        now: Duration,
    ) -> Result<(), ConfigError> {
        let mut config = self.config()?;
        let neighbor = config.neighbors.iter_mut().find(|neighbor| neighbor.address == address);
        let neighbor = neighbor.ok_or(ConfigError::UnknownNeighbor { address })?;
        (neighbor.import, neighbor.export) = (import, export);
        self.apply_config(config, now).map(|_| ())
    }

    /// What the chains of the running configuration are made of; `None` while there is none.
    #[must_use]
    pub fn policy_source(&self) -> Option<&PolicySource> {
        self.running.as_ref().map(|running| &running.source)
    }

    fn config(&self) -> Result<Config, ConfigError> {
        let global = self.global().ok_or(ConfigError::NoGlobal)?.clone();
        Ok(Config {
            global,
            neighbors: self.neighbor_configs(),
            paths: self.local_paths(),
            policy: self.policy(),
        })
    }

    /// The neighbours as configured, in order of address.
    #[must_use]
    pub fn neighbor_configs(&self) -> Vec<NeighborConfig> {
        self.neighbors.values().map(|neighbor| neighbor.session.config().neighbor.clone()).collect()
    }

    /// Rules and own paths. How many of the latter changed.
    fn apply_tables(&mut self, config: &Config, source: PolicySource, now: Duration) -> u32 {
        let global = &config.global;
        let rules = RibConfig {
            cluster_id: global.cluster_id,
            decision: global.decision,
            reject_as_sets: global.reject_as_sets,
            transit: global.transit,
            track_next_hops: global.track_next_hops,
            ..RibConfig::new(global.asn, global.router_id)
        };
        let running = self.running.get_or_insert_with(|| {
            let mut rib = Rib::new(rules.clone(), self.seed);
            rib.attend_next_hops(self.tracked);
            Running { global: global.clone(), policy: config.policy.clone(), source: source.clone(), rib }
        });
        let metrics = &global.next_hop_metrics;
        let known = core::mem::replace(&mut running.global, global.clone()).next_hop_metrics;
        running.policy.clone_from(&config.policy);
        running.source = source;
        running.rib.set_fed(self.fed);
        running.rib.configure(rules);
        for gone in known.keys().filter(|next_hop| !metrics.contains_key(next_hop)) {
            running.rib.set_igp_metric(*gone, None);
        }
        for (next_hop, metric) in metrics {
            running.rib.set_igp_metric(*next_hop, Some(*metric));
        }
        let wanted: BTreeSet<_> = config.paths.iter().map(|path| path.prefix).collect();
        let gone: Vec<_> =
            running.rib.locals().map(|path| path.prefix).filter(|prefix| !wanted.contains(prefix)).collect();
        let withdrawn = gone.iter().filter(|prefix| running.rib.withdraw(prefix)).count();
        let changed = config.paths.iter().filter(|path| running.rib.originate((*path).clone(), now)).count();
        (withdrawn + changed) as u32
    }

    fn apply_neighbor(&mut self, config: SessionConfig, applied: &mut Applied, now: Duration) {
        let address = config.neighbor.address;
        let Some(neighbor) = self.neighbors.get_mut(&address) else {
            applied.neighbors_added += 1;
            let session = Session::new(config, seed_of(self.seed, address));
            self.neighbors.insert(address, Neighbor::new(session));
            self.outputs.push_back(SpeakerOutput::NeighborChanged { peer: address });
            self.run_or_not(address, now);
            return;
        };
        if *neighbor.session.config() != config {
            let wanted = config.neighbor.clone();
            if neighbor.session.config().neighbor.export_limit != wanted.export_limit {
                neighbor.withheld.clear();
            }
            let (outputs, reset) = neighbor.session.reconfigure(config, now);
            applied.neighbors_reset += u32::from(reset);
            self.follow(address, outputs, now);
            if let Some(running) = &mut self.running {
                running.rib.set_groups(address, &wanted.groups);
                running.rib.set_reflector_client(address, wanted.reflector_client);
                running.rib.set_enforce_first_as(address, wanted.enforce_first_as);
                running.rib.set_export_limit(address, wanted.export_limit);
            }
            self.outputs.push_back(SpeakerOutput::NeighborChanged { peer: address });
        }
        self.run_or_not(address, now);
    }

    /// Starts a session or keeps it down, as configured. Does nothing to one that is where it should be.
    fn run_or_not(&mut self, address: IpAddr, now: Duration) {
        let Some(neighbor) = self.neighbors.get(&address) else { return };
        let input = match &neighbor.session.config().neighbor.shutdown {
            None => Input::Start,
            Some(text) => Input::Stop(farewell::shutdown(text)),
        };
        self.feed(address, input, now);
    }

    fn remove_neighbor(&mut self, address: IpAddr, now: Duration) {
        self.feed(address, Input::Stop(Notification::new(Notification::PEER_DECONFIGURED)), now);
        self.neighbors.remove(&address);
        self.outputs.push_back(SpeakerOutput::NeighborDeleted { peer: address });
    }
}

/// A seed of its own for every neighbour, so that timers do not run in step (FNV-1a).
fn seed_of(seed: u64, address: IpAddr) -> u64 {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    octets.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
