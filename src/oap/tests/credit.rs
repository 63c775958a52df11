//! Credit (oap1 §4), on the side that gives it and on the side that needs it.

use super::*;

fn acks(output: &mut Output) -> Vec<u64> {
    let frames = frames(output).into_iter();
    frames
        .filter(|frame| frame.flags & ACK != 0)
        .map(|ack| u64::from_be_bytes(ack.payload.try_into().unwrap()))
        .collect()
}

/// A client with an open stream whose answer has begun, its head (4 bytes) taken and passed on.
fn answering() -> (Client, StreamId) {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, true);
    feed_client(&mut client, &frame(RESP | START, 200, id.0, &response(200, &[]))).unwrap();
    let Some(Incoming::Head { credit: 4, .. }) = client.poll(id) else { panic!("a head of 4 bytes") };
    client.passed_on(id, 4);
    (client, id)
}

#[test]
fn credit_is_returned_once_half_of_the_window_is_owed_and_counts_heads() {
    let (mut client, id) = answering();
    let half = WINDOW / 2;
    feed_client(&mut client, &frame(RESP, 0, id.0, &vec![1; WINDOW as usize - 4])).unwrap();
    // Nothing has been passed on yet but the head, and what has arrived earns nothing.
    assert!(!client.wants_write());
    client.passed_on(id, half - 5);
    assert!(!client.wants_write(), "one byte short of half a window");
    client.passed_on(id, 1);
    let ack = frames(client.output());
    assert_eq!(
        ack,
        [Frame { flags: REQ | ACK, code: 0, id: id.0, payload: u64::from(half).to_be_bytes().into() }]
    );
    // All that was given back may come again, and not one byte more.
    feed_client(&mut client, &frame(RESP, 0, id.0, &vec![1; half as usize])).unwrap();
    let error = feed_client(&mut client, &frame(RESP, 0, id.0, b"x")).unwrap_err();
    assert_eq!(error, ProtocolError::CreditViolation("more than the window"));
}

#[test]
fn a_server_returns_credit_in_its_own_direction() {
    let mut server = server(true);
    let head = request();
    feed_server(&mut server, &frame(REQ | START, 0, 7, &head)).unwrap();
    let id = server.accept().unwrap();
    feed_server(&mut server, &frame(REQ, 0, 7, &vec![1; WINDOW as usize - head.len()])).unwrap();
    while let Some(event) = server.poll(id) {
        server.passed_on(id, event.credit());
    }
    let ack = frames(server.output());
    assert_eq!(
        ack,
        [Frame { flags: RESP | ACK, code: 0, id: 7, payload: u64::from(WINDOW).to_be_bytes().into() }]
    );
}

#[test]
fn more_passed_on_than_has_arrived_earns_nothing_more() {
    let (mut client, id) = answering();
    feed_client(&mut client, &frame(RESP, 0, id.0, &vec![1; WINDOW as usize - 4])).unwrap();
    client.passed_on(id, u32::MAX);
    client.passed_on(id, u32::MAX);
    assert_eq!(acks(client.output()), [u64::from(WINDOW)]);
}

#[test]
fn credit_that_is_asked_for_comes_at_once_even_if_nothing_is_owed() {
    let (mut client, id) = answering();
    feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, b"xyz")).unwrap();
    assert_eq!(acks(client.output()), [4]);
    feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, b"")).unwrap();
    assert_eq!(acks(client.output()), [4], "the same up_to twice is legal");
    client.passed_on(id, 3);
    assert!(acks(client.output()).is_empty(), "it is asked for once");
    feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, b"")).unwrap();
    assert_eq!(acks(client.output()), [7]);
}

#[test]
fn one_ack_per_stream_waits_unsent_however_often_it_is_asked_for() {
    let (mut client, id) = answering();
    for _ in 0..1000 {
        feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, b"x")).unwrap();
        client.passed_on(id, 1);
        // The driver looks, and cannot write.
        assert!(client.output().len() <= 46);
    }
    assert_eq!(take(client.output(), 46).len(), 46);
    assert_eq!(acks(client.output()), [1004], "the rest in one");
}

#[test]
fn the_lists_of_who_is_owed_credit_and_who_has_arrived_do_not_grow_while_nobody_looks() {
    let mut server = server(true);
    for n in 0..100_000u64 {
        feed_server(&mut server, &frame(REQ | START | ACK_REQ, 0, n, &request())).unwrap();
        feed_server(&mut server, &frame(REQ | END, 499, n, b"")).unwrap();
    }
    let waiting = server.waiting();
    assert!(waiting.iter().all(|len| *len <= 65), "{waiting:?}");
    assert!(server.accept().is_none() && server.next_woken().is_none());
}

#[test]
fn what_arrives_after_end_is_not_acknowledged_and_a_whole_stream_needs_no_credit() {
    let (mut client, id) = answering();
    feed_client(&mut client, &frame(RESP | END | ACK_REQ, 0, id.0, &vec![1; WINDOW as usize - 4])).unwrap();
    drain_client(&mut client, id);
    assert!(acks(client.output()).is_empty());
}

#[test]
fn an_exclusive_connection_has_neither_window_nor_acks() {
    let mut client = client(None);
    let id = open(&mut client, true);
    feed_client(&mut client, &frame(RESP | START, 200, id.0, &response(200, &[]))).unwrap();
    for _ in 0..10 {
        feed_client(&mut client, &frame(RESP | ACK_REQ, 0, id.0, &vec![1; 500_000])).unwrap();
    }
    assert_eq!(content(&drain_client(&mut client, id)).len(), 5_000_000);
    assert!(!client.wants_write());
    assert_eq!(client.credit(id), u32::MAX);
}

