//! What the fuzz targets do with their input, shared with `tests/fuzz_corpus.rs`, where it runs on a stable compiler.
//! A finding is a panic, of the code or of a check here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a finding is a panic, and no time passes"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use svc_gateway::bhttp::{
    BadMessage, MAX_FIELDS, MAX_HEAD, Progress, encode_request_head, encode_response_head,
    parse_request_head, parse_response_head,
};
use svc_gateway::caps::{Breach, Encoding, Guard, Memory, Mode, guard};
use svc_gateway::edge::guard::{http1, http2};
use svc_gateway::oap::{
    Arriving, CONTROL, Client, ClientConfig, Ends, Flags, FrameHeader, Incoming, MAX_FRAME, MAX_INFLIGHT,
    MAX_WINDOW, MIN_FRAME, MIN_WINDOW, Output, ProtocolError, Server, ServerConfig, Settings, StartRequest,
    StreamFailure, StreamId,
};
use svc_gateway::tenant::capability::{
    Caveat, Denied, Facts, Forbidden, Identifier, Key, Keys, MAX_CAVEATS, Presented, Revoked, Secret,
    TenantEvidence, Token,
};
use svc_gateway::tenant::proxy_protocol::{self as proxy, LONGEST_V2};
use svc_gateway::tls::Hello;

use super::seeds::GENUINE;

/// What a target does with its input.
pub type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Body); 11] = [
    ("oap_client_input", oap_client_input),
    ("oap_server_input", oap_server_input),
    ("bhttp_request_head", bhttp_request_head),
    ("bhttp_response_head", bhttp_response_head),
    ("hello", hello),
    ("proxy_protocol", proxy_protocol),
    ("http1_guard", http1_guard),
    ("http2_guard", http2_guard),
    ("decode", decode),
    ("client_hello", client_hello),
    ("capability", capability),
];

/// Streams that are open on either side at most.
const STREAMS: u32 = 4;
/// What the output may hold while nobody writes: no content is sent here, so per stream a head, an ACK and an END; and a
/// HELLO, an event, refusals.
const MOST_OUTPUT: usize = 64 * 1024;

/// How the input is dealt: the first two bytes of it.
struct Deal {
    multiplexed: bool,
    cut: usize,
    /// Whether the users take what arrives, and whether it is passed on and written.
    takes: bool,
    writes: bool,
    answers: bool,
}

impl Deal {
    fn take(data: &[u8]) -> Option<(Self, &[u8])> {
        let (&[how, cut], rest) = data.split_first_chunk::<2>()?;
        let cut = if cut == 0 { usize::MAX } else { usize::from(cut) };
        let bit = |bit: u8| how >> bit & 1 == 1;
        Some((Self { multiplexed: bit(0), takes: bit(1), writes: bit(2), answers: bit(3), cut }, rest))
    }

    fn pieces<'a>(&self, data: &'a [u8]) -> impl Iterator<Item = BytesMut> + 'a {
        data.chunks(self.cut.min(data.len().max(1))).map(BytesMut::from)
    }

    fn window(&self) -> Option<u32> {
        self.multiplexed.then_some(MIN_WINDOW)
    }
}

fn control(flags: Flags, code: u16, payload: &[u8]) -> BytesMut {
    let header = FrameHeader {
        app_proto_id: CONTROL,
        ..FrameHeader::http(StreamId(1), flags, code, payload.len() as u32)
    };
    let mut bytes = BytesMut::new();
    header.put(&mut bytes);
    bytes.put_slice(payload);
    bytes
}

fn write(output: &mut Output) {
    assert!(output.len() <= MOST_OUTPUT, "{} bytes wait", output.len());
    output.advance(output.len());
}

/// An error of the input ends the connection; what ends a stream is said on the stream.
fn check_error(error: &ProtocolError, over: bool) {
    assert!(over && error.ends() == Ends::Connection, "{error:?}");
}

fn check_failure(failure: &StreamFailure) {
    if let StreamFailure::Protocol(error) = failure {
        assert_eq!(error.ends(), Ends::Stream, "{error:?}");
    }
}

/// What waits for a user who has not taken anything yet is within the window.
fn check_waiting(bytes: usize, events: usize, deal: &Deal) {
    assert!(!deal.multiplexed || bytes <= MIN_WINDOW as usize, "{bytes} bytes");
    assert!(events <= 4 + bytes / 2048, "{events} pieces of {bytes} bytes");
}

