//! Exclusive connections: one stream at a time, and an end of the connection instead of a 499.

use super::*;

#[test]
fn one_stream_at_a_time_and_the_connection_is_used_again() {
    let mut client = client(None);
    let head = request();
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: false };
    for _ in 0..3 {
        let id = open(&mut client, true);
        assert_eq!(client.open(start, &mut Bytes::new(), true), Err(CannotOpen::Full));
        feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &message(response(200, &[]), b"x")))
            .unwrap();
        assert!(!client.can_open());
        assert_eq!(content(&drain_client(&mut client, id)), b"x");
        assert!(client.can_open() && !client.wants_write());
    }
}

#[test]
fn giving_up_ends_the_connection_without_a_word() {
    let mut client = client(None);
    let id = open(&mut client, false);
    client.give_up(id);
    assert!(client.is_over() && !client.wants_write() && client.open_streams() == 0);
    assert!(client.output().is_empty());
    assert_eq!(feed_client(&mut client, b"whatever still comes"), Ok(()));
    assert_eq!(client.handle_eof(), Ok(()));
}

#[test]
fn giving_up_after_the_end_of_both_sides_leaves_the_connection_usable() {
    let mut client = client(None);
    let id = open(&mut client, true);
    feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &response(200, &[]))).unwrap();
    client.give_up(id);
    assert!(!client.is_over() && client.can_open());
}

#[test]
fn an_early_answer_is_delivered_and_ends_the_connection() {
    let mut client = client(None);
    let id = open(&mut client, false);
    feed_client(&mut client, &frame(RESP | START | END, 413, id.0, &message(response(413, &[]), b"no")))
        .unwrap();
    let events = drain_client(&mut client, id);
    assert!(matches!(events.last(), Some(Incoming::End)));
    assert_eq!(content(&events), b"no");
    assert!(client.is_over() && !client.wants_write());
}

#[test]
fn an_answer_of_another_length_than_it_announced_ends_the_connection_although_both_sides_had_ended() {
    for body in [&b"less"[..], b"more than the eight"] {
        let mut client = client(None);
        let id = open(&mut client, true);
        let head = response(200, &[("content-length", "8")]);
        feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &message(head, body))).unwrap();
        let events = drain_client(&mut client, id);
        assert!(matches!(events.last(), Some(Incoming::Failed(StreamFailure::Protocol(_)))), "{events:?}");
        assert!(client.is_over() && !client.can_open());
    }
}

#[test]
fn a_broken_stream_is_the_end_of_the_connection_but_not_its_error() {
    let mut client = client(None);
    let id = open(&mut client, false);
    let mut bytes = frame(RESP, 0, id.0, b"data before START");
    bytes.extend(frame(EVENT, 503, 0, &[0; 100]));
    feed_client(&mut client, &bytes).unwrap();
    assert!(client.is_over());
    let events = drain_client(&mut client, id);
    assert!(
        matches!(events[..], [Incoming::Failed(StreamFailure::Protocol(ProtocolError::BadSequence(_)))]),
        "{events:?}"
    );
}

#[test]
fn a_large_answer_flows_without_credit() {
    let mut client = client(None);
    let id = open(&mut client, true);
    feed_client(
        &mut client,
        &frame(RESP | START, 200, id.0, &response(200, &[("content-length", "9000000")])),
    )
    .unwrap();
    let mut got = content(&drain_client(&mut client, id)).len();
    for n in 0..9 {
        let end = if n == 8 { END } else { 0 };
        feed_client(&mut client, &frame(RESP | end, 0, id.0, &vec![n; 1_000_000])).unwrap();
        got += content(&drain_client(&mut client, id)).len();
    }
    assert_eq!(got, 9_000_000);
    assert!(!client.wants_write() && client.can_open());
}

#[test]
fn a_server_takes_one_stream_at_a_time_and_does_not_process_a_second() {
    let mut server = server(false);
    let hello = br#"{"ua":"t"}"#;
    feed_server(&mut server, &control(REQ, 0, 2, hello)).unwrap();
    written(server.output());
    feed_server(&mut server, &frame(REQ | START | END, 0, 1, &request())).unwrap();
    feed_server(&mut server, &frame(REQ | START | END, 0, 2, &request())).unwrap();
    assert_eq!(frames(server.output()), [Frame { flags: RESP | END, code: 503, id: 2, payload: vec![] }]);
    let id = server.accept().unwrap();
    assert_eq!((id, server.accept()), (StreamId(1), None));
    assert_eq!(server.respond(id, 200, &response(200, &[]), &mut Bytes::new(), true), Sent::All);
    written(server.output());
    feed_server(&mut server, &frame(REQ | START | END, 0, 3, &request())).unwrap();
    assert_eq!(server.accept(), Some(StreamId(3)));
}
