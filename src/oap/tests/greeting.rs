use super::*;

fn answered(window: Option<u32>, code: u16, payload: &str) -> Result<Settings, ProtocolError> {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window });
    feed_client(&mut client, &control(RESP, code, 1, payload.as_bytes()))?;
    Ok(client.settings().unwrap())
}

#[test]
fn both_spellings_of_an_answer_are_read() {
    let expected = Settings {
        max_frame: 262_144,
        max_inflight: 16,
        multiplexed: true,
        send_window: 200_000,
        receive_window: WINDOW,
    };
    for payload in [
        r#"{"max_frame":262144,"max_inflight":16,"flags_supported":256,"window":200000,"versions":[1,2],"transports":["tcp"]}"#,
        r#"{"server_version":"x/1","max_frame":262144,"max_inflight":16,"supported_flags":["START","ACK"],"window":200000,"oap_versions":[1],"unknown":{}}"#,
    ] {
        assert_eq!(answered(Some(WINDOW), 200, payload), Ok(expected), "{payload}");
    }
}

#[test]
fn what_is_absent_has_its_default() {
    let settings = answered(Some(WINDOW), 200, "{}").unwrap();
    assert_eq!((settings.max_frame, settings.max_inflight, settings.multiplexed), (MAX_FRAME, 1, false));
}

