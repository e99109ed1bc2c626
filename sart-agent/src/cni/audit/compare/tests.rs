//! Each difference by its word, and silence where there is none.

use std::time::SystemTime;

use super::*;
use crate::cni::journal::{Gone, Record};
use crate::cni::reconcile::tests::{ledger, made, observed};

fn book(whole: &[&Attachment]) -> Vec<Holding> {
    let block = Some("p-0".to_owned());
    let all = whole.iter().flat_map(|of| of.ips().map(|address| (of.key.clone(), address)));
    all.map(|(key, address)| Holding { key, address, block: block.clone(), leaked: false }).collect()
}

fn words(findings: &[Finding]) -> Vec<(&str, bool)> {
    findings.iter().map(|finding| (finding.reason, finding.is_mendable())).collect()
}

#[test]
fn what_agrees_is_not_mentioned() {
    let (a, b) = (made("a", "10.0.0.1", 7), made("b", "fd00::1", 8));
    let gone = Gone::new(made("c", "10.0.0.3", 9).key, Vec::new(), SystemTime::UNIX_EPOCH);
    let ledger = ledger(&[Record::Made(a.clone()), Record::Made(b.clone()), Record::Gone(gone)]);
    assert_eq!(compare(&ledger, &observed(&[&a, &b]), &book(&[&a, &b])), []);
}

#[test]
fn each_difference_of_the_kernel_has_its_word() {
    let a = made("a", "10.0.0.1", 7);
    let journal = ledger(&[Record::Made(a.clone())]);
    let mut unrouted = observed(&[&a]);
    unrouted.routes.clear();
    assert_eq!(words(&compare(&journal, &unrouted, &book(&[&a]))), [("MissingRoute", true)]);
    let elsewhere = ledger(&[Record::Made(Attachment { ifindex: 5, ..a.clone() })]);
    assert_eq!(words(&compare(&elsewhere, &observed(&[&a]), &book(&[&a]))), [("ChangedLink", true)]);
    let nothing = Observed::default();
    assert_eq!(words(&compare(&journal, &nothing, &book(&[&a]))), [("MissingLink", true)]);
    let begun = ledger(&[Record::Begun(a.clone())]);
    assert_eq!(words(&compare(&begun, &nothing, &book(&[&a]))), [("HalfDone", true)]);
    let lost = compare(&Ledger::default(), &observed(&[&a]), &[]);
    assert_eq!(words(&lost), [("UnknownLink", true)]);
}

#[test]
fn a_link_that_outlived_its_del_is_named_by_its_attachment_and_its_route_by_its_prefix() {
    let a = made("a", "10.0.0.1", 7);
    let gone = Gone::new(a.key.clone(), a.addresses.clone(), SystemTime::UNIX_EPOCH);
    let findings = compare(&ledger(&[Record::Made(a.clone()), Record::Gone(gone)]), &observed(&[&a]), &[]);
    assert_eq!(words(&findings), [("StaleLink", true), ("StaleRoute", true)]);
    assert_eq!(findings[0].subject, "net/a/eth0");
    assert_eq!(findings[1].subject, "10.0.0.1/32");
    assert!(findings.iter().all(|finding| finding.key.as_ref() == Some(&a.key)), "both wait for its turn");
}

#[test]
fn each_difference_of_the_book_has_its_word_and_a_guess_is_not_mended() {
    let (a, b) = (made("a", "10.0.0.1", 7), made("b", "10.0.0.2", 8));
    let (journal, seen) = (ledger(&[Record::Made(a.clone())]), observed(&[&a]));
    let found = |held: &[Holding]| {
        let findings = compare(&journal, &seen, held);
        words(&findings).into_iter().map(|(word, mend)| (word.to_owned(), mend)).collect::<Vec<_>>()
    };
    let one = |word: &str, mend| vec![(word.to_owned(), mend)];
    assert_eq!(found(&[]), one("UnheldAddress", true));
    assert_eq!(found(&book(&[&a, &b])), one("HeldForNobody", true));
    let [held] = book(&[&a]).try_into().unwrap();
    let beside = Holding { address: "10.0.0.9".parse().unwrap(), ..held.clone() };
    assert_eq!(found(&[held.clone(), beside]), one("HeldBeside", false));
    assert_eq!(found(&[Holding { block: None, ..held.clone() }]), one("NoBlock", false));
    assert_eq!(found(&[Holding { leaked: true, ..held.clone() }]), one("Leaked", false));
    let thief = Holding { key: b.key, ..held };
    let both = [("DuplicateAddress".to_owned(), false), ("HeldForNobody".to_owned(), true)];
    assert_eq!(found(&[thief]), both);
}

#[test]
fn an_attachment_that_is_taken_back_or_let_go_is_no_difference_of_the_book_too() {
    let a = made("a", "10.0.0.1", 7);
    let lost = compare(&Ledger::default(), &observed(&[&a]), &book(&[&a]));
    assert_eq!(words(&lost), [("UnknownLink", true)], "or what is taken back would be released behind it");
    let journal = ledger(&[Record::Made(a)]);
    let gone = compare(&journal, &Observed::default(), &[]);
    assert_eq!(words(&gone), [("MissingLink", true)], "or what is deleted would hold its address behind it");
}
