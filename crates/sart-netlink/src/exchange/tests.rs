use super::*;

const EEXIST: i32 = 17;

/// A message of the kernel: the acknowledgement or refusal of a request, or a reply with another kind and body.
fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Request::new(kind, flags, body).finish(seq);
    bytes.resize(crate::attr::align(bytes.len()), 0);
    bytes
}

/// `struct nlmsgerr`: the errno, negative, and the header of the request.
fn error(errno: i32, seq: u32) -> Vec<u8> {
    let header = Request::new(24, 0, &[]).finish(seq);
    message(NLMSG_ERROR, NLM_F_CAPPED, seq, &[&(-errno).to_ne_bytes()[..], &header].concat())
}

fn three(seq: &mut u32) -> (Vec<u8>, Exchange) {
    Exchange::of((0..3).map(|_| Request::new(24, 0, &[1, 2, 3])).collect(), seq)
}

fn bodies(replies: &[Reply]) -> Vec<&[u8]> {
    replies.iter().map(|reply| reply.body.as_slice()).collect()
}

#[test]
fn requests_of_one_datagram_are_numbered_and_aligned_and_only_the_last_asks_for_an_acknowledgement() {
    let mut seq = u32::MAX;
    let (bytes, _) = three(&mut seq);
    let seen: Vec<_> = messages(&bytes).map(|message| (message.seq, message.flags)).collect();
    assert_eq!(seen, [(0, NLM_F_REQUEST), (1, NLM_F_REQUEST), (2, NLM_F_REQUEST | NLM_F_ACK)]);
    assert_eq!(seq, 2);
}

#[test]
fn each_answer_stands_at_its_request_however_the_datagrams_are_cut() {
    let (_, mut exchange) = three(&mut 9);
    assert!(!exchange.take(&[message(16, 0, 10, b"aaaa"), error(EEXIST, 11)].concat()));
    assert!(!exchange.take(&message(16, 0, 12, b"cccc")), "a reply is no acknowledgement");
    assert!(exchange.take(&error(0, 12)));
    let answers = exchange.answers();
    assert_eq!(bodies(answers[0].as_ref().unwrap()), [b"aaaa"]);
    assert_eq!(answers[1].as_ref().unwrap_err().errno, EEXIST);
    assert_eq!(bodies(answers[2].as_ref().unwrap()), [b"cccc"]);
}

#[test]
fn answers_to_what_was_asked_before_and_notifications_are_passed_over() {
    let (_, mut exchange) = three(&mut 9);
    let others = [error(EEXIST, 9), error(EEXIST, 13), message(24, 0, 0, b"noti")].concat();
    assert!(!exchange.take(&others));
    assert!(exchange.take(&error(0, 12)));
    assert!(exchange.answers().iter().all(|answer| answer.as_deref().is_ok_and(<[Reply]>::is_empty)));
}

#[test]
fn a_refused_last_request_ends_the_exchange_too() {
    let (_, mut exchange) = Exchange::of(vec![Request::new(24, 0, &[])], &mut 0);
    assert!(exchange.take(&error(EEXIST, 1)));
    let refused = exchange.only("add a route").unwrap_err();
    assert_eq!((refused.errno(), refused.reason()), (Some(EEXIST), "refused"));
}

#[test]
fn a_dump_that_the_kernel_marks_as_interrupted_gives_nothing() {
    let done = |flags| message(NLMSG_DONE, flags, 1, &0_i32.to_ne_bytes());
    for (flags, whole) in [(0, true), (NLM_F_DUMP_INTR, false)] {
        let (bytes, mut exchange) = Exchange::dump(Request::new(26, 0, &[]), &mut 0);
        assert_eq!(messages(&bytes).next().unwrap().flags, NLM_F_REQUEST | NLM_F_DUMP);
        assert!(!exchange.take(&message(24, 2, 1, b"aaaa")));
        assert!(exchange.take(&done(flags)));
        let replies = exchange.dumped("list routes").unwrap();
        assert_eq!(replies.as_deref().map(bodies), whole.then(|| vec![&b"aaaa"[..]]));
    }
}