#[test]
fn the_connection_is_exclusive_unless_both_list_ack_and_a_window() {
    for (window, payload) in [
        (None, HELLO),
        (Some(WINDOW), r#"{"flags_supported":256}"#),
        (Some(WINDOW), r#"{"window":131072}"#),
        (Some(WINDOW), r#"{"flags_supported":255,"window":131072}"#),
        (Some(WINDOW), r#"{"supported_flags":["START"],"window":131072}"#),
    ] {
        assert!(!answered(window, 200, payload).unwrap().multiplexed, "{payload}");
    }
    assert_eq!(
        answered(Some(WINDOW), 200, r#"{"flags_supported":256,"window":131072}"#).unwrap().max_inflight,
        64
    );
}

#[test]
fn more_than_the_range_is_clamped() {
    let payload = r#"{"max_frame":99999999,"max_inflight":99999999999,"flags_supported":256,"window":18446744073709551615}"#;
    let settings = answered(Some(u32::MAX), 200, payload).unwrap();
    assert_eq!((settings.max_frame, settings.max_inflight), (MAX_FRAME, MAX_INFLIGHT));
    assert_eq!((settings.send_window, settings.receive_window), (MAX_WINDOW, MAX_WINDOW));
}

#[test]
fn a_bad_answer_ends_the_connection() {
    for (code, payload) in [
        (0, "{}"),
        (503, "{}"),
        (200, ""),
        (200, "not json"),
        (200, "[]"),
        (200, r#"{"max_frame":131071}"#),
        (200, r#"{"max_frame":"big"}"#),
        (200, r#"{"max_inflight":0}"#),
        (200, r#"{"max_inflight":-1}"#),
        (200, r#"{"window":131071}"#),
        (200, r#"{"window":1.5}"#),
        (200, r#"{"versions":[2]}"#),
        (200, r#"{"oap_versions":[]}"#),
        (200, r#"{"versions":1}"#),
    ] {
        let error = answered(Some(WINDOW), code, payload).unwrap_err();
        assert_eq!((error.reason(), error.ends()), ("bad_hello", Ends::Connection), "{code} {payload}");
    }
}

#[test]
fn a_hello_longer_than_64_kib_is_refused_by_its_header() {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    let long = control(RESP, 200, 1, &vec![b' '; 64 * 1024 + 1]);
    assert_eq!(feed_client(&mut client, &long[..38]).unwrap_err().reason(), "bad_hello");
    assert!(client.is_over());
}

#[test]
fn nothing_opens_before_the_answer_and_a_stream_frame_there_is_a_missing_hello() {
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    assert!(!client.can_open() && client.settings().is_none());
    assert_eq!(feed_client(&mut client, &frame(RESP | END, 0, 1, b"")).unwrap_err().reason(), "bad_hello");
    let mut client = Client::new(&ClientConfig { user_agent: "t".into(), window: None });
    assert_eq!(feed_client(&mut client, &control(RESP, 200, 2, b"{}")).unwrap_err().reason(), "bad_hello");
    let mut server =
        Server::new(&ServerConfig { user_agent: "s".into(), max_frame: 0, max_inflight: 0, window: None });
    assert_eq!(
        feed_server(&mut server, &frame(REQ | START | END, 0, 1, &request())).unwrap_err().reason(),
        "bad_hello"
    );
}

#[test]
fn a_server_answers_with_what_it_offers_and_echoes_the_id() {
    let mut server =
        Server::new(&ServerConfig { user_agent: "s".into(), max_frame: 1, max_inflight: 0, window: Some(1) });
    feed_server(&mut server, &control(REQ, 0, 77, br#"{"ua":"t","flags_supported":256,"window":4194305}"#))
        .unwrap();
    let answer = frames(server.output()).pop().unwrap();
    assert_eq!((answer.flags, answer.code, answer.id), (RESP, 200, 77));
    let json: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!((json["max_frame"].as_u64(), json["max_inflight"].as_u64()), (Some(131_072), Some(1)));
    assert_eq!((json["window"].as_u64(), json["flags_supported"].as_u64()), (Some(131_072), Some(447)));
    assert_eq!(json["versions"][0], 1);
    assert_eq!(server.settings().unwrap().send_window, MAX_WINDOW);
    assert!(server.settings().unwrap().multiplexed);
}

#[test]
fn a_client_that_lists_no_ack_gets_an_exclusive_connection() {
    let mut server = Server::new(&ServerConfig {
        user_agent: "s".into(),
        max_frame: MAX_FRAME,
        max_inflight: 8,
        window: Some(WINDOW),
    });
    feed_server(&mut server, &control(REQ, 0, 1, br#"{"ua":"t"}"#)).unwrap();
    assert!(!server.settings().unwrap().multiplexed);
    let mut client = Client::new(&ClientConfig { user_agent: "\"q\"".into(), window: None });
    let hello = frames(client.output()).pop().unwrap();
    assert_eq!(hello.payload, br#"{"ua":"\"q\""}"#);
}

#[test]
fn a_repeated_hello_is_a_sign_of_life_and_changes_nothing() {
    let mut client = client(Some(WINDOW));
    let before = client.settings();
    assert!(client.probe() && !client.probe() && !client.probe_answered());
    let probe = frames(client.output()).pop().unwrap();
    assert_eq!((probe.flags, probe.id), (REQ, 2));
    feed_client(&mut client, &control(RESP, 200, 9, b"{}")).unwrap();
    assert!(!client.probe_answered());
    assert_eq!(client.counters().dropped, 1);
    feed_client(&mut client, &control(RESP, 200, 2, br#"{"max_frame":131072}"#)).unwrap();
    assert!(client.probe_answered() && client.settings() == before);
    assert!(client.probe());
}

#[test]
fn a_second_hello_before_the_first_one_was_answered_ends_the_connection() {
    let mut server = server(true);
    feed_server(&mut server, &control(REQ, 0, 5, b"{}")).unwrap();
    assert_eq!(feed_server(&mut server, &control(REQ, 0, 6, b"{}")).unwrap_err().reason(), "bad_hello");
}

#[test]
fn an_exclusive_connection_is_probed_between_streams_only() {
    let mut client = client(None);
    let id = open(&mut client, true);
    assert!(!client.probe());
    feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &response(200, &[]))).unwrap();
    drain_client(&mut client, id);
    assert!(client.probe());
}

#[test]
fn drain_is_heard_and_other_events_are_skipped() {
    let mut client = client(Some(WINDOW));
    feed_client(&mut client, &control(EVENT, 7, 0, b"whatever")).unwrap();
    feed_client(&mut client, &frame(EVENT, 503, 3, &[1; 5000])).unwrap();
    assert!(!client.is_draining() && client.can_open());
    let id = open(&mut client, true);
    feed_client(&mut client, &control(EVENT, 503, 0, b"")).unwrap();
    assert!(client.is_draining() && !client.can_open());
    feed_client(&mut client, &frame(RESP | START | END, 200, id.0, &response(200, &[]))).unwrap();
    assert!(matches!(drain_client(&mut client, id)[..], [Incoming::Head { .. }, Incoming::End]));
}
