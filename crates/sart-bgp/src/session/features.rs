//! The extensions that are offered on request, and what two OPENs make of them (RFC 7911, RFC 8654, RFC 8950, RFC 9234).
//! Must never offer what is not configured.

use crate::config::{Features, NeighborConfig};
use crate::family::Family;
use crate::wire::capability::{AddPathMode, Capability, Role};
use crate::wire::notification::Notification;
use crate::wire::open::Open;

/// IPv4 unicast with next hops of AFI 2 (RFC 8950 section 4).
const V6_FOR_V4: (Family, u16) = (Family::IPV4_UNICAST, 2);

/// The capabilities for what is configured.
pub(crate) fn offered(neighbor: &NeighborConfig) -> Vec<Capability> {
    let (features, families) = (neighbor.features, neighbor.offered_families());
    let mut capabilities = Vec::new();
    if features.extended_messages {
        capabilities.push(Capability::ExtendedMessage);
    }
    if features.extended_next_hop && families.contains(&Family::IPV4_UNICAST) {
        capabilities.push(Capability::ExtendedNextHop(vec![V6_FOR_V4]));
    }
    let mode = match (features.add_path_receive, features.add_path_send > 0) {
        (true, true) => Some(AddPathMode::Both),
        (true, false) => Some(AddPathMode::Receive),
        (false, true) => Some(AddPathMode::Send),
        (false, false) => None,
    };
    let modes = mode.map(|mode| families.into_iter().map(|family| (family, mode)).collect());
    capabilities.extend(modes.map(Capability::AddPath));
    capabilities.extend(features.role.map(Capability::Role));
    capabilities
}

/// Families whose routes the neighbour sends with path identifiers.
pub(crate) fn path_ids(features: Features, open: &Open, families: &[Family]) -> Vec<Family> {
    if features.add_path_receive { add_path(open, families, AddPathMode::sends) } else { Vec::new() }
}

/// How many paths the neighbour is told with path identifiers.
pub(crate) fn send_paths(features: Features, open: &Open, families: &[Family]) -> Vec<(Family, u8)> {
    if features.add_path_send == 0 {
        return Vec::new();
    }
    let takes = add_path(open, families, AddPathMode::receives);
    takes.into_iter().map(|family| (family, features.add_path_send)).collect()
}

/// A mode other than 1 to 3 makes its family count as not named (RFC 7911 section 4), which reading has seen to.
fn add_path(open: &Open, families: &[Family], fits: fn(AddPathMode) -> bool) -> Vec<Family> {
    let theirs = open.capabilities.iter().flat_map(|capability| match capability {
        Capability::AddPath(modes) => modes.as_slice(),
        _ => &[],
    });
    let wanted = |(family, mode): &&(Family, AddPathMode)| fits(*mode) && families.contains(family);
    theirs.filter(wanted).map(|(family, _)| *family).collect()
}

/// Whether the neighbour takes IPv4 routes with IPv6 next hops.
pub(crate) fn takes_v6_for_v4(open: &Open) -> bool {
    open.capabilities.iter().any(|capability| match capability {
        Capability::ExtendedNextHop(pairs) => pairs.contains(&V6_FOR_V4),
        _ => false,
    })
}

/// RFC 9234 section 4.2. Several capabilities must say the same.
pub(crate) fn check_role(features: Features, open: &Open) -> Result<(), (Notification, String)> {
    let mismatch = |detail: String| Err((Notification::new(Notification::ROLE_MISMATCH), detail));
    let Some(ours) = features.role else { return Ok(()) };
    let mut theirs = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::Role(role) => Some(*role),
        _ => None,
    });
    let Some(first): Option<Role> = theirs.next() else {
        let silent = String::from("the neighbor does not say its role");
        return if features.strict_role { mismatch(silent) } else { Ok(()) };
    };
    if let Some(other) = theirs.find(|role| *role != first) {
        return mismatch(format!("the neighbor says to be both {first} and {other}"));
    }
    if ours.fits(first) {
        Ok(())
    } else {
        mismatch(format!("we are {ours} to the neighbor, it says to be {first} to us"))
    }
}