/// What a server may say to a client that has asked for a few things.
pub fn oap_client_input(data: &[u8]) {
    let Some((deal, data)) = Deal::take(data) else { return };
    let mut client = Client::new(&ClientConfig { user_agent: "fuzz".into(), window: deal.window() });
    let answer = br#"{"max_inflight":4,"flags_supported":447,"window":131072}"#;
    client.handle_input(&mut control(Flags::RESP, 200, answer)).unwrap();
    let mut head = Vec::new();
    encode_request_head(&mut head, b"GET", b"http", b"x", b"/", std::iter::empty()).unwrap();
    let ids: Vec<StreamId> = (0..STREAMS)
        .filter_map(|n| {
            let start = StartRequest { head: &head, capability: b"", tenant_id: 0, is_head: n == 3 };
            client.open(start, &mut Bytes::new(), n % 2 == 0).ok()
        })
        .collect();
    for mut piece in deal.pieces(data) {
        if let Err(error) = client.handle_input(&mut piece) {
            check_error(&error, client.is_over());
        }
        assert!(piece.is_empty());
        if deal.takes {
            while let Some(id) = client.next_woken() {
                let (bytes, events) = take_answer(&mut client, id);
                check_waiting(bytes, events, &deal);
            }
        }
        if deal.writes {
            write(client.output());
        }
    }
    if data.len() % 2 == 0 {
        drop(client.handle_eof());
    }
    for id in ids {
        let (bytes, events) = take_answer(&mut client, id);
        check_waiting(bytes, events, &deal);
        client.give_up(id);
    }
    assert_eq!(client.open_streams(), 0);
    write(client.output());
}

fn take_answer(client: &mut Client, id: StreamId) -> (usize, usize) {
    let (mut bytes, mut events) = (0, 0);
    while let Some(event) = client.poll(id) {
        client.passed_on(id, event.credit());
        events += 1;
        match event {
            Incoming::Data { bytes: piece, .. } => bytes += piece.len(),
            Incoming::Failed(failure) => check_failure(&failure),
            Incoming::Head { .. } | Incoming::End => {}
        }
    }
    (bytes, events)
}

/// What a client may say to a server, from its HELLO on or after it.
pub fn oap_server_input(data: &[u8]) {
    let Some((deal, data)) = Deal::take(data) else { return };
    let mut server = Server::new(&ServerConfig {
        user_agent: "fuzz".into(),
        max_frame: MAX_FRAME,
        max_inflight: STREAMS,
        window: deal.window(),
    });
    let hello = br#"{"ua":"fuzz","flags_supported":447,"window":131072}"#;
    server.handle_input(&mut control(Flags::REQ, 0, hello)).unwrap();
    write(server.output());
    let mut head = Vec::new();
    encode_response_head(&mut head, 200, std::iter::empty()).unwrap();
    let mut accepted = Vec::new();
    for mut piece in deal.pieces(data) {
        if let Err(error) = server.handle_input(&mut piece) {
            check_error(&error, server.is_over());
        }
        // Streams that have ended on the wire and of whose end nobody has heard take no place, but are as many at most.
        assert!(piece.is_empty() && server.open_streams() <= 2 * STREAMS as usize);
        while let Some(id) = server.accept() {
            accepted.push(id);
            if deal.answers {
                let _sent = server.respond(id, 200, &head, &mut Bytes::from_static(b"yes"), id.0 % 2 == 0);
            }
        }
        if deal.takes {
            while let Some(id) = server.next_woken() {
                let (bytes, events) = take_request(&mut server, id);
                check_waiting(bytes, events, &deal);
            }
        }
        if deal.writes {
            write(server.output());
        }
    }
    if data.len() % 2 == 0 {
        drop(server.handle_eof());
    }
    for id in accepted {
        let (bytes, events) = take_request(&mut server, id);
        check_waiting(bytes, events, &deal);
        server.fail(id, 500);
    }
    write(server.output());
    server.handle_lost();
    assert_eq!(server.open_streams(), 0);
}

fn take_request(server: &mut Server, id: StreamId) -> (usize, usize) {
    let (mut bytes, mut events) = (0, 0);
    while let Some(event) = server.poll(id) {
        server.passed_on(id, event.credit());
        events += 1;
        match event {
            Arriving::Data { bytes: piece, .. } => bytes += piece.len(),
            Arriving::Failed(failure) => check_failure(&failure),
            Arriving::Head { .. } | Arriving::End | Arriving::GivenUp => {}
        }
    }
    (bytes, events)
}

