//! A service's side: requests as they arrive, answers, refusals, failures, drain.

use super::served::{accepted, drain_server, received, request_with};
use super::*;

#[test]
fn a_request_crosses_with_capability_tenant_and_content() {
    let mut server = server(true);
    let head = request_with(&[("a", "1"), ("content-length", "6")]);
    let mut bytes = raw(1, REQ | START, 0, 0x0401, 5, b"token", &message(head, b"abc"));
    bytes[12..28].copy_from_slice(&77u128.to_be_bytes());
    bytes.extend(frame(REQ | END, 0, 5, b"def"));
    for byte in &bytes {
        feed_server(&mut server, &[*byte]).unwrap();
    }
    let id = server.accept().unwrap();
    let events = drain_server(&mut server, id);
    let Arriving::Head { head, tenant_id: 77, capability, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!(
        (&head.method[..], &head.path[..], &capability[..]),
        (&b"PUT"[..], &b"/a?b"[..], &b"token"[..])
    );
    assert_eq!(head.content_length(), Some(6));
    assert_eq!(received(&events), b"abcdef");
    assert!(matches!(events.last(), Some(Arriving::End)));
    assert_eq!(
        server.respond(id, 200, &response(200, &[]), &mut Bytes::from_static(b"yes"), true),
        Sent::All
    );
    assert_eq!(
        frames(server.output()),
        [Frame {
            flags: RESP | START | END,
            code: 200,
            id: 5,
            payload: [&response(200, &[])[..], b"\x03yes"].concat()
        }]
    );
    assert!(server.is_idle() && server.poll(id).is_none());
}

#[test]
fn a_request_given_up_is_never_taken_as_complete() {
    for before in [frame(REQ, 0, 5, b"part"), frame(REQ | END, 0, 5, b"all of it")] {
        let (mut server, id) = accepted();
        feed_server(&mut server, &before).unwrap();
        feed_server(&mut server, &frame(REQ | END, 499, 5, b"")).unwrap();
        assert_eq!(server.next_woken(), Some(id));
        assert_eq!(server.respond(id, 200, &response(200, &[]), &mut Bytes::new(), true), Sent::Closed);
        assert!(matches!(drain_server(&mut server, id)[..], [Arriving::GivenUp]));
        assert!(server.is_idle());
        // Its place is free, and its id no longer known.
        feed_server(&mut server, &frame(REQ, 0, 5, &vec![0; 1_000_000])).unwrap();
        assert_eq!(server.counters().dropped, 1);
    }
}

#[test]
fn a_stream_given_up_before_it_was_accepted_is_never_seen() {
    let mut server = server(true);
    feed_server(&mut server, &frame(REQ | START, 0, 5, &request())).unwrap();
    feed_server(&mut server, &frame(REQ | END, 499, 5, b"")).unwrap();
    feed_server(&mut server, &frame(REQ | START | END, 499, 6, &request())).unwrap();
    assert!(server.accept().is_none() && server.is_idle());
}

#[test]
fn why_a_stream_failed_is_not_forgotten_when_the_client_closes_it() {
    let (mut server, id) = accepted();
    feed_server(&mut server, &frame(REQ | START, 0, 5, b"")).unwrap();
    feed_server(&mut server, &frame(REQ | END, 499, 5, b"")).unwrap();
    let events = drain_server(&mut server, id);
    assert!(
        matches!(events[..], [Arriving::Failed(StreamFailure::Protocol(ProtocolError::BadSequence(_)))]),
        "{events:?}"
    );
    written(server.output());
    assert!(server.is_idle());
}

#[test]
fn an_early_answer_drops_the_rest_of_the_request_and_keeps_the_place_until_it_is_closed() {
    let (mut server, id) = accepted();
    assert_eq!(server.respond(id, 413, &response(413, &[]), &mut Bytes::new(), true), Sent::All);
    written(server.output());
    assert!(server.poll(id).is_none() && server.open_streams() == 0 && !server.is_idle());
    feed_server(&mut server, &frame(REQ | ACK_REQ, 0, 5, &[1; 100_000])).unwrap();
    assert!(!server.wants_write(), "neither credit nor anything else");
    feed_server(&mut server, &frame(REQ | END, 499, 5, b"")).unwrap();
    assert!(server.is_idle());
}

#[test]
fn a_stream_too_many_is_not_processed() {
    let mut server = server(true);
    for id in 0..64 {
        feed_server(&mut server, &frame(REQ | START | END, 0, id * 1024, &request())).unwrap();
    }
    feed_server(&mut server, &frame(REQ | START, 0, 9, &request())).unwrap();
    feed_server(&mut server, &frame(REQ | END, 0, 9, b"rest")).unwrap();
    assert_eq!(frames(server.output()), [Frame { flags: RESP | END, code: 503, id: 9, payload: vec![] }]);
    let first = server.accept().unwrap();
    server.fail(first, 500);
    feed_server(&mut server, &frame(REQ | START | END, 0, 10, &request())).unwrap();
    assert_eq!(std::iter::from_fn(|| server.accept()).last(), Some(StreamId(10)));
}

#[test]
fn a_client_that_opens_far_too_many_and_does_not_read_is_let_go() {
    let mut server = server(true);
    let ended =
        (0..10_000).find_map(|id| feed_server(&mut server, &frame(REQ | START, 0, id, &request())).err());
    assert_eq!(ended.unwrap().reason(), "credit_violation");
    assert!(server.is_over());

    // One who reads may go on for ever.
    let mut server = super::server(true);
    for id in 0..10_000 {
        feed_server(&mut server, &frame(REQ | START, 0, id, &request())).unwrap();
        written(server.output());
    }
}

#[test]
fn a_client_that_repeats_hello_and_does_not_read_is_let_go() {
    let mut server = server(true);
    feed_server(&mut server, &control(REQ, 0, 8, b"{}")).unwrap();
    assert_eq!(feed_server(&mut server, &control(REQ, 0, 9, b"{}")).unwrap_err().reason(), "bad_hello");
}

#[test]
fn failing_says_what_can_be_said_still() {
    // Before the answer: an answer of that status, or 500 where it is none.
    for (code, status) in [(502, 502), (404, 404), (0, 500), (103, 500), (600, 500)] {
        let (mut server, id) = accepted();
        server.fail(id, code);
        let answer = frames(server.output()).pop().unwrap();
        assert_eq!((answer.flags, answer.code), (RESP | START | END, status));
        assert_eq!(answer.payload, response(status, &[("content-length", "0")]));
    }
    // After START: an END that nobody can take for success.
    for (status, code, end) in
        [(200, 503, 503), (200, 0, 500), (200, 200, 500), (500, 500, 502), (503, 503, 500)]
    {
        let (mut server, id) = accepted();
        assert_eq!(server.respond(id, status, &response(status, &[]), &mut Bytes::new(), false), Sent::All);
        server.fail(id, code);
        let last = frames(server.output()).pop().unwrap();
        assert_eq!((last.flags, last.code), (RESP | END, end), "{status} {code}");
        server.fail(id, code);
        assert!(!server.wants_write());
    }
}

#[test]
fn not_processed_is_said_before_the_answer_only() {
    let (mut server, id) = accepted();
    server.not_processed(id);
    assert_eq!(frames(server.output()), [Frame { flags: RESP | END, code: 503, id: 5, payload: vec![] }]);
    let (mut server, id) = accepted();
    assert_eq!(server.respond(id, 503, &response(503, &[]), &mut Bytes::new(), false), Sent::All);
    server.not_processed(id);
    assert_eq!(frames(server.output()).pop().unwrap().code, 500, "503 would have made it a whole answer");
}

#[test]
fn an_answer_is_given_once_and_nothing_is_sent_before_it() {
    let (mut server, id) = accepted();
    assert_eq!(server.send(id, &mut Bytes::from_static(b"x"), true), Sent::Closed);
    assert_eq!(server.respond(id, 200, &response(200, &[]), &mut Bytes::new(), false), Sent::All);
    assert_eq!(server.respond(id, 200, &response(200, &[]), &mut Bytes::new(), false), Sent::Closed);
    assert_eq!(server.send(id, &mut Bytes::from_static(b"x"), true), Sent::All);
    assert_eq!(server.send(id, &mut Bytes::from_static(b"x"), true), Sent::Closed);
    let sent = frames(server.output());
    assert_eq!(sent.iter().map(|frame| frame.flags).collect::<Vec<_>>(), [RESP | START, RESP | END]);
}

#[test]
fn drain_is_said_once_and_what_crosses_it_is_served() {
    let (mut server, id) = accepted();
    server.drain();
    server.drain();
    assert!(server.is_draining());
    let bytes = written(server.output());
    assert_eq!(bytes, control(EVENT, 503, 0, b""));
    feed_server(&mut server, &frame(REQ | START | END, 0, 6, &request())).unwrap();
    let crossed = server.accept().unwrap();
    for id in [id, crossed] {
        assert_eq!(server.respond(id, 200, &response(200, &[]), &mut Bytes::new(), true), Sent::All);
    }
    assert_eq!(frames(server.output()).len(), 2);
}

#[test]
fn ids_of_any_shape_are_found_and_forgotten() {
    let mut server = server(true);
    let ids: Vec<u64> = (0..32).map(|n| n << 32).chain([u64::MAX, 1 << 40 | 1, 1]).collect();
    for round in 0..3 {
        for id in &ids {
            feed_server(&mut server, &frame(REQ | START, 0, *id, &request())).unwrap();
        }
        assert_eq!(server.open_streams(), ids.len());
        for id in ids.iter().rev().skip(round) {
            let code = if id % 2 == 0 { 499 } else { 0 };
            feed_server(&mut server, &frame(REQ | END, code, *id, b"")).unwrap();
        }
        while let Some(id) = server.accept() {
            server.fail(id, 500);
        }
        written(server.output());
        for id in &ids {
            feed_server(&mut server, &frame(REQ | END, 499, *id, b"")).unwrap();
        }
        assert!(server.is_idle());
    }
}
