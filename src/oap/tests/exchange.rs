//! Streams of a multiplexed connection as its client sees them.

use super::*;

fn gave_up(client: &mut Client, id: StreamId) -> bool {
    frames(client.output()).contains(&Frame { flags: REQ | END, code: 499, id: id.0, payload: vec![] })
}

/// Opens a stream for HEAD.
fn open_head(client: &mut Client) -> StreamId {
    let head = request();
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: true };
    let id = client.open(start, &mut Bytes::new(), true).unwrap();
    written(client.output());
    id
}

#[test]
fn a_small_exchange_is_one_frame_each_way() {
    let mut client = client(Some(WINDOW));
    let head = request();
    let start = StartRequest { head: &head, capability: b"cap", tenant_id: 0x0102, is_head: false };
    let id = client.open(start, &mut Bytes::from_static(b"hello"), true).unwrap();
    let bytes = written(client.output());
    let expected = raw(1, REQ | START | END, 0, 0x0401, id.0, b"cap", &[&head[..], &[5], b"hello"].concat());
    assert_eq!(bytes[..12], expected[..12]);
    assert_eq!(bytes[12..28], 0x0102u128.to_be_bytes());
    assert_eq!(bytes[28..], expected[28..]);

    let answer = message(response(201, &[("etag", "\"x\"")]), b"made");
    feed_client(&mut client, &frame(RESP | START | END, 201, id.0, &answer)).unwrap();
    assert_eq!(client.next_woken(), Some(id));
    let events = drain_client(&mut client, id);
    let [Incoming::Head { head, .. }, Incoming::Data { bytes, .. }, Incoming::End] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (head.status, head.fields.find(b"etag"), &bytes[..]),
        (201, Some(&b"\"x\""[..]), &b"made"[..])
    );
    assert!(client.poll(id).is_none() && client.open_streams() == 0 && !client.wants_write());
    let counters = client.counters();
    assert_eq!((counters.sent.start, counters.received.start, counters.dropped), (1, 1, 0));
}

#[test]
fn content_is_passed_on_before_its_frame_is_whole() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, true);
    let mut bytes = frame(RESP | START, 200, id.0, &message(response(200, &[]), &[1; 50_000]));
    bytes.extend(frame(RESP | END, 0, id.0, &[2; 50_000]));
    feed_client(&mut client, &bytes[..20_000]).unwrap();
    assert!(matches!(client.poll(id), Some(Incoming::Head { .. })));
    let Some(Incoming::Data { bytes: piece, .. }) = client.poll(id) else { panic!("cut through") };
    assert_eq!(piece, vec![1; 20_000 - 38 - 4 - 4]);
    feed_client(&mut client, &bytes[20_000..90_000]).unwrap();
    let part = content(&drain_client(&mut client, id));
    assert_eq!(part.len() + piece.len(), 90_000 - 2 * 38 - 8);
    feed_client(&mut client, &bytes[90_000..]).unwrap();
    let rest = drain_client(&mut client, id);
    assert!(matches!(rest.last(), Some(Incoming::End)));
    assert_eq!(piece.len() + part.len() + content(&rest).len(), 100_000);
}

#[test]
fn small_pieces_that_nobody_takes_do_not_cost_a_place_each() {
    for start in [true, false] {
        let mut client = client(Some(WINDOW));
        let id = open(&mut client, true);
        let head = response(200, &[]);
        let bytes = if start {
            frame(RESP | START, 200, id.0, &message(head, &[9; 100_000]))
        } else {
            [frame(RESP | START, 200, id.0, &head), frame(RESP, 0, id.0, &[9; 100_000])].concat()
        };
        for byte in &bytes {
            feed_client(&mut client, &[*byte]).unwrap();
        }
        let events = drain_client(&mut client, id);
        assert_eq!(content(&events), [9; 100_000]);
        assert!(events.len() < 12, "{} events", events.len());
    }
}

