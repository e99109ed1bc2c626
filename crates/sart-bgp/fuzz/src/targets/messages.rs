//! OPEN, NOTIFICATION, ROUTE-REFRESH and the stream they come in: what is read is written back the same.

use sart_bgp::wire::frame::{Framer, cut};
use sart_bgp::wire::message::{HEADER_LEN, MessageKind};
use sart_bgp::wire::notification::Notification;
use sart_bgp::wire::open::Open;
use sart_bgp::wire::refresh::RouteRefresh;

/// Longest message without RFC 8654.
const MAX_LEN: usize = 4096;

pub(super) fn open(body: &[u8]) {
    match Open::decode(body) {
        Ok(open) => {
            let bytes = open.encode();
            assert!(bytes.len() <= MAX_LEN, "an OPEN never gets longer than 4096 octets");
            let again = Open::decode(bytes.get(HEADER_LEN..).unwrap_or_default());
            // Capabilities from a body that fits a message fit one again; others are cut at the end.
            if body.len() + HEADER_LEN + 3 <= MAX_LEN {
                // The AS of the fixed field gives way to that of the capability.
                assert_eq!(again.as_ref().map(|open| &open.capabilities), Ok(&open.capabilities));
                assert_eq!(
                    again.map(|open| (open.hold_time, open.router_id)),
                    Ok((open.hold_time, open.router_id))
                );
            }
            assert!(open.capabilities.iter().all(|capability| !capability.to_string().is_empty()));
        }
        Err(error) => assert_eq!(error.notification().code, 2),
    }
}

pub(super) fn notification(body: &[u8]) {
    let Some(notification) = Notification::decode(body) else {
        assert!(body.len() < 2);
        return;
    };
    let bytes = notification.encode();
    let again = Notification::decode(bytes.get(HEADER_LEN..).unwrap_or_default());
    if body.len() + HEADER_LEN <= MAX_LEN {
        assert_eq!(again.as_ref(), Some(&notification));
    }
    let hard = notification.clone().into_hard_reset();
    assert_eq!(hard.hard_reset_reason(), Some(notification.clone()));
    assert!(notification.to_string().starts_with("NOTIFICATION"));
}

pub(super) fn refresh(bytes: &[u8]) {
    let Some((options, body)) = bytes.split_first() else { return };
    let enhanced = options & 1 != 0;
    match RouteRefresh::decode(body, enhanced) {
        Ok(Some(refresh)) => {
            let bytes = refresh.encode();
            let again = RouteRefresh::decode(bytes.get(HEADER_LEN..).unwrap_or_default(), enhanced);
            assert_eq!(again, Ok(Some(refresh)));
        }
        Ok(None) => assert!(enhanced && body.len() == 4),
        Err(answer) => assert!(body.len() != 4 && matches!(answer.code, 1 | 7)),
    }
}

/// The first byte says whether messages may be long, and how the stream is cut.
pub(super) fn stream(bytes: &[u8]) {
    let Some((options, stream)) = bytes.split_first() else { return };
    let extended = options & 1 != 0;
    let whole = frames(stream, extended, stream.len().max(1));
    let pieces = frames(stream, extended, usize::from(options >> 1) + 1);
    assert_eq!(whole, pieces, "where a stream is cut does not matter");
    let mut rest = stream;
    while let Ok(Some((frame, length))) = cut(rest, extended) {
        read(frame.kind, frame.body);
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Only the framing: what is in the messages is other targets' business.
pub(super) fn read_stream(bytes: &[u8]) {
    let mut framer = Framer::default();
    framer.push(bytes);
    while let Ok(Some(_)) = framer.next_ref() {}
}

fn read(kind: MessageKind, body: &[u8]) {
    match kind {
        MessageKind::Open => open(body),
        MessageKind::Notification => notification(body),
        MessageKind::Update => {
            for options in [0x7f, 0x0d, 0x3c, 0x0f] {
                super::update::check(options, body);
            }
        }
        MessageKind::Keepalive => assert!(body.is_empty()),
        MessageKind::RouteRefresh => {
            let _ = RouteRefresh::decode(body, true);
        }
    }
}

/// Lengths and kinds of all messages, and whether the stream was lost.
fn frames(stream: &[u8], extended: bool, piece: usize) -> (Vec<(MessageKind, usize)>, bool) {
    let mut framer = Framer::default();
    if extended {
        framer.allow_extended();
    }
    let mut found = Vec::new();
    for piece in stream.chunks(piece) {
        framer.push(piece);
        loop {
            match framer.next_ref() {
                Ok(Some(frame)) => found.push((frame.kind, frame.body.len())),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}
