//! Every reason of oap1 §2, on either side, and what it ends.

use super::*;

/// What is sent to a client with one open stream, and the reason that it must give.
fn to_client(id: u64) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let head = response(200, &[]);
    let with = |fields: &[(&str, &str)]| response(200, fields);
    let start = |payload: &[u8]| frame(RESP | START, 200, id, payload);
    let open = start(&head);
    let after = |more: Vec<u8>| [open.clone(), more].concat();
    let mut short = frame(RESP, 0, id, b"");
    short[3] = 37;
    let mut long_cap = raw(1, RESP | START, 200, 0x0401, id, b"", b"abc");
    long_cap[29] = 4;
    let mut oversize = frame(RESP, 0, id, b"");
    oversize[..4].copy_from_slice(&(MAX_FRAME + 1).to_be_bytes());
    let fields: Vec<(String, String)> = (0..129).map(|n| (format!("f{n}"), String::new())).collect();
    let mut many = vec![1, 0x40, 200];
    let lines: Vec<u8> = fields
        .iter()
        .flat_map(|(name, _)| [&[name.len() as u8][..], name.as_bytes(), &[0]].concat())
        .collect();
    many.extend((lines.len() as u16 | 0x4000).to_be_bytes());
    many.extend(lines);
    let line = |name: &[u8], value: &[u8]| {
        let line = [&[name.len() as u8][..], name, &[value.len() as u8], value].concat();
        [&[1, 0x40, 200, line.len() as u8][..], &line].concat()
    };
    vec![
        ("len over max_frame", oversize, "frame_oversize"),
        ("len below 38", short, "header_malformed"),
        ("capability longer than the frame", long_cap, "header_malformed"),
        ("capability without START", raw(1, RESP, 0, 0x0401, id, b"c", b""), "header_malformed"),
        ("both REQ and RESP", frame(REQ | RESP, 0, id, b""), "header_malformed"),
        ("neither REQ nor RESP", frame(END, 0, id, b""), "header_malformed"),
        ("wrong direction", frame(REQ | END, 0, id, b""), "header_malformed"),
        ("HELLO in the wrong direction", control(REQ, 0, 1, b"{}"), "header_malformed"),
        ("unknown app_proto_id", raw(1, RESP, 0, 0x0402, id, b"", b""), "header_malformed"),
        ("COMP", frame(RESP | COMP, 0, id, b"x"), "header_malformed"),
        ("ACK with END", frame(RESP | ACK | END, 0, id, &[0; 8]), "header_malformed"),
        ("ACK on control", control(RESP | ACK, 0, id, &[0; 8]), "header_malformed"),
        ("version 2", raw(2, RESP, 0, 0x0401, id, b"", b""), "bad_version"),
        ("version 0", raw(0, RESP, 0, 0x0401, id, b"", b""), "bad_version"),
        ("a HELLO of more than 64 KiB", control(RESP, 200, 2, &vec![0; 65 * 1024]), "bad_hello"),
        ("payload over the window", start(&vec![0; WINDOW as usize + 1]), "credit_violation"),
        ("ACK of 7 bytes", frame(RESP | ACK, 0, id, &[0; 7]), "credit_violation"),
        ("ACK of 9 bytes for nobody", frame(RESP | ACK, 0, 99, &[0; 9]), "credit_violation"),
        ("up_to past what was sent", frame(RESP | ACK, 0, id, &1000u64.to_be_bytes()), "credit_violation"),
        (
            "up_to goes back",
            [5u64, 4].iter().flat_map(|up_to| frame(RESP | ACK, 0, id, &up_to.to_be_bytes())).collect(),
            "credit_violation",
        ),
        ("a second START", after(start(&head)), "bad_sequence"),
        ("data before START", frame(RESP, 0, id, b"x"), "bad_sequence"),
        ("END without START, code 0", frame(RESP | END, 0, id, b""), "bad_sequence"),
        ("END without START, code 500", frame(RESP | END, 500, id, b""), "bad_sequence"),
        (
            "data after END",
            after([frame(RESP | END, 0, id, b"x"), frame(RESP, 0, id, b"y")].concat()),
            "bad_sequence",
        ),
        (
            "END after END",
            after([frame(RESP | END, 0, id, b"x"), frame(RESP | END, 0, id, b"")].concat()),
            "bad_sequence",
        ),
        ("START after END", after([frame(RESP | END, 0, id, b""), start(&head)].concat()), "bad_sequence"),
        ("no head at all", start(b""), "bad_message"),
        ("half a head", start(&line(b"a", b"b")[..6]), "bad_message"),
        ("a request's head", start(&request()), "bad_message"),
        ("indeterminate length", start(&[3, 0x40, 200, 0]), "bad_message"),
        ("code is not the status", frame(RESP | START, 201, id, &head), "bad_message"),
        ("code 0 is read as 200", frame(RESP | START, 0, id, &response(404, &[])), "bad_message"),
        ("informational status", frame(RESP | START, 103, id, &[1, 0x40, 103, 0]), "bad_message"),
        ("status 600", frame(RESP | START, 600, id, &[1, 0x42, 0x58, 0]), "bad_message"),
        ("a head over 80 KiB", start(&[1, 0x40, 200, 0x80, 0x01, 0x40, 0x00]), "bad_message"),
        ("129 fields", start(&many), "bad_message"),
        ("upper case", start(&line(b"Etag", b"x")), "bad_message"),
        ("a pseudo-header", start(&line(b":status", b"200")), "bad_message"),
        ("an empty name", start(&line(b"", b"x")), "bad_message"),
        ("CR in a value", start(&line(b"a", b"x\ry")), "bad_message"),
        ("LF in a value", start(&line(b"a", b"x\ny")), "bad_message"),
        ("NUL in a value", start(&line(b"a", b"x\0y")), "bad_message"),
        ("connection", start(&line(b"connection", b"close")), "bad_message"),
        ("transfer-encoding", start(&line(b"transfer-encoding", b"chunked")), "bad_message"),
        ("http2-settings", start(&line(b"http2-settings", b"x")), "bad_message"),
        ("content-length x", start(&line(b"content-length", b"x")), "bad_message"),
        ("content-length +1", start(&line(b"content-length", b"+1")), "bad_message"),
        ("content longer than its frame", start(&[&head[..], &[5, 1]].concat()), "bad_message"),
        ("half a content length", start(&[&head[..], &[0x40]].concat()), "bad_message"),
        ("trailers", start(&[&message(head.clone(), b"x")[..], &[0, 0, 1]].concat()), "bad_message"),
        ("more than content-length", start(&message(with(&[("content-length", "1")]), b"xy")), "bad_message"),
        (
            "fewer than content-length",
            frame(RESP | START | END, 200, id, &message(with(&[("content-length", "3")]), b"xy")),
            "bad_message",
        ),
        (
            "fewer than content-length, later",
            [start(&with(&[("content-length", "3")])), frame(RESP | END, 0, id, b"xy")].concat(),
            "bad_message",
        ),
        ("content in a 204", frame(RESP | START, 204, id, &message(response(204, &[]), b"x")), "bad_message"),
        ("content in a 304", frame(RESP | START, 304, id, &message(response(304, &[]), b"x")), "bad_message"),
    ]
}

