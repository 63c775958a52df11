//! Whatever a peer says, nothing panics, and what it can make us hold has a bound.

use proptest::prelude::*;

use super::*;

/// What an action of the peer is made of: mostly frames that are almost right.
#[derive(Clone, Debug)]
enum Said {
    Frame { flags: u16, code: u16, proto: u16, stream: u8, cap: u8, payload: Vec<u8> },
    Bytes(Vec<u8>),
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(request()),
        4 => (any::<bool>(), 0usize..3000).prop_map(|(content_length, len)| {
            let fields: &[(&str, &str)] = if content_length { &[("content-length", "1000")] } else { &[] };
            message(response(200, fields), &vec![0; len])
        }),
        3 => (0u64..70_000).prop_map(|up_to| up_to.to_be_bytes().to_vec()),
        2 => Just(HELLO.as_bytes().to_vec()),
        3 => (0usize..70_000).prop_map(|len| vec![7; len]),
        2 => prop::collection::vec(any::<u8>(), 0..50),
        3 => Just(Vec::new()),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let flags = prop_oneof![
        8 => prop::sample::select(vec![0, START, END, START | END, ACK, ACK_REQ, START | ACK_REQ]),
        1 => any::<u16>(),
    ];
    let code =
        prop_oneof![4 => Just(0u16), 3 => Just(200), 2 => Just(499), 2 => Just(503), 1 => any::<u16>()];
    let proto = prop_oneof![15 => Just(0x0401u16), 2 => Just(0), 1 => any::<u16>()];
    let cap = prop_oneof![5 => Just(0u8), 1 => any::<u8>()];
    prop_oneof![
        30 => (flags, code, proto, 0u8..12, cap, payload()).prop_map(|(flags, code, proto, stream, cap, payload)| {
            Said::Frame { flags, code, proto, stream, cap, payload }
        }),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Said::Bytes),
    ]
}

/// The bytes of `said` from the side that sends with `side`.
fn bytes(said: &Said, side: u16, ids: &[u64]) -> Vec<u8> {
    match said {
        Said::Frame { flags, code, proto, stream, cap, payload } => {
            let id = ids.get(usize::from(*stream) % ids.len().max(1)).copied().unwrap_or_default();
            let cap = vec![b'c'; if flags & START == 0 { 0 } else { usize::from(*cap) }];
            raw(1, flags | side, *code, *proto, id, &cap, payload)
        }
        Said::Bytes(bytes) => bytes.clone(),
    }
}

/// `events` took `bytes` in all, and waited in few pieces.
fn check_held(events: usize, bytes: usize, window: Option<u32>) {
    if let Some(window) = window {
        assert!(bytes <= window as usize, "{bytes} bytes of a window of {window}");
    }
    // A head, an end, and pieces that are alternately tiny and 8 KiB at worst.
    assert!(events <= 4 + bytes / 2048, "{events} pieces of {bytes} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_client_survives_every_server(
        window in prop_oneof![Just(None), Just(Some(WINDOW))],
        all in prop::collection::vec((said(), 1usize..100_000, 0u8..8), 0..60),
    ) {
        let mut client = client(window);
        let mut ids = Vec::new();
        for (said, cut, action) in all {
            if action < 3 && client.can_open() {
                ids.push(open(&mut client, action != 0).0);
            }
            let sent = bytes(&said, RESP, &ids);
            let ended = sent.chunks(cut).any(|piece| feed_client(&mut client, piece).is_err());
            prop_assert!(!ended || client.is_over());
            // One place each for an ACK, the head, its END, 499; a probe.
            prop_assert!(client.output().len() <= 65 * 400, "{}", client.output().len());
            match action {
                4 => drop(written(client.output())),
                5 => {
                    if let Some(id) = ids.first() {
                        client.give_up(StreamId(*id));
                    }
                }
                6 => drop(client.probe()),
                _ => {}
            }
        }
        for id in ids {
            let events = drain_client(&mut client, StreamId(id));
            check_held(events.len(), content(&events).len(), window);
            client.give_up(StreamId(id));
        }
        prop_assert_eq!(client.open_streams(), 0);
    }

    #[test]
    fn a_server_survives_every_client(
        multiplexed in any::<bool>(),
        all in prop::collection::vec((said(), 1usize..100_000, 0u8..8), 0..60),
    ) {
        let mut server = if multiplexed { server(true) } else { server(false) };
        let ids: Vec<u64> = (0..12).map(|id| id * 0x1_0000_0001).collect();
        let mut accepted = Vec::new();
        for (said, cut, action) in all {
            let sent = bytes(&said, REQ, &ids);
            let ended = sent.chunks(cut).any(|piece| feed_server(&mut server, piece).is_err());
            prop_assert!(!ended || server.is_over());
            // Refusals, at most one HELLO, and what each of the streams may have said.
            prop_assert!(server.output().len() <= 60 * (46 + 100) + 300, "{}", server.output().len());
            match action {
                0..3 => accepted.extend(server.accept()),
                3 => drop(written(server.output())),
                4 => {
                    if let Some(id) = accepted.first() {
                        let _sent = server.respond(*id, 200, &response(200, &[]), &mut Bytes::from_static(b"abc"), cut % 2 == 0);
                    }
                }
                5 => {
                    if let Some(id) = accepted.pop() {
                        server.fail(id, 500);
                    }
                }
                6 => server.drain(),
                _ => {}
            }
        }
        accepted.extend(std::iter::from_fn(|| server.accept()));
        for id in accepted {
            let (mut events, mut bytes) = (0, 0);
            while let Some(event) = server.poll(id) {
                events += 1;
                if let Arriving::Data { bytes: piece, .. } = event {
                    bytes += piece.len();
                }
            }
            check_held(events, bytes, multiplexed.then_some(WINDOW));
            server.fail(id, 500);
        }
        server.handle_lost();
        prop_assert_eq!(server.open_streams(), 0);
    }

    #[test]
    fn a_greeting_of_any_json_or_none_is_read_or_refused(
        key in prop::sample::select(vec![
            "max_frame", "max_inflight", "window", "flags_supported", "supported_flags", "versions", "oap_versions",
        ]),
        value in prop::sample::select(vec![
            "0", "1", "-1", "131071", "131072", "1e9", "1.5", "18446744073709551616", "null", "[]", "[1]", "[\"ACK\"]",
            "[null]", "\"1\"", "{}", "true", "[[1]]",
        ]),
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for payload in [format!("{{\"window\":200000,\"flags_supported\":256,\"{key}\":{value}}}").into_bytes(), junk] {
            let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: Some(WINDOW) });
            match feed_client(&mut client, &control(RESP, 200, 1, &payload)) {
                Ok(()) => {
                    let settings = client.settings().unwrap();
                    prop_assert!((MIN_FRAME..=MAX_FRAME).contains(&settings.max_frame));
                    prop_assert!((1..=MAX_INFLIGHT).contains(&settings.max_inflight));
                    prop_assert!(!settings.multiplexed || (MIN_WINDOW..=MAX_WINDOW).contains(&settings.send_window));
                }
                Err(error) => prop_assert_eq!(error.reason(), "bad_hello"),
            }
        }
    }
}
