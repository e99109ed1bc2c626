//! Puts one event into the view and marks what it touched. Plans nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use tracing::{info, warn};

use super::Engine;
use crate::event::{Event, Fact, Kind, SpeakerEvent};
use crate::node::{Announced, Change, Forwarding, ObjectKey, Proxy, SpeakerLink, SpeakerView, report};

impl Engine {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Fact { key, fact, at } => self.take_fact(key, fact, at),
            Event::Listed(kind, seen) => self.take_listed(kind, &seen),
            Event::Speaker(event) => self.take_speaker(event),
            Event::Forwarding(forwarding) => self.take_forwarding(forwarding),
            Event::Proxy(proxy) => self.take_proxy(proxy),
            Event::OwnBlocks(own) => {
                self.observed.blocks = own.announce;
                self.own_blocks = Some(own.all);
            }
            Event::LostBlocks(lost) => {
                self.observed.lost_blocks = lost;
                self.report_due = true;
            }
            Event::Uplinks(uplinks) => {
                info!(?uplinks, "uplinks towards the BGP peers");
                self.observed.uplinks = Some(uplinks);
                self.planner.mark(Change::Everything);
            }
        }
    }

    fn take_fact(&mut self, key: ObjectKey, fact: Fact, at: Instant) {
        let view = &mut self.observed;
        let touched = match fact {
            Fact::EndpointSlice(Some((service, slice))) => {
                self.since.get_or_insert(at);
                view.slices.set(key, service, slice)
            }
            Fact::EndpointSlice(None) => {
                self.since.get_or_insert(at);
                view.slices.remove(&key).into_iter().collect()
            }
            Fact::BlockAdvertisement(block) => {
                view.block_adverts.insert(key.clone(), block);
                view.adverts.remove(&key).into_iter().collect()
            }
            Fact::Advertisement(Some(advert)) => view.adverts.set(key, advert.service.clone(), advert),
            Fact::Advertisement(None) => {
                view.block_adverts.remove(&key);
                view.adverts.remove(&key).into_iter().collect()
            }
            Fact::Service(Some(service)) => {
                view.services.insert(key.clone(), service);
                vec![key]
            }
            Fact::Service(None) => {
                view.services.remove(&key);
                vec![key]
            }
            wide => return self.take_node_fact(key, wide),
        };
        touched.into_iter().for_each(|service| self.planner.mark(Change::Service(service)));
    }

    fn take_node_fact(&mut self, key: ObjectKey, fact: Fact) {
        match fact {
            Fact::Node(node) => self.observed.node = node,
            Fact::NodeBgp(found) => {
                let (bgp, status) = found.unzip();
                self.observed.bgp = bgp;
                self.node_status = status.unwrap_or_default();
                self.losses.speaker.get_or_insert(self.node_status.backoff);
            }
            Fact::BgpPeer(found) => self.take_peer(&key.name, found),
            Fact::Service(_)
            | Fact::EndpointSlice(_)
            | Fact::Advertisement(_)
            | Fact::BlockAdvertisement(_) => {}
        }
        self.report_due = true;
        self.planner.mark(Change::Everything);
    }

    fn take_peer(&mut self, name: &str, found: Option<(crate::node::PeerFact, sart_api::BGPPeerStatus)>) {
        if let Some((peer, status)) = found {
            self.losses.peers.entry(name.to_owned()).or_insert(status.backoff);
            self.observed.peers.insert(name.to_owned(), peer);
            self.peer_statuses.insert(name.to_owned(), status);
        } else {
            self.losses.peers.remove(name);
            self.observed.peers.remove(name);
            self.peer_statuses.remove(name);
        }
        self.look_for_uplinks();
    }

    /// Only a complete list of peers says which links count: half of one would detach the other half's uplink.
    fn look_for_uplinks(&self) {
        if self.observed.synced.peers {
            let peers = self.observed.peers.values();
            self.outputs.neighbours(peers.filter_map(|peer| peer.address.clone().ok()).collect());
        }
    }

    /// Drops what a complete list no longer has.
    fn take_listed(&mut self, kind: Kind, seen: &BTreeSet<ObjectKey>) {
        let view = &self.observed;
        let named = |name: &String| ObjectKey::new("", name.clone());
        let gone: Vec<ObjectKey> = match kind {
            Kind::EndpointSlice => view.slices.unseen(seen),
            Kind::Advertisement => {
                let blocks = view.block_adverts.keys().filter(|key| !seen.contains(key)).cloned();
                view.adverts.unseen(seen).into_iter().chain(blocks).collect()
            }
            Kind::Service => view.services.keys().filter(|key| !seen.contains(key)).cloned().collect(),
            Kind::BgpPeer => view.peers.keys().map(named).filter(|key| !seen.contains(key)).collect(),
            Kind::Node | Kind::NodeBgp if seen.is_empty() => vec![ObjectKey::new("", "")],
            Kind::Node | Kind::NodeBgp => Vec::new(),
        };
        for key in gone {
            self.take_fact(key, Fact::absent(kind), Instant::now());
        }
        self.mark_synced(kind);
    }

    fn mark_synced(&mut self, kind: Kind) {
        let synced = &mut self.observed.synced;
        let slot = match kind {
            Kind::Node => &mut synced.node,
            Kind::NodeBgp => &mut synced.bgp,
            Kind::BgpPeer => &mut synced.peers,
            Kind::Advertisement => &mut synced.adverts,
            Kind::Service => &mut synced.services,
            Kind::EndpointSlice => &mut synced.slices,
        };
        *slot = true;
        if kind == Kind::BgpPeer {
            self.look_for_uplinks();
        }
        self.planner.mark(Change::Everything);
    }

    fn take_forwarding(&mut self, forwarding: Forwarding) {
        if let Forwarding::Refused { reason, message } = &forwarding
            && forwarding != self.observed.forwarding
        {
            warn!(reason, message, "the kernel does not run our programs; kube-proxy serves");
        }
        self.report_due = true;
        let old = std::mem::replace(&mut self.observed.forwarding, forwarding);
        if std::mem::discriminant(&old) != std::mem::discriminant(&self.observed.forwarding) {
            self.planner.mark(Change::Everything);
        }
        let (
            Forwarding::Serving { rows: was, refused: not, attached: on, .. },
            Forwarding::Serving { rows, refused, attached, .. },
        ) = (&old, &self.observed.forwarding)
        else {
            return;
        };
        if on != attached || not != refused {
            self.planner.mark(Change::Everything);
        }
        let changed = rows.iter().filter(|(vip, row)| was.get(vip) != Some(row)).map(|(vip, _)| vip);
        let lost = was.keys().filter(|vip| !rows.contains_key(vip));
        changed.chain(lost).for_each(|vip| self.planner.mark(Change::Vip(vip.address)));
    }

    fn take_proxy(&mut self, proxy: Proxy) {
        if let Proxy::Unproven { message } = &proxy {
            warn!(message, "kube-proxy gives no serving proof");
        }
        let old = std::mem::replace(&mut self.observed.proxy, proxy);
        if let (Proxy::Healthy { rules: was }, Proxy::Healthy { rules }) = (&old, &self.observed.proxy) {
            // kube-proxy writes its rules for every Service that changes anywhere: only what moved is planned again.
            for address in was.differing_addresses(rules) {
                self.planner.mark(Change::Vip(address));
            }
        } else if old != self.observed.proxy {
            self.planner.mark(Change::Everything);
        }
    }

    fn take_speaker(&mut self, event: SpeakerEvent) {
        self.report_due = true;
        let view = &mut self.observed.speaker;
        match event {
            SpeakerEvent::Up { running, announced } => {
                info!(?running, paths = announced.len(), "connected to the speaker");
                let announced = announced.into_iter().map(|prefix| (prefix, Announced::Recovered)).collect();
                *view = SpeakerView { link: SpeakerLink::Up, running, announced, ..SpeakerView::default() };
                self.planner.mark(Change::Everything);
            }
            SpeakerEvent::Down(message) => self.take_loss(message),
            SpeakerEvent::Confirmed { running, announced, refusal } => {
                view.running = Some(running);
                view.refusal = refusal;
                let old = std::mem::replace(&mut view.announced, announced);
                let changed = old.keys().filter(|prefix| !view.announced.contains_key(prefix));
                let new = view.announced.keys().filter(|prefix| !old.contains_key(prefix));
                changed.chain(new).for_each(|prefix| self.planner.mark(Change::Vip(prefix.addr())));
            }
            SpeakerEvent::Session(address, session) => {
                let was = view.sessions.insert(address, session);
                let up = was.is_some_and(|was| was.state == report::ESTABLISHED);
                if up && view.sessions[&address].state != report::ESTABLISHED {
                    self.count_loss(address);
                }
            }
            SpeakerEvent::SessionGone(address) => {
                view.sessions.remove(&address);
            }
            SpeakerEvent::SessionsListed => self.sessions_listed = true,
        }
    }

    fn take_loss(&mut self, message: String) {
        let view = std::mem::replace(&mut self.observed.speaker, SpeakerView::down(message.clone()));
        self.planner.mark(Change::Everything);
        if view.link != SpeakerLink::Up {
            return;
        }
        warn!(message, "lost the speaker");
        let lost = view.sessions.iter().filter(|(_, session)| session.state == report::ESTABLISHED);
        let lost: Vec<_> = lost.map(|(address, _)| *address).collect();
        lost.into_iter().for_each(|address| self.count_loss(address));
        if view.running.is_some() {
            *self.losses.speaker.get_or_insert_default() += 1;
        }
    }

    fn count_loss(&mut self, address: std::net::IpAddr) {
        let mut peers = self.observed.peers.iter();
        let name = peers.find(|(_, peer)| peer.address == Ok(address)).map(|(name, _)| name.clone());
        if let Some(name) = name {
            *self.losses.peers.entry(name).or_default() += 1;
        }
    }
}