#[test]
fn an_end_is_whole_with_code_0_or_that_of_start_and_a_failure_with_any_other() {
    for (status, start, end, whole) in [
        (200, 200, 0, true),
        (200, 200, 200, true),
        (200, 0, 200, true),
        (404, 404, 404, true),
        (503, 503, 503, true),
        (503, 503, 0, true),
        (200, 200, 500, false),
        (200, 200, 503, false),
        (404, 404, 200, false),
        (200, 0, 499, false),
    ] {
        let mut client = client(Some(WINDOW));
        let id = open(&mut client, true);
        let opening = message(response(status, &[]), b"ab");
        feed_client(&mut client, &frame(RESP | START, start, id.0, &opening)).unwrap();
        feed_client(&mut client, &frame(RESP | END, end, id.0, b"c")).unwrap();
        let mut events = drain_client(&mut client, id);
        let last = events.pop().unwrap();
        assert_eq!(content(&events), b"abc");
        match last {
            Incoming::End => assert!(whole, "{status} {start} {end}"),
            Incoming::Failed(StreamFailure::AfterStart { code }) => {
                assert!(!whole && code == end, "{status} {end}")
            }
            other => panic!("{other:?}"),
        }
        assert!(!client.wants_write() && !client.is_over(), "both sides had ended");
    }
}

#[test]
fn a_whole_answer_in_one_frame_is_whole_whatever_its_status() {
    for status in [200, 404, 499, 500, 503] {
        let mut client = client(Some(WINDOW));
        let id = open(&mut client, true);
        feed_client(&mut client, &frame(RESP | START | END, status, id.0, &response(status, &[]))).unwrap();
        assert!(
            matches!(drain_client(&mut client, id)[..], [Incoming::Head { .. }, Incoming::End]),
            "{status}"
        );
    }
}

#[test]
fn not_processed_is_an_end_503_without_start() {
    for end in [true, false] {
        let mut client = client(Some(WINDOW));
        let id = open(&mut client, end);
        feed_client(&mut client, &frame(RESP | END, 503, id.0, b"")).unwrap();
        assert_eq!(client.send(id, &mut Bytes::from_static(b"x"), false), Sent::Closed);
        assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Failed(StreamFailure::NotProcessed)]));
        assert_eq!(gave_up(&mut client, id), !end, "499 closes our side if it is open");
    }
}

#[test]
fn after_an_early_answer_only_499_is_sent() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    feed_client(&mut client, &frame(RESP | START | END, 413, id.0, &response(413, &[]))).unwrap();
    assert_eq!(client.next_woken(), Some(id));
    assert_eq!(client.send(id, &mut Bytes::from_static(b"more"), true), Sent::Closed);
    assert!(!client.wants_write());
    assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Head { .. }, Incoming::End]));
    assert!(gave_up(&mut client, id));
    assert!(!client.is_over());
}

#[test]
fn an_answer_may_start_before_the_request_has_ended() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    feed_client(&mut client, &frame(RESP | START, 200, id.0, &response(200, &[]))).unwrap();
    assert!(matches!(client.poll(id), Some(Incoming::Head { .. })));
    assert_eq!(client.send(id, &mut Bytes::from_static(b"more"), true), Sent::All);
    feed_client(&mut client, &frame(RESP | END, 0, id.0, b"x")).unwrap();
    assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Data { .. }, Incoming::End]));
    assert!(!gave_up(&mut client, id));
}

#[test]
fn giving_up_says_499_also_after_our_own_end_and_what_still_arrives_is_dropped() {
    for end in [true, false] {
        let mut client = client(Some(WINDOW));
        let id = open(&mut client, end);
        feed_client(&mut client, &frame(RESP | START, 200, id.0, &response(200, &[]))).unwrap();
        client.give_up(id);
        assert!(client.poll(id).is_none() && client.open_streams() == 0);
        assert_eq!(client.send(id, &mut Bytes::from_static(b"x"), true), Sent::Closed);
        feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, &vec![1; 1_000_000])).unwrap();
        assert_eq!(client.counters().dropped, 1);
        assert!(gave_up(&mut client, id));
        client.give_up(id);
        assert!(!client.wants_write(), "once");
    }
}