/// Holds that a client with an open stream gives `reason` for `bytes`, and that it ends what it must.
fn check_client(what: &str, bytes: &[u8], reason: &str, cut: usize) {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    let other = open(&mut client, true);
    let result = bytes.chunks(cut).try_for_each(|piece| feed_client(&mut client, piece));
    let ends = if matches!(reason, "bad_sequence" | "bad_message") { Ends::Stream } else { Ends::Connection };
    if ends == Ends::Connection {
        let error = result.expect_err(what);
        assert_eq!((error.reason(), error.ends()), (reason, ends), "{what}");
        assert!(client.is_over() && !client.can_open() && !client.wants_write(), "{what}");
        for id in [id, other] {
            let events = drain_client(&mut client, id);
            assert!(matches!(events[..], [Incoming::Failed(StreamFailure::Lost)]), "{what}: {events:?}");
        }
    } else {
        result.expect(what);
        let events = drain_client(&mut client, id);
        let [Incoming::Failed(StreamFailure::Protocol(error))] = &events[..] else {
            panic!("{what}: {events:?}")
        };
        assert_eq!((error.reason(), error.ends()), (reason, ends), "{what}");
        // It is given up, and the other stream does not notice.
        assert!(frames(client.output()).contains(&Frame {
            flags: REQ | END,
            code: 499,
            id: id.0,
            payload: vec![]
        }));
        feed_client(&mut client, &frame(RESP | START | END, 200, other.0, &response(200, &[]))).unwrap();
        let events = drain_client(&mut client, other);
        assert!(matches!(events[..], [Incoming::Head { .. }, Incoming::End]), "{what}: {events:?}");
        assert!(!client.is_over() && client.open_streams() == 0);
    }
}

#[test]
fn every_malformed_answer_has_its_reason_and_ends_what_it_must() {
    let id = {
        let mut client = client(Some(WINDOW));
        open(&mut client, false).0
    };
    for (what, bytes, reason) in to_client(id) {
        for cut in [usize::MAX, 1, 7] {
            check_client(what, &bytes, reason, cut.min(bytes.len()));
        }
    }
}