/// A request head; what is accepted must be what we would write, and read the same again.
pub fn bhttp_request_head(data: &[u8]) {
    let Some((head, consumed)) = in_steps(data, parse_request_head) else { return };
    assert!(consumed <= MAX_HEAD && head.fields.len() <= MAX_FIELDS);
    let mut again = Vec::new();
    let fields = head.fields.iter();
    encode_request_head(&mut again, &head.method, &head.scheme, &head.authority, &head.path, fields).unwrap();
    assert!(again.len() <= consumed + 1, "the shortest form, and a length of 0 where there was none");
    let total = again.len();
    let Ok(Progress::Complete { head: second, consumed }) = parse_request_head(&again.into(), total) else {
        panic!("what we write can be read")
    };
    assert_eq!(consumed, total);
    assert_eq!(
        (second.method, second.scheme, second.authority, second.path),
        (head.method, head.scheme, head.authority, head.path)
    );
    assert!(second.fields.iter().eq(head.fields.iter()));
}

/// A response head; what is accepted must be what we would write, and read the same again.
pub fn bhttp_response_head(data: &[u8]) {
    let Some((head, consumed)) = in_steps(data, parse_response_head) else { return };
    assert!(consumed <= MAX_HEAD && head.fields.len() <= MAX_FIELDS);
    let mut again = Vec::new();
    encode_response_head(&mut again, head.status, head.fields.iter()).unwrap();
    assert!(again.len() <= consumed + 1, "the shortest form, and a length of 0 where there was none");
    let total = again.len();
    let Ok(Progress::Complete { head: second, consumed }) = parse_response_head(&again.into(), total) else {
        panic!("what we write can be read")
    };
    assert_eq!(consumed, total);
    assert_eq!(second.status, head.status);
    assert!(second.fields.iter().eq(head.fields.iter()));
}

/// A head of which only so much has arrived as the parser asks for.
fn in_steps<T>(
    data: &[u8],
    parse: impl Fn(&Bytes, usize) -> Result<Progress<T>, BadMessage>,
) -> Option<(T, usize)> {
    let mut have = 1.min(data.len());
    for _ in 0..24 {
        match parse(&Bytes::copy_from_slice(&data[..have]), data.len()).ok()? {
            Progress::Complete { head, consumed } => return Some((head, consumed)),
            Progress::Needs(more) => {
                assert!(
                    more > have && more <= data.len().min(MAX_HEAD),
                    "{more} of {} with {have}",
                    data.len()
                );
                have = more;
            }
        }
    }
    panic!("a head takes a few looks, not one per byte");
}

/// A HELLO payload, to either side.
pub fn hello(data: &[u8]) {
    for window in [None, Some(MIN_WINDOW)] {
        let mut client = Client::new(&ClientConfig { user_agent: "fuzz".into(), window });
        let result = client.handle_input(&mut control(Flags::RESP, 200, data));
        check_greeting(result, client.settings(), client.is_over());

        let mut server = Server::new(&ServerConfig {
            user_agent: "fuzz".into(),
            max_frame: MAX_FRAME,
            max_inflight: STREAMS,
            window,
        });
        let result = server.handle_input(&mut control(Flags::REQ, 0, data));
        check_greeting(result, server.settings(), server.is_over());
        write(server.output());
    }
}

fn check_greeting(result: Result<(), ProtocolError>, settings: Option<Settings>, over: bool) {
    let settings = match (result, settings) {
        (Ok(()), Some(settings)) => settings,
        (Err(error), None) => {
            let too_long = error.reason() == "frame_oversize";
            return assert!(over && (too_long || error.reason() == "bad_hello"), "{error:?}");
        }
        other => panic!("{other:?}"),
    };
    let window = if settings.multiplexed { MIN_WINDOW..=MAX_WINDOW } else { 0..=0 };
    assert!((MIN_FRAME..=MAX_FRAME).contains(&settings.max_frame));
    assert!((1..=MAX_INFLIGHT).contains(&settings.max_inflight));
    assert!(settings.multiplexed || settings.max_inflight == 1);
    assert!(window.contains(&settings.send_window) && window.contains(&settings.receive_window));
}