#[test]
fn an_answer_that_carries_no_content_has_none_whatever_it_announces() {
    for status in [200u16, 204, 304] {
        let announced = response(status, &[("content-length", "5")]);
        let mut client = client(Some(WINDOW));
        let id = if status == 200 { open_head(&mut client) } else { open(&mut client, true) };
        feed_client(&mut client, &frame(RESP | START | END, status, id.0, &announced)).unwrap();
        assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Head { .. }, Incoming::End]));
    }
    let mut client = client(Some(WINDOW));
    let id = open_head(&mut client);
    feed_client(
        &mut client,
        &frame(RESP | START, 200, id.0, &message(response(200, &[("content-length", "1")]), b"x")),
    )
    .unwrap();
    let events = drain_client(&mut client, id);
    assert!(
        matches!(events[..], [Incoming::Failed(StreamFailure::Protocol(ProtocolError::BadMessage(_)))]),
        "{events:?}"
    );
}

#[test]
fn content_may_be_followed_by_zero_bytes_only_and_they_are_credited() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, true);
    let mut payload = message(response(200, &[]), b"x");
    payload.resize(WINDOW as usize, 0);
    feed_client(&mut client, &frame(RESP | START, 200, id.0, &payload)).unwrap();
    assert_eq!(content(&drain_client(&mut client, id)), b"x");
    let ack = frames(client.output()).pop().unwrap();
    assert_eq!(ack.payload, u64::from(WINDOW).to_be_bytes());
}

#[test]
fn a_place_is_free_once_what_closes_its_stream_is_sent() {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: Some(WINDOW) });
    written(client.output());
    let hello = r#"{"max_inflight":2,"flags_supported":256,"window":131072}"#;
    feed_client(&mut client, &control(RESP, 200, 1, hello.as_bytes())).unwrap();
    let first = open(&mut client, true);
    let second = open(&mut client, true);
    let head = request();
    let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: false };
    assert_eq!(client.open(start, &mut Bytes::new(), true), Err(CannotOpen::Full));
    client.give_up(first);
    assert_eq!(client.open(start, &mut Bytes::new(), true), Err(CannotOpen::Full), "499 is not sent yet");
    take(client.output(), 37);
    assert!(!client.can_open());
    take(client.output(), 1);
    let third = client.open(start, &mut Bytes::new(), true).unwrap();
    assert!(third != first && third != second);
    written(client.output());
    feed_client(&mut client, &frame(RESP | START | END, 200, second.0, &response(200, &[]))).unwrap();
    assert!(!client.can_open(), "nobody has heard of the end yet");
    drain_client(&mut client, second);
    assert!(client.can_open());
}

#[test]
fn no_stream_id_is_used_twice() {
    let mut client = client(Some(WINDOW));
    let mut seen = std::collections::HashSet::new();
    for round in 0..1000 {
        let id = open(&mut client, true);
        assert!(seen.insert(id));
        if round % 2 == 0 {
            client.give_up(id);
        } else {
            feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &response(200, &[]))).unwrap();
            drain_client(&mut client, id);
        }
        written(client.output());
    }
}

#[test]
fn streams_do_not_wait_for_each_other() {
    let mut client = client(Some(WINDOW));
    let (slow, fast) = (open(&mut client, true), open(&mut client, true));
    let fill = message(response(200, &[]), &vec![1; WINDOW as usize - 8]);
    feed_client(&mut client, &frame(RESP | START, 200, slow.0, &fill)).unwrap();
    // Nobody takes anything of the slow one, whose window is full.
    feed_client(&mut client, &frame(RESP | START | END, 200, fast.0, &message(response(200, &[]), b"x")))
        .unwrap();
    assert_eq!(content(&drain_client(&mut client, fast)), b"x");
    assert_eq!(content(&drain_client(&mut client, slow)).len(), WINDOW as usize - 8);
}
