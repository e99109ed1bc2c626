//! Framing: what is written is read back, and no bytes can break the readers.

use proptest::prelude::*;

use super::*;

#[test]
fn a_request_is_one_message_with_its_attributes() {
    let request = Request::new(24, 5, &[1, 2, 3, 4]).attr(1, &[9]).attr_u32(2, 7).nested(3, &[]);
    let bytes = request.finish(42);
    let found: Vec<_> = messages(&bytes).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].flags, found[0].seq), (24, 5, 42));
    let attributes: Vec<_> =
        attrs_after(found[0].body, 4).map(|attr| (attr.kind, attr.value.to_vec())).collect();
    assert_eq!(attributes, vec![(1, vec![9]), (2, 7u32.to_ne_bytes().to_vec()), (3, vec![])]);
}

#[test]
fn text_ends_at_its_nul() {
    assert_eq!(text(b"eth0\0junk"), "eth0");
    assert_eq!(text(b"eth0"), "eth0");
    assert_eq!(text(&[0xff, 0]), "");
}

proptest! {
    #[test]
    fn any_bytes_end_the_walk_and_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        for message in messages(&bytes) {
            prop_assert!(message.body.len() <= bytes.len());
        }
        for attr in attrs(&bytes) {
            prop_assert!(attr.value.len() <= bytes.len());
        }
        let v6 = bytes.first().is_some_and(|byte| byte % 2 == 0);
        crate::route::decode(&bytes);
        crate::route::decode_lookup(&bytes);
        crate::rule::decode(&bytes);
        crate::link::decode_link(&bytes);
        crate::link::decode_address(&bytes);
        crate::nftables::decode_any(&bytes, v6);
    }
}