/// The beginning of a connection from a trusted address, byte by byte: what is known early is true of the whole.
pub fn proxy_protocol(data: &[u8]) {
    let whole = proxy::parse(data);
    for cut in 0..=data.len() {
        match proxy::parse(&data[..cut]) {
            Ok(proxy::Progress::Needs(more)) => {
                assert!(more > cut && more <= LONGEST_V2, "{more} after {cut}")
            }
            known => {
                assert_eq!(known, whole);
                let Ok(proxy::Progress::Complete { consumed, .. }) = known else { return };
                return assert!(consumed <= LONGEST_V2 && consumed == cut, "{consumed} of {cut}");
            }
        }
    }
}

/// Bounds that an input of a few hundred bytes can pass.
const BOUNDS: http1::Policy =
    http1::Policy { head: 512, fields: 8, uri: 128, head_timeout: std::time::Duration::from_secs(5) };

/// A client of HTTP/1, from its first byte on, cut as the first byte says and whole: what passes and the verdict are the
/// same, and what passes can be read in one way.
pub fn http1_guard(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let pieces = guarded(data.chunks(usize::from(cut).max(1)));
    assert_eq!(pieces, guarded(data.chunks(data.len().max(1))));
    let (heads, passed, _) = pieces;
    assert!(data.starts_with(&passed));
    heads.iter().for_each(|head| check_head(head));
}

type Guarded = (Vec<Vec<u8>>, Vec<u8>, Option<http1::Breach>);

/// The heads that passed, all that passed, and why no more did.
fn guarded<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Guarded {
    let (mut guard, now) = (http1::Guard::new(BOUNDS), Instant::now());
    let (mut held, mut heads, mut passed, mut breach) = (Vec::new(), Vec::new(), Vec::new(), None);
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let progress = guard.feed(&held, now);
            match progress {
                http1::Progress::Head(head) => heads.push(held[..head.len].to_vec()),
                http1::Progress::Body { len, .. } => assert!(len > 0),
                http1::Progress::NeedMore => break assert!(held.len() <= BOUNDS.head),
                http1::Progress::Refuse(why) => break breach = Some(why),
            }
            assert_eq!(breach, None, "nothing passes after a breach");
            passed.extend(held.drain(..progress.passes()));
        }
    }
    (heads, passed, breach)
}

/// By another reading than the guard's: whole lines, one host, at most one framing.
fn check_head(head: &[u8]) {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let lines = text.strip_prefix("\r\n").unwrap_or(&text).strip_suffix("\r\n\r\n").expect("an end");
    let lines: Vec<&str> = lines.split("\r\n").collect();
    assert!(head.len() <= BOUNDS.head && lines.len() <= 1 + BOUNDS.fields as usize);
    assert!(!lines.iter().any(|line| line.is_empty() || line.contains(['\r', '\n', '\0'])), "{text:?}");
    let line: Vec<&str> = lines[0].split(' ').collect();
    assert!(line.len() == 3 && ["HTTP/1.0", "HTTP/1.1"].contains(&line[2]), "{text:?}");
    let count = |name: &str| {
        let is = |line: &&&str| line.split_once(':').unwrap().0.eq_ignore_ascii_case(name);
        lines.iter().skip(1).filter(is).count()
    };
    assert_eq!(count("host"), 1, "{text:?}");
    assert!(count("content-length") + count("transfer-encoding") <= 1, "{text:?}");
}

/// A client of HTTP/2 behind its preface, cut as the first byte says and whole: the verdict is the same, and stays.
pub fn http2_guard(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let now = Instant::now();
    let policy = http2::Policy { head: 256, ..http2::Policy::default() };
    let verdict = |cut: usize| {
        let mut guard = http2::Guard::new(policy);
        guard.feed(http2::PREFACE, now).unwrap();
        let verdict = data.chunks(cut).try_for_each(|piece| guard.feed(piece, now));
        assert!(verdict.is_ok() || guard.feed(&[0], now) == verdict);
        verdict
    };
    assert_eq!(verdict(usize::from(cut).max(1)), verdict(data.len().max(1)));
}

/// Caps that an input of a few hundred bytes can pass.
const CAPS: guard::Policy = guard::Policy { ratio: 10, floor: 512, max: 8 << 10, memory_total: 1 << 20 };