#[test]
fn a_sender_stops_at_the_window_and_sends_what_little_credit_it_gets() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    let head = request().len() as u32;
    assert_eq!(client.credit(id), WINDOW - head);
    let mut data = Bytes::from(vec![5; 2 * WINDOW as usize]);
    let mut sent = 0;
    while client.send(id, &mut data, true) == Sent::Blocked && client.wants_write() {
        sent += frames(client.output()).iter().map(|frame| frame.payload.len()).sum::<usize>();
    }
    assert_eq!((sent as u32, client.credit(id)), (WINDOW - head, 0));

    // One byte of credit is one byte sent: the receiver may owe less than half of the window for ever.
    while client.next_woken().is_some() {}
    feed_client(&mut client, &frame(RESP | ACK, 0, id.0, &1u64.to_be_bytes())).unwrap();
    assert_eq!(client.next_woken(), Some(id));
    assert_eq!(client.send(id, &mut data, true), Sent::Blocked);
    assert_eq!(frames(client.output()), [Frame { flags: REQ, code: 0, id: id.0, payload: vec![5] }]);

    // The same again is legal, and wakes nobody.
    feed_client(&mut client, &frame(RESP | ACK, 0, id.0, &1u64.to_be_bytes())).unwrap();
    assert_eq!((client.next_woken(), client.credit(id)), (None, 0));

    // END rides on the last byte.
    data.truncate(10);
    feed_client(&mut client, &frame(RESP | ACK, 0, id.0, &u64::from(WINDOW).to_be_bytes())).unwrap();
    assert_eq!(client.next_woken(), Some(id));
    assert_eq!(client.send(id, &mut data, true), Sent::All);
    assert_eq!(
        frames(client.output()),
        [Frame { flags: REQ | END, code: 0, id: id.0, payload: vec![5; 10] }]
    );
    assert_eq!(client.send(id, &mut Bytes::from_static(b"x"), true), Sent::Closed);
}

#[test]
fn end_needs_no_credit() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    let mut data = Bytes::from(vec![5; WINDOW as usize - request().len()]);
    while client.send(id, &mut data, false) == Sent::Blocked {
        written(client.output());
    }
    written(client.output());
    assert_eq!(client.credit(id), 0);
    assert_eq!(client.send(id, &mut Bytes::new(), true), Sent::All);
    assert_eq!(frames(client.output()), [Frame { flags: REQ | END, code: 0, id: id.0, payload: vec![] }]);
}

#[test]
fn one_stream_holds_a_chunk_of_the_output_at_most_and_is_woken_when_half_of_it_has_left() {
    let mut client = client(None);
    let id = open(&mut client, false);
    let mut data = Bytes::from(vec![5; 10 * CHUNK]);
    assert_eq!(client.send(id, &mut data, false), Sent::Blocked);
    let queued = client.output().len();
    assert!((CHUNK..CHUNK + 100).contains(&queued), "{queued}");
    take(client.output(), CHUNK / 4);
    assert_eq!(client.next_woken(), None);
    take(client.output(), CHUNK / 2);
    assert_eq!(client.next_woken(), Some(id));
    assert_eq!(client.send(id, &mut data, false), Sent::Blocked);
    assert!(client.output().len() <= CHUNK + 100);
}

#[test]
fn an_opening_message_keeps_to_window_and_frame() {
    let mut client = client(Some(WINDOW));
    let head = request();
    let start = StartRequest { head: &head, capability: b"token", tenant_id: 9, is_head: false };
    let mut body = Bytes::from(vec![3; CHUNK + 5]);
    let id = client.open(start, &mut body, true).unwrap();
    assert_eq!(body.len(), 5, "what did not fit is left");
    let first = frames(client.output()).pop().unwrap();
    assert_eq!((first.flags, first.payload.len()), (REQ | START, head.len() + 4 + CHUNK));
    assert_eq!(client.credit(id), WINDOW - first.payload.len() as u32);
    assert_eq!(client.send(id, &mut body, true), Sent::All);

    let long = vec![b'c'; 70_000];
    let start = StartRequest { head: &head, capability: &long, tenant_id: 0, is_head: false };
    assert_eq!(client.open(start, &mut body, true), Err(CannotOpen::TooLarge));
    let long = vec![0; WINDOW as usize + 1];
    let start = StartRequest { head: &long, capability: b"", tenant_id: 0, is_head: false };
    assert_eq!(client.open(start, &mut body, true), Err(CannotOpen::TooLarge));
    assert_eq!(client.open_streams(), 1);
}

#[test]
fn more_is_made_for_a_stream_when_little_of_it_waits_and_after_a_lot_when_none_does() {
    let mut client = client(None);
    let id = open(&mut client, false);
    assert_eq!(client.has_room(id), (true, 0));
    let mut piece = Bytes::from(vec![5; CHUNK / 4]);
    assert_eq!(client.send(id, &mut piece, false), Sent::All);
    assert_eq!(client.has_room(id), (true, client.output().len()));
    let mut piece = Bytes::from(vec![5; CHUNK / 2]);
    assert_eq!(client.send(id, &mut piece, false), Sent::All);
    let waits = client.output().len();
    assert_eq!(client.has_room(id), (false, waits));
    take(client.output(), waits - 1);
    assert_eq!(client.next_woken(), None);
    let (room, rest) = client.has_room(id);
    assert!(room && rest < waits, "{rest}");
    // It was not asked again before all is out.
    take(client.output(), 1);
    assert_eq!(client.next_woken(), Some(id));
    assert_eq!((client.has_room(id), client.next_woken()), ((true, 0), None));
    // A stream that is over needs no room.
    client.give_up(id);
    assert_eq!(client.has_room(id), (true, 0));
}
