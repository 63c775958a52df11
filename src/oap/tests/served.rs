//! A service's side: every reason of oap1 §2 there, and what it ends.

use super::*;

/// Takes everything that a stream has to say, credit given back.
pub(super) fn drain_server(server: &mut Server, id: StreamId) -> Vec<Arriving> {
    let mut events = Vec::new();
    while let Some(event) = server.poll(id) {
        server.passed_on(id, event.credit());
        events.push(event);
    }
    events
}

pub(super) fn received(events: &[Arriving]) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| if let Arriving::Data { bytes, .. } = event { bytes.to_vec() } else { Vec::new() })
        .collect()
}

pub(super) fn request_with(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = Vec::new();
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    crate::bhttp::encode_request_head(&mut head, b"PUT", b"http", b"x", b"/a?b", fields).unwrap();
    head
}

/// A server with the open stream 5, accepted and its head taken.
pub(super) fn accepted() -> (Server, StreamId) {
    let mut server = server(true);
    feed_server(&mut server, &frame(REQ | START, 0, 5, &request())).unwrap();
    let id = server.accept().unwrap();
    assert!(matches!(drain_server(&mut server, id)[..], [Arriving::Head { .. }]));
    (server, id)
}

#[test]
fn what_ends_the_connection_of_a_server() {
    let head = request();
    let mut oversize = frame(REQ, 0, 5, b"");
    oversize[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    for (what, bytes, reason) in [
        ("oversize", oversize, "frame_oversize"),
        ("wrong direction", frame(RESP | END, 0, 5, b""), "header_malformed"),
        ("HELLO in the wrong direction", control(RESP, 200, 1, b"{}"), "header_malformed"),
        ("COMP", frame(REQ | COMP, 0, 5, b"x"), "header_malformed"),
        ("capability without START", raw(1, REQ, 0, 0x0401, 5, b"c", b""), "header_malformed"),
        ("version", raw(3, REQ, 0, 0x0401, 5, b"", b""), "bad_version"),
        ("second HELLO not JSON", control(REQ, 0, 9, b"nope"), "bad_hello"),
        ("second HELLO too long", control(REQ, 0, 9, &vec![b' '; 65 * 1024]), "bad_hello"),
        ("second HELLO without a common version", control(REQ, 0, 9, br#"{"versions":[2]}"#), "bad_hello"),
        ("window in START", frame(REQ | START, 0, 6, &vec![0; WINDOW as usize + 1]), "credit_violation"),
        ("window in data", frame(REQ, 0, 5, &vec![0; WINDOW as usize]), "credit_violation"),
        ("ACK of 7 bytes", frame(REQ | ACK, 0, 5, &[0; 7]), "credit_violation"),
        ("up_to past what was sent", frame(REQ | ACK, 0, 5, &[0, 0, 0, 0, 0, 0, 0, 1]), "credit_violation"),
    ] {
        for cut in [1, 5, usize::MAX] {
            let mut server = server(true);
            feed_server(&mut server, &frame(REQ | START, 0, 5, &head)).unwrap();
            let id = server.accept().unwrap();
            let error = bytes
                .chunks(cut.min(bytes.len()))
                .try_for_each(|piece| feed_server(&mut server, piece))
                .expect_err(what);
            assert_eq!((error.reason(), error.ends()), (reason, Ends::Connection), "{what}");
            assert!(server.is_over() && !server.wants_write(), "{what}");
            let events = drain_server(&mut server, id);
            assert!(matches!(events[..], [Arriving::Failed(StreamFailure::Lost)]), "{what}: {events:?}");
            assert_eq!(server.open_streams(), 0);
        }
    }
}

#[test]
fn the_end_of_a_connection() {
    let mut fresh =
        Server::new(&ServerConfig { user_agent: "s".into(), max_frame: 0, max_inflight: 8, window: None });
    assert_eq!(fresh.handle_eof().unwrap_err().reason(), "bad_hello");
    let mut idle = server(true);
    assert_eq!(idle.handle_eof(), Ok(()));
    let mut inside = server(true);
    feed_server(&mut inside, &frame(REQ | START, 0, 5, &request())[..40]).unwrap();
    assert_eq!(inside.handle_eof(), Err(ProtocolError::Truncated));
    let (mut open, id) = accepted();
    assert_eq!(open.handle_eof(), Err(ProtocolError::Truncated));
    assert!(matches!(open.poll(id), Some(Arriving::Failed(StreamFailure::Lost))));
}

#[test]
fn the_rest_of_a_broken_request_is_never_taken_for_frames() {
    for cut in [usize::MAX, 1, 7, 50] {
        let mut server = server(true);
        let hidden = frame(REQ | START | END, 0, 7, &request());
        let bytes = [
            frame(REQ | START, 0, 6, &request_with(&[("content-length", "3")])),
            frame(REQ | END, 0, 6, &hidden),
        ]
        .concat();
        for piece in bytes.chunks(cut.min(bytes.len())) {
            feed_server(&mut server, piece).unwrap();
        }
        feed_server(&mut server, &frame(REQ | START | END, 0, 8, &request())).unwrap();
        let asked: Vec<u64> = std::iter::from_fn(|| server.accept()).map(|id| id.0).collect();
        assert!(!asked.contains(&7) && asked.last() == Some(&8), "{cut}: {asked:?}");
    }
}

#[test]
fn what_ends_a_stream_of_a_server_is_answered_400_and_costs_the_others_nothing() {
    let line = |name: &[u8], value: &[u8]| {
        let line = [&[name.len() as u8][..], name, &[value.len() as u8], value].concat();
        [&b"\0\x03GET\x04http\x01x\x01/"[..], &[line.len() as u8], &line].concat()
    };
    let short = request_with(&[("content-length", "3")]);
    for (what, bytes, reason) in [
        ("no head", frame(REQ | START | END, 0, 6, b""), "bad_message"),
        ("an answer's head", frame(REQ | START | END, 0, 6, &response(200, &[])), "bad_message"),
        ("half a head", frame(REQ | START | END, 0, 6, &request()[..8]), "bad_message"),
        ("host", frame(REQ | START | END, 0, 6, &line(b"host", b"x")), "bad_message"),
        ("upgrade", frame(REQ | START | END, 0, 6, &line(b"upgrade", b"x")), "bad_message"),
        ("te", frame(REQ | START | END, 0, 6, &line(b"te", b"trailers")), "bad_message"),
        ("expect", frame(REQ | START | END, 0, 6, &line(b"expect", b"100-continue")), "bad_message"),
        ("keep-alive", frame(REQ | START | END, 0, 6, &line(b"keep-alive", b"5")), "bad_message"),
        ("trailer", frame(REQ | START | END, 0, 6, &line(b"trailer", b"x")), "bad_message"),
        ("proxy-connection", frame(REQ | START | END, 0, 6, &line(b"proxy-connection", b"x")), "bad_message"),
        ("no method", frame(REQ | START | END, 0, 6, b"\0\0\x04http\x01x\x01/"), "bad_message"),
        ("no authority", frame(REQ | START | END, 0, 6, b"\0\x03GET\x04http\0\x01/"), "bad_message"),
        (
            "a path with a space",
            frame(REQ | START | END, 0, 6, b"\0\x03GET\x04http\x01x\x03/ a"),
            "bad_message",
        ),
        (
            "fewer than content-length",
            frame(REQ | START | END, 0, 6, &message(short.clone(), b"ab")),
            "bad_message",
        ),
        ("more than content-length", frame(REQ | START | END, 0, 6, &message(short, b"abcd")), "bad_message"),
        (
            "a second START",
            [frame(REQ | START, 0, 6, &request()), frame(REQ | START | END, 0, 6, b"")].concat(),
            "bad_sequence",
        ),
        (
            "data after END",
            [frame(REQ | START | END, 0, 6, &request()), frame(REQ, 0, 6, b"x")].concat(),
            "bad_sequence",
        ),
        (
            "END after END",
            [frame(REQ | START | END, 0, 6, &request()), frame(REQ | END, 0, 6, b"")].concat(),
            "bad_sequence",
        ),
    ] {
        for (cut, accept) in [(usize::MAX, true), (1, true), (1, false)] {
            let (mut server, other) = accepted();
            let mut failures = Vec::new();
            for piece in bytes.chunks(cut.min(bytes.len())) {
                feed_server(&mut server, piece).expect(what);
                while accept && let Some(id) = server.accept() {
                    failures.push(id);
                }
            }
            // Where it was accepted before it broke, it says so; otherwise nobody hears of it.
            for id in failures {
                let events = drain_server(&mut server, id);
                let Some(Arriving::Failed(StreamFailure::Protocol(error))) = events.last() else {
                    panic!("{what}: {events:?}")
                };
                assert_eq!((error.reason(), error.ends()), (reason, Ends::Stream), "{what}");
            }
            let answer = frames(server.output()).pop().unwrap();
            assert_eq!((answer.flags, answer.code, answer.id), (RESP | START | END, 400, 6), "{what}");
            // The other stream does not notice, and the place is free again.
            feed_server(&mut server, &frame(REQ | END, 0, other.0, b"ok")).unwrap();
            assert_eq!(received(&drain_server(&mut server, other)), b"ok", "{what}");
            assert_eq!(server.respond(other, 200, &response(200, &[]), &mut Bytes::new(), true), Sent::All);
            feed_server(&mut server, &frame(REQ | END, 499, 6, b"")).unwrap();
            written(server.output());
            assert!(server.is_idle(), "{what}");
        }
    }
}

#[test]
fn a_request_that_breaks_after_its_answer_has_begun_ends_the_answer_as_failed() {
    for status in [200, 400] {
        let (mut server, id) = accepted();
        assert_eq!(
            server.respond(id, status, &response(status, &[]), &mut Bytes::from_static(b"x"), false),
            Sent::All
        );
        feed_server(&mut server, &frame(REQ | START, 0, id.0, b"")).unwrap();
        let last = frames(server.output()).pop().unwrap();
        assert_eq!((last.flags, last.payload.len()), (RESP | END, 0));
        assert!(last.code != status && last.code != 0 && last.code != 200, "{}", last.code);
    }
}
