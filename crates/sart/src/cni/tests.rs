use super::*;

fn attachments() -> Vec<v1::Attachment> {
    let address =
        |address: &str| v1::AttachmentAddress { address: address.to_owned(), pool: "default".to_owned() };
    let whole = v1::Attachment {
        network: "sart-network".into(),
        container: "0123456789abcdef0123456789abcdef".into(),
        interface: "eth0".into(),
        pod: "test/web-0".into(),
        link: "sart0123456789a".into(),
        addresses: vec![address("10.10.0.1"), address("fd00::1")],
        state: "attached".into(),
    };
    let nameless = v1::Attachment {
        container: "b".into(),
        pod: String::new(),
        addresses: vec![v1::AttachmentAddress { address: "10.10.0.2".into(), pool: String::new() }],
        state: "beginning".into(),
        ..whole.clone()
    };
    vec![whole, nameless]
}

fn findings() -> Vec<v1::AttachmentFinding> {
    let one = |reason: &str, message: &str, mendable, mended, failure: &str| v1::AttachmentFinding {
        reason: reason.to_owned(),
        subject: "sart-network/0123/eth0".to_owned(),
        message: message.to_owned(),
        mendable,
        mended,
        failure: failure.to_owned(),
    };
    vec![
        one("MissingRoute", "a route is missing", true, true, ""),
        one("MissingPort", "no program", true, false, "out of memory"),
        one("NoBlock", "10.10.0.1 lies in no block", false, false, ""),
    ]
}

#[test]
fn attachments_in_both_formats() {
    insta::assert_snapshot!(list(attachments(), Format::Plain).unwrap());
    insta::assert_snapshot!(list(attachments(), Format::Json).unwrap());
}

#[test]
fn a_check_in_both_formats_differs() {
    let report = rows::report(findings(), (2, 1));
    assert!(!report.agrees());
    insta::assert_snapshot!(shown(&report, Format::Plain).unwrap());
    insta::assert_snapshot!(shown(&report, Format::Json).unwrap());
}

#[test]
fn a_repair_in_both_formats_says_what_is_left() {
    let report = rows::repaired(findings(), (2, 0));
    assert!(!report.agrees());
    insta::assert_snapshot!(shown(&report, Format::Plain).unwrap());
    insta::assert_snapshot!(shown(&report, Format::Json).unwrap());
}

#[test]
fn what_was_mended_or_never_differed_agrees() {
    let mended = rows::repaired(findings().into_iter().take(1).collect(), (2, 0));
    assert!(mended.agrees());
    assert_eq!(mended.summary(), "2 attachments, 1 mended, nothing differs");
    let clean = rows::report(Vec::new(), (7, 0));
    assert!(clean.agrees());
    assert_eq!(shown(&clean, Format::Plain).unwrap(), "7 attachments, nothing differs\n");
}