/// An encoded body, in pieces and whole: what is forwarded and the verdict are the same, within the caps; and what is
/// only verified is found as good.
pub fn decode(data: &[u8]) {
    let Some((&[encoding, cut], raw)) = data.split_first_chunk::<2>() else { return };
    let encoding = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli][usize::from(encoding % 3)];
    let pieces = decoded(encoding, Mode::Decode, raw, usize::from(cut).max(1));
    let whole = decoded(encoding, Mode::Decode, raw, raw.len().max(1));
    assert_eq!(pieces.0, whole.0);
    if whole.0.is_ok() {
        assert_eq!(pieces.1, whole.1);
        assert!(whole.1.len() <= (10 * raw.len()).clamp(512, 8 << 10));
        assert_eq!(decoded(encoding, Mode::Verify, raw, usize::from(cut).max(1)), (Ok(()), raw.to_vec()));
    }
}

/// The verdict, and what was forwarded.
fn decoded(encoding: Encoding, mode: Mode, raw: &[u8], cut: usize) -> (Result<(), Breach>, Vec<u8>) {
    let memory = Arc::new(Memory::default());
    let mut guard = Guard::new(encoding, mode, CAPS, &memory).unwrap();
    let mut forwarded = Vec::new();
    let verdict = raw
        .chunks(cut)
        .try_for_each(|piece| {
            guard.take(Bytes::copy_from_slice(piece), |piece| forwarded.extend_from_slice(&piece))
        })
        .and_then(|()| guard.finish());
    assert!(memory.used() <= CAPS.memory_total && guard.decoded() <= CAPS.max + 1);
    assert!(verdict.is_ok() || guard.finish() == verdict, "a breach stays one");
    drop(guard);
    assert_eq!(memory.used(), 0);
    (verdict, forwarded)
}

/// A TLS client's first bytes, cut as the first byte says and whole: the verdict is the same, and comes in time.
pub fn client_hello(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let mut hello = Hello::default();
    let ends = (0..data.len()).step_by(usize::from(cut).max(1)).chain([data.len()]);
    let mut pieces = ends.map(|end| hello.is_whole(&data[..end]));
    let verdict = pieces.find(|verdict| *verdict != Ok(false)).unwrap_or(Ok(false));
    assert_eq!(verdict, Hello::default().is_whole(data));
    assert!(verdict != Ok(false) || data.len() <= 16 * 1024);
}

/// A token without the empty location that some libraries write: the one part that two spellings may differ in.
fn signed_part(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    if bytes.get(1..3) == Some(&[1, 0]) {
        bytes.drain(1..3);
    }
    Some(bytes)
}

/// A bearer token, as its text or, after an odd byte, as the macaroon in it. None but the seeds is genuine.
pub fn capability(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let text = if how & 1 == 0 { data.to_vec() } else { BASE64_URL_SAFE_NO_PAD.encode(data).into_bytes() };
    let secret: Vec<u8> = (0..32).collect();
    let keys = Keys::new(vec![Key::new("k1", Secret::parse(&secret).unwrap()).unwrap()]).unwrap();
    let facts =
        Facts { method: "GET", path: "/o/x", address: None, tenant: TenantEvidence::Weaker("anonymous") };
    let now = Duration::from_secs(1_700_000_000);
    let verify = |text: &[u8]| Presented::parse_token(text)?.verify(&keys, &Revoked::default(), &facts, now);
    let is_genuine = GENUINE.iter().any(|token| signed_part(token.as_bytes()) == signed_part(&text));
    match verify(&text) {
        // The location of a third party's caveat is covered by no signature; such a token allows nothing.
        Err(Denied::Forbidden(Forbidden::ThirdParty)) => {}
        Ok(_) | Err(Denied::Forbidden(_)) => assert!(is_genuine, "{}", text.escape_ascii()),
        Err(Denied::Unauthorized(_)) => assert!(!is_genuine),
    }
    if let Some(mut token) = std::str::from_utf8(&text).ok().and_then(|text| Token::parse(text).ok()) {
        assert_eq!(token.to_string().as_bytes(), text);
        assert!(token.caveats().count() <= MAX_CAVEATS);
        assert!(token.identifier().is_some_and(|id| Identifier::parse(id.as_str().as_bytes()) == Some(id)));
        if token.attenuate(&Caveat::parse("path under /").unwrap()).is_ok() {
            // Narrowing makes nothing genuine, and nothing forged.
            let after = verify(token.to_string().as_bytes());
            assert!(after.is_err() || is_genuine);
        }
    }
    // The same octets as a caveat, a list of revocations, and a secret.
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(caveat) = Caveat::parse(text)
    {
        assert_eq!(caveat.to_string(), text);
    }
    drop(Revoked::parse(data));
    drop(Secret::parse(data));
}
