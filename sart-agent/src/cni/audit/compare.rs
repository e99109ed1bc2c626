//! The comparison itself. Pure: the plan of a start, in words, and the journal beside the address book.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::addresses::Holding;
use super::super::attachment::{self, Attachment, AttachmentKey};
use super::super::journal::Ledger;
use super::super::network::Observed;
use super::super::reconcile::{Repair, plan};
use super::{Finding, Mend};

/// Every difference, in the order of [`plan`], and behind them those of the address book by key and address.
#[must_use]
pub fn compare(ledger: &Ledger, seen: &Observed, book: &[Holding]) -> Vec<Finding> {
    let repairs = plan(ledger, seen);
    // What is taken back takes its addresses along, what is let go lets them go: a second mending would undo the first.
    let settled: BTreeSet<AttachmentKey> = repairs.iter().filter_map(settles).cloned().collect();
    let mut findings: Vec<_> =
        repairs.into_iter().filter_map(|repair| difference(repair, ledger, seen)).collect();
    let mut held: BTreeMap<(&AttachmentKey, IpAddr), &Holding> = BTreeMap::new();
    held.extend(book.iter().map(|one| ((&one.key, one.address), one)));
    held.retain(|(key, _), _| !settled.contains(*key));
    for (key, (attachment, made)) in &ledger.live {
        if *made && !settled.contains(key) {
            findings.extend(unheld(attachment, book));
        }
    }
    findings.extend(held.into_values().filter_map(|one| misheld(one, ledger)));
    findings
}

/// The attachment whose addresses the repair puts in order as well.
fn settles(repair: &Repair) -> Option<&AttachmentKey> {
    match repair {
        Repair::Recover(attachment) => Some(&attachment.key),
        Repair::Release(key, _) => Some(key),
        Repair::Adopt(..) | Repair::Unlink(_) | Repair::Unroute(_) | Repair::Cool(_) => None,
    }
}

/// What a start would do, as something to tell; none where all is well.
fn difference(repair: Repair, ledger: &Ledger, seen: &Observed) -> Option<Finding> {
    let key = key_of(&repair, ledger, seen);
    let (reason, message) = match &repair {
        Repair::Unlink(_) => ("StaleLink", "the link is of an ADD or DEL that did not end".to_owned()),
        Repair::Unroute(_) => ("StaleRoute", "the route leads to no pod".to_owned()),
        Repair::Adopt(_, true) => (
            "MissingRoute",
            "a route or neighbour entry of the node for the pod is missing or another".to_owned(),
        ),
        Repair::Adopt(found, false)
            if ledger.live.get(&found.key).is_some_and(|(known, _)| known != found) =>
        {
            ("ChangedLink", format!("the link has index {}, which the journal does not know", found.ifindex))
        }
        Repair::Recover(_) => {
            ("UnknownLink", "the pod's link stands, but the journal has lost it".to_owned())
        }
        Repair::Release(key, _) if ledger.live.get(key).is_some_and(|(_, made)| *made) => {
            ("MissingLink", "the journal has the attachment, but its link is gone".to_owned())
        }
        Repair::Release(..) => ("HalfDone", "an ADD failed and was not undone".to_owned()),
        Repair::Adopt(_, false) | Repair::Cool(_) => return None,
    };
    let subject = match (&repair, &key) {
        (Repair::Unroute(route), _) => route.key.prefix.to_string(),
        (_, Some(key)) => key.to_string(),
        (Repair::Unlink(link), None) => link.clone(),
        _ => String::new(),
    };
    let mend = match repair {
        Repair::Release(key, _) => Mend::Delete(key),
        other => Mend::Restore(other),
    };
    Some(Finding { reason, subject, message, key, mend: Some(mend) })
}

/// Whose turn it takes; none for what nobody can own.
fn key_of(repair: &Repair, ledger: &Ledger, seen: &Observed) -> Option<AttachmentKey> {
    match repair {
        Repair::Adopt(attachment, _) | Repair::Recover(attachment) => Some(attachment.key.clone()),
        Repair::Release(key, _) => Some(key.clone()),
        Repair::Cool(gone) => Some(gone.key.clone()),
        Repair::Unlink(link) => owner(link, ledger, seen),
        Repair::Unroute(route) => {
            let ifindex = route.legs.first()?.ifindex;
            let link = seen.links.iter().find(|link| link.link.index == ifindex)?;
            owner(&link.link.name, ledger, seen)
        }
    }
}

/// By the alias; a key too long for it is found by the name that follows from it.
fn owner(link: &str, ledger: &Ledger, seen: &Observed) -> Option<AttachmentKey> {
    let named = seen.links.iter().find(|found| found.link.name == link);
    let mut known = ledger.live.keys().chain(ledger.gone.keys());
    let by_alias = named.and_then(|found| attachment::key_of(&found.alias));
    by_alias.or_else(|| known.find(|key| attachment::link_name(key) == link).cloned())
}

/// What the journal promises and the book does not hold.
fn unheld(attachment: &Attachment, book: &[Holding]) -> Option<Finding> {
    let missing =
        |address: &IpAddr| !book.iter().any(|one| one.key == attachment.key && one.address == *address);
    let address = attachment.ips().find(missing)?;
    let finding = |reason, message, mend| Finding {
        reason,
        subject: attachment.key.to_string(),
        message,
        key: Some(attachment.key.clone()),
        mend,
    };
    let other =
        book.iter().find(|one| attachment.ips().any(|ours| ours == one.address) && one.key != attachment.key);
    Some(match other {
        Some(other) => {
            let message =
                format!("{} is held by {} as well; recreate one of the two pods", other.address, other.key);
            finding("DuplicateAddress", message, None)
        }
        None => {
            let message = format!("{address} is not held in the address book and could be given again");
            finding("UnheldAddress", message, Some(Mend::Adopt(attachment.clone())))
        }
    })
}

/// What the book holds and should not, or not like this.
fn misheld(one: &Holding, ledger: &Ledger) -> Option<Finding> {
    let finding = |reason, message, mend| {
        let (subject, key) = (one.key.to_string(), Some(one.key.clone()));
        Some(Finding { reason, subject, message, key, mend })
    };
    let address = one.address;
    let Some((attachment, _)) = ledger.live.get(&one.key) else {
        let message = format!("{address} is held, but nothing is attached");
        return finding("HeldForNobody", message, Some(Mend::Release(one.key.clone())));
    };
    if !attachment.ips().any(|ours| ours == address) {
        let message = format!("{address} is held beside what the pod has; recreate the pod");
        return finding("HeldBeside", message, None);
    }
    if one.block.is_none() {
        let message = format!(
            "{address} lies in no block of this node; if `kubectl get addressblock` has none either, recreate the pod"
        );
        return finding("NoBlock", message, None);
    }
    if one.leaked {
        let message = format!(
            "no pod of this node has had {address} for five minutes; if the runtime has no sandbox {}, its GC or a DEL frees it",
            one.key.container
        );
        return finding("Leaked", message, None);
    }
    None
}

#[cfg(test)]
mod tests;