#[test]
fn the_rest_of_a_broken_answer_is_never_taken_for_frames() {
    let declared = |length: &'static str| response(200, &[("content-length", length)]);
    for (what, start) in [
        ("more than content-length", frame(RESP | START, 200, 1, &message(declared("3"), b"he"))),
        ("content where there is none", frame(RESP | START, 204, 1, &response(204, &[]))),
    ] {
        for cut in [usize::MAX, 1, 7, 50] {
            let mut client = client(Some(WINDOW));
            let id = open(&mut client, false);
            let other = open(&mut client, true);
            let mut start = start.clone();
            start[30..38].copy_from_slice(&id.0.to_be_bytes());
            let forged = frame(RESP | START | END, 200, other.0, &message(response(200, &[]), b"FORGED"));
            for payload in [forged, b"llo".to_vec()] {
                let bytes = [&start[..], &frame(RESP | END, 0, id.0, &payload)].concat();
                let cut = cut.min(bytes.len());
                let result = bytes.chunks(cut).try_for_each(|piece| feed_client(&mut client, piece));
                result.unwrap_or_else(|error| panic!("{what}, {cut}: {error}"));
                assert!(drain_client(&mut client, other).is_empty(), "{what}, {cut}");
            }
            feed_client(&mut client, &frame(RESP | START | END, 200, other.0, &response(200, &[]))).unwrap();
            let events = drain_client(&mut client, other);
            assert!(
                matches!(events[..], [Incoming::Head { .. }, Incoming::End]),
                "{what}, {cut}: {events:?}"
            );
        }
    }
}

#[test]
fn what_is_wrong_with_a_header_is_seen_on_its_last_byte() {
    let id = {
        let mut client = client(Some(WINDOW));
        open(&mut client, false).0
    };
    for (what, bytes, reason) in to_client(id).into_iter().filter(|(_, _, reason)| {
        matches!(*reason, "frame_oversize" | "header_malformed" | "bad_version" | "bad_hello")
    }) {
        let mut client = client(Some(WINDOW));
        let _ = open(&mut client, false);
        feed_client(&mut client, &bytes[..37]).expect(what);
        assert_eq!(feed_client(&mut client, &bytes[37..38]).expect_err(what).reason(), reason, "{what}");
    }
}

#[test]
fn a_frame_over_the_agreed_size_is_oversize() {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    feed_client(&mut client, &control(RESP, 200, 1, br#"{"max_frame":131072}"#)).unwrap();
    let id = open(&mut client, true);
    let mut input = frame(RESP | START, 200, id.0, &message(response(200, &[]), &vec![0; 131_072 - 38 - 8]));
    assert_eq!(input.len(), 131_072);
    feed_client(&mut client, &input).unwrap();
    input = frame(RESP, 0, id.0, &vec![0; 131_072 - 37]);
    assert_eq!(
        feed_client(&mut client, &input),
        Err(ProtocolError::FrameOversize { len: 131_073, max: 131_072 })
    );
}

#[test]
fn an_ack_that_was_not_agreed_is_malformed() {
    let mut client = client(None);
    let id = open(&mut client, true);
    let error = feed_client(&mut client, &frame(RESP | ACK, 0, id.0, &[0; 8])).unwrap_err();
    assert_eq!(error.reason(), "header_malformed");
}

#[test]
fn an_end_of_the_connection_inside_a_frame_or_with_streams_open_is_truncated() {
    let mut idle = client(Some(WINDOW));
    assert_eq!(idle.handle_eof(), Ok(()));
    assert!(idle.is_over());

    let mut inside = client(Some(WINDOW));
    feed_client(&mut inside, &[0, 0]).unwrap();
    assert_eq!(inside.handle_eof(), Err(ProtocolError::Truncated));

    let mut outstanding = client(Some(WINDOW));
    let id = open(&mut outstanding, true);
    assert_eq!(outstanding.handle_eof(), Err(ProtocolError::Truncated));
    assert!(matches!(outstanding.poll(id), Some(Incoming::Failed(StreamFailure::Lost))));

    let mut whole = client(Some(WINDOW));
    let id = open(&mut whole, true);
    feed_client(&mut whole, &frame(RESP | START | END, 200, id.0, &response(200, &[]))).unwrap();
    assert_eq!(whole.handle_eof(), Ok(()));
    assert!(matches!(drain_client(&mut whole, id)[..], [Incoming::Head { .. }, Incoming::End]));

    let mut early = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    assert_eq!(early.handle_eof().unwrap_err().reason(), "bad_hello");
}

#[test]
fn reserved_flags_mean_nothing() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, true);
    feed_client(&mut client, &frame(RESP | START | END | 0xfe80, 200, id.0, &response(200, &[]))).unwrap();
    assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Head { .. }, Incoming::End]));
}

#[test]
fn a_frame_for_a_stream_that_is_not_open_costs_nobody_anything() {
    let mut client = client(Some(WINDOW));
    let id = open(&mut client, false);
    let gone = open(&mut client, false);
    client.give_up(gone);
    for stranger in [gone.0, 0, 12345, u64::MAX, gone.0 + (1 << 32)] {
        feed_client(&mut client, &frame(RESP | START, 200, stranger, &vec![1; 300_000])).unwrap();
        feed_client(&mut client, &frame(RESP | END, 500, stranger, b"junk")).unwrap();
        feed_client(&mut client, &frame(RESP | ACK, 0, stranger, &[255; 8])).unwrap();
    }
    assert_eq!(client.counters().dropped, 15);
    feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &message(response(200, &[]), b"x")))
        .unwrap();
    assert_eq!(content(&drain_client(&mut client, id)), b"x");
}
