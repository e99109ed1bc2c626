//! What a raw peer has been told so far: routes with their attributes as they came. Must never judge them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::raw_peer::{Message, NOTIFICATION, RawPeer, UPDATE};
use crate::update::{MP_REACH, MP_UNREACH, prefixes};

/// An attribute as it stood in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Flags, without the one for the length's size.
    pub flags: u8,
    /// What follows the header.
    pub value: Vec<u8>,
}

/// The attributes of a route by type; MP_REACH_NLRI is kept without its routes.
pub type Attributes = BTreeMap<u8, Attribute>;

/// A table of what one peer heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Attributes by prefix.
    pub routes: BTreeMap<String, Attributes>,
    /// Every message but KEEPALIVEs, in order, as (type, body).
    pub messages: Vec<Message>,
    /// End-of-RIB markers.
    pub ends_of_rib: usize,
}

impl Heard {
    /// Reads from `peer` until `wanted` holds.
    ///
    /// # Errors
    /// If it does not within `limit`, if a NOTIFICATION comes, or if the far end closes.
    pub fn until(
        &mut self,
        peer: &mut RawPeer,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while !wanted(self) {
            let left = end.saturating_duration_since(Instant::now());
            let known =
                || format!("waiting for {what}; heard of {:?}", self.routes.keys().collect::<Vec<_>>());
            let message = peer.receive(left).with_context(known)?;
            ensure!(message.kind != NOTIFICATION, "NOTIFICATION {:?} while waiting for {what}", message.body);
            self.take(message)?;
        }
        Ok(())
    }

    /// Reads until `prefix` is there.
    ///
    /// # Errors
    /// As [`Heard::until`].
    pub fn until_route(
        &mut self,
        peer: &mut RawPeer,
        prefix: &str,
        limit: Duration,
    ) -> anyhow::Result<Attributes> {
        self.until(peer, prefix, limit, |heard| heard.routes.contains_key(prefix))?;
        self.routes.get(prefix).cloned().context("a route that is there")
    }

    /// Books one message.
    ///
    /// # Errors
    /// If an UPDATE cannot be read.
    pub fn take(&mut self, message: Message) -> anyhow::Result<()> {
        if message.kind == UPDATE {
            self.update(&message.body)?;
        }
        if message.kind != crate::raw_peer::KEEPALIVE {
            self.messages.push(message);
        }
        Ok(())
    }

    fn update(&mut self, body: &[u8]) -> anyhow::Result<()> {
        let (withdrawn, rest) = counted(body).context("withdrawn routes")?;
        let (list, nlri) = counted(rest).context("attributes")?;
        let mut attributes = attributes(list)?;
        let unreached = attributes.remove(&MP_UNREACH);
        let mut reached = Vec::new();
        if let Some(reach) = attributes.get_mut(&MP_REACH) {
            let (afi, after) = reach.value.split_first_chunk::<2>().context("MP_REACH_NLRI")?;
            let next_hop = usize::from(*after.get(1).context("MP_REACH_NLRI")?);
            reached = prefixes(after.get(3 + next_hop..).context("MP_REACH_NLRI")?, *afi == [0, 2]);
            reach.value.truncate(4 + next_hop);
        }
        let announced = prefixes(nlri, false);
        let is_marker = withdrawn.is_empty() && announced.is_empty() && reached.is_empty();
        let gone =
            unreached.as_ref().map(|unreach| prefixes(&unreach.value[3..], unreach.value[..2] == [0, 2]));
        self.ends_of_rib += usize::from(is_marker && gone.as_ref().is_none_or(Vec::is_empty));
        for prefix in prefixes(withdrawn, false).into_iter().chain(gone.into_iter().flatten()) {
            self.routes.remove(&prefix);
        }
        for prefix in announced.into_iter().chain(reached) {
            self.routes.insert(prefix, attributes.clone());
        }
        Ok(())
    }
}

fn attributes(mut list: &[u8]) -> anyhow::Result<Attributes> {
    let mut found = Attributes::new();
    while let [flags, kind, rest @ ..] = list {
        let (length, rest) = match rest {
            [high, low, rest @ ..] if flags & 0x10 != 0 => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            [length, rest @ ..] if flags & 0x10 == 0 => (usize::from(*length), rest),
            _ => bail!("an attribute's header is cut off"),
        };
        let (value, rest) = rest.split_at_checked(length).context("an attribute is cut off")?;
        let earlier = found.insert(*kind, Attribute { flags: flags & 0xe0, value: value.to_vec() });
        ensure!(earlier.is_none(), "attribute {kind} came twice");
        list = rest;
    }
    ensure!(list.is_empty(), "octets after the last attribute");
    Ok(found)
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{MED, NON_TRANSITIVE, Update};

    fn message(update: &Update) -> Message {
        Message { kind: UPDATE, body: update.bytes()[19..].to_vec() }
    }

    #[test]
    fn what_was_built_is_heard_in_both_families() {
        let mut heard = Heard::default();
        let v4 = Update::announce(&["10.50.0.0/24", "10.0.0.0/7"], &[65_001], [10, 77, 0, 2].into());
        let v6 = Update::announce(&["2001:db8:1::/48"], &[65_001], std::net::Ipv6Addr::LOCALHOST.into());
        heard.take(message(&v4.attribute(NON_TRANSITIVE, MED, &[0, 0, 0, 9]))).unwrap();
        heard.take(message(&v6)).unwrap();
        assert_eq!(
            heard.routes.keys().collect::<Vec<_>>(),
            ["10.0.0.0/7", "10.50.0.0/24", "2001:db8:1::/48"]
        );
        assert_eq!(heard.routes["10.50.0.0/24"][&MED], Attribute { flags: 0x80, value: vec![0, 0, 0, 9] });
        assert_eq!(heard.routes["2001:db8:1::/48"][&MP_REACH].value.len(), 20);
        heard.take(message(&Update::withdraw(&["10.50.0.0/24"]))).unwrap();
        heard.take(message(&Update::withdraw(&["2001:db8:1::/48"]))).unwrap();
        assert_eq!(heard.routes.keys().collect::<Vec<_>>(), ["10.0.0.0/7"]);
        assert_eq!(heard.ends_of_rib, 0);
        heard.take(message(&Update::new())).unwrap();
        assert_eq!(heard.ends_of_rib, 1);
    }
}
