//! The seeds that the fuzz targets start from: what a well-behaved peer says, and one example of each way to misbehave.
//! They are committed below `seeds/`; `tests/fuzz_corpus.rs` holds them equal to these, and writes them anew when
//! `WRITE_FUZZ_SEEDS` is set.
#![allow(clippy::cast_possible_truncation, reason = "lengths of small test data")]

const REQ: u16 = 1;
const RESP: u16 = 2;
const EVENT: u16 = 4;
const START: u16 = 8;
const END: u16 = 16;
const ACK_REQ: u16 = 32;
const COMP: u16 = 64;
const ACK: u16 = 256;
const HTTP: u16 = 0x0401;

/// The first streams of a client.
const FIRST: u64 = 1 << 32;
const SECOND: u64 = 2 << 32 | 1;

/// How a target deals its input: multiplexed, with users that take it and a driver that writes; in one piece.
const PLAIN: [u8; 2] = [0b0111, 0];
const EXCLUSIVE: [u8; 2] = [0b0110, 0];
/// In pieces of five bytes, and nobody takes or writes anything.
const CUT: [u8; 2] = [0b0001, 5];
/// The server begins its answer at once.
const EARLY: [u8; 2] = [0b1111, 7];

fn frame(flags: u16, code: u16, proto: u16, id: u64, cap: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend((38 + cap.len() as u32 + payload.len() as u32).to_be_bytes());
    for number in [1, flags, code, proto] {
        out.extend(number.to_be_bytes());
    }
    out.extend([0; 16]);
    out.extend((cap.len() as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(cap);
    out.extend(payload);
    out
}

fn request(fields: &[(&str, &str)]) -> Vec<u8> {
    section(b"\0\x03PUT\x04http\x04host\x04/a?b".to_vec(), fields)
}

fn response(status: u16, fields: &[(&str, &str)]) -> Vec<u8> {
    section([&[1][..], &(status | 0x4000).to_be_bytes()].concat(), fields)
}

fn section(mut head: Vec<u8>, fields: &[(&str, &str)]) -> Vec<u8> {
    let line = |(name, value): &(&str, &str)| {
        [&[name.len() as u8][..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    let lines: Vec<u8> = fields.iter().flat_map(line).collect();
    head.extend((lines.len() as u16 | 0x4000).to_be_bytes());
    head.extend(lines);
    head
}

/// A head, content, and a byte of padding.
fn message(head: &[u8], content: &[u8]) -> Vec<u8> {
    [head, &(content.len() as u16 | 0x4000).to_be_bytes(), content, &[0]].concat()
}

/// A seed: its name, and its bytes.
pub type Seed = (&'static str, Vec<u8>);

/// The seeds of each target.
#[must_use]
pub fn seeds() -> [(&'static str, Vec<Seed>); 11] {
    [
        ("oap_client_input", to_client()),
        ("oap_server_input", to_server()),
        ("bhttp_request_head", request_heads()),
        ("bhttp_response_head", response_heads()),
        ("hello", hellos()),
        ("proxy_protocol", proxy_headers()),
        ("http1_guard", http1_clients()),
        ("http2_guard", http2_clients()),
        ("decode", encoded_bodies()),
        ("client_hello", client_hellos()),
        ("capability", capabilities()),
    ]
}

fn to_client() -> Vec<Seed> {
    let say = |deal: [u8; 2], frames: &[Vec<u8>]| [&deal[..], &frames.concat()].concat();
    let resp = |flags, code, id, payload: &[u8]| frame(RESP | flags, code, HTTP, id, b"", payload);
    let ok = response(200, &[("content-length", "3"), ("etag", "\"x\"")]);
    let open = response(200, &[]);
    let up_to = |bytes: u64| bytes.to_be_bytes();
    vec![
        ("whole", say(PLAIN, &[resp(START | END, 200, FIRST, &message(&ok, b"abc"))])),
        ("whole-exclusive", say(EXCLUSIVE, &[resp(START | END, 200, FIRST, &message(&ok, b"abc"))])),
        (
            "in-frames",
            say(CUT, &[resp(START, 200, FIRST, &open), resp(0, 0, FIRST, b"ab"), resp(END, 0, FIRST, b"c")]),
        ),
        (
            "two",
            say(
                PLAIN,
                &[
                    resp(START, 0, FIRST, &open),
                    resp(START, 200, SECOND, &open),
                    resp(END, 0, FIRST, b"x"),
                    resp(END, 0, SECOND, b""),
                ],
            ),
        ),
        ("not-processed", say(PLAIN, &[resp(END, 503, FIRST, b"")])),
        ("after-start", say(PLAIN, &[resp(START, 200, FIRST, &open), resp(END, 500, FIRST, b"x")])),
        (
            "no-content",
            say(PLAIN, &[resp(START | END, 304, FIRST, &response(304, &[("content-length", "9")]))]),
        ),
        ("ack", say(PLAIN, &[resp(ACK, 0, SECOND, &up_to(10)), resp(START | ACK_REQ, 200, SECOND, &open)])),
        ("ack-too-far", say(PLAIN, &[resp(ACK, 0, FIRST, &up_to(1 << 40))])),
        ("event", say(CUT, &[frame(EVENT, 503, 0, 0, b"", b""), frame(EVENT, 9, 0, 0, b"", b"what")])),
        ("hello-again", say(PLAIN, &[frame(RESP, 200, 0, 1, b"", b"{}")])),
        ("second-start", say(PLAIN, &[resp(START, 200, FIRST, &open), resp(START, 200, FIRST, &open)])),
        ("data-first", say(PLAIN, &[resp(0, 0, FIRST, b"x")])),
        ("data-after-end", say(PLAIN, &[resp(START | END, 200, SECOND, &open), resp(0, 0, SECOND, b"x")])),
        ("too-much", say(CUT, &[resp(START, 200, FIRST, &message(&ok, b"abcd"))])),
        ("bad-head", say(CUT, &[resp(START, 200, FIRST, &response(200, &[("te", "x")]))])),
        ("comp", say(PLAIN, &[resp(COMP, 0, FIRST, b"x")])),
        ("wrong-direction", say(PLAIN, &[frame(REQ, 0, HTTP, FIRST, b"", b"")])),
        ("stranger", say(PLAIN, &[resp(START, 200, 77, &open), resp(END, 0, 77, b"x")])),
        ("truncated", say(PLAIN, &[resp(START, 200, FIRST, &open)[..40].to_vec()])),
    ]
}

fn to_server() -> Vec<Seed> {
    let say = |deal: [u8; 2], frames: &[Vec<u8>]| [&deal[..], &frames.concat()].concat();
    let req = |flags, code, id, payload: &[u8]| frame(REQ | flags, code, HTTP, id, b"", payload);
    let put = request(&[("content-length", "3"), ("accept", "*/*")]);
    let open = request(&[]);
    vec![
        ("whole", say(PLAIN, &[frame(REQ | START | END, 0, HTTP, 5, b"token", &message(&put, b"abc"))])),
        ("whole-exclusive", say(EXCLUSIVE, &[req(START | END, 0, 5, &message(&put, b"abc"))])),
        ("in-frames", say(CUT, &[req(START, 0, 5, &open), req(0, 0, 5, b"ab"), req(END, 0, 5, b"c")])),
        (
            "answered-early",
            say(EARLY, &[req(START, 0, 6, &open), req(ACK_REQ, 0, 6, b"ab"), req(END, 499, 6, b"")]),
        ),
        (
            "answer-begun",
            say(
                EARLY,
                &[req(START, 0, 5, &open), req(END, 0, 5, b"ab"), req(ACK, 0, 5, &3u64.to_be_bytes())],
            ),
        ),
        ("given-up", say(PLAIN, &[req(START, 0, 5, &open), req(END, 499, 5, b"")])),
        ("given-up-after-end", say(CUT, &[req(START | END, 0, 5, &open), req(END, 499, 5, b"")])),
        ("too-many", say(CUT, &(0..7).map(|id| req(START | END, 0, id, &open)).collect::<Vec<_>>())),
        ("ids", say(PLAIN, &[1, 1 << 32 | 1, u64::MAX].map(|id| req(START, 0, id, &open)))),
        ("second-start", say(PLAIN, &[req(START, 0, 5, &open), req(START, 0, 5, &open)])),
        ("data-after-end", say(PLAIN, &[req(START | END, 0, 5, &open), req(0, 0, 5, b"x")])),
        ("too-little", say(PLAIN, &[req(START | END, 0, 5, &message(&put, b"a"))])),
        ("bad-head", say(EARLY, &[req(START | END, 0, 5, &request(&[("connection", "close")]))])),
        ("hello-again", say(PLAIN, &[frame(REQ, 0, 0, 9, b"", b"{}")])),
        ("hello-twice", say(CUT, &[frame(REQ, 0, 0, 8, b"", b"{}"), frame(REQ, 0, 0, 9, b"", b"{}")])),
        ("ack-short", say(PLAIN, &[req(ACK, 0, 5, &[0; 7])])),
        ("capability-late", say(PLAIN, &[frame(REQ, 0, HTTP, 5, b"c", b"")])),
        ("stranger", say(PLAIN, &[req(END, 0, 9, b"x"), req(0, 0, 9, &[1; 100])])),
    ]
}

fn request_heads() -> Vec<Seed> {
    let fields = [("accept", "*/*"), ("cookie", "a=b; c=d"), ("x-corr-id", "01ARZ3NDEKTSV4RRFFQ69G5FAV")];
    vec![
        ("no-fields", request(&[])),
        ("fields", request(&fields)),
        ("length", message(&request(&[("content-length", "3")]), b"abc")),
        ("two-lengths", request(&[("content-length", "3"), ("content-length", "3")])),
        ("control-data-only", b"\0\x07OPTIONS\x05https\x09[::1]:443\x01*".to_vec()),
        ("long-numbers", b"\x40\0\x80\0\0\x03GET\x04http\x01h\x01/\xc0\0\0\0\0\0\0\0".to_vec()),
        ("forbidden", request(&[("host", "x")])),
        ("upper-case", request(&[("Accept", "x")])),
        ("cut-short", request(&fields)[..30].to_vec()),
        ("huge", b"\0\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
        ("indeterminate", b"\x02\x03GET\x04http\x01h\x01/\0\0".to_vec()),
    ]
}

fn response_heads() -> Vec<Seed> {
    vec![
        ("no-fields", response(204, &[])),
        ("fields", response(200, &[("etag", "\"x\""), ("content-type", "text/plain"), ("vary", "")])),
        ("length", message(&response(200, &[("content-length", "5")]), b"hello")),
        ("bad-length", response(200, &[("content-length", "+5")])),
        ("status-only", response(500, &[])[..3].to_vec()),
        ("informational", response(103, &[("link", "x")])),
        ("status-600", response(600, &[])),
        ("newline", response(200, &[("a", "x\ny")])),
        ("many", response(200, &[("a", ""); 129])),
        ("huge", b"\x01\x40\xc8\xbf\xff\xff\xff".to_vec()),
    ]
}

fn hellos() -> Vec<Seed> {
    let all = [
        ("request", r#"{"ua":"t","flags_supported":447,"window":131072}"#),
        ("request-exclusive", r#"{"ua":"t"}"#),
        (
            "answer",
            r#"{"max_frame":1048576,"max_inflight":64,"flags_supported":256,"window":262144,"versions":[1],"transports":["tcp"]}"#,
        ),
        (
            "older",
            r#"{"server_version":"x/1","max_frame":262144,"max_inflight":16,"supported_flags":["START","ACK"],"window":200000,"oap_versions":[1,2]}"#,
        ),
        (
            "clamped",
            r#"{"max_frame":99999999,"max_inflight":99999999999,"flags_supported":65535,"window":18446744073709551615}"#,
        ),
        ("too-little", r#"{"max_frame":131071}"#),
        ("versions", r#"{"versions":[2,3]}"#),
        ("floats", r#"{"window":1.5,"max_inflight":1e3}"#),
        ("nulls", r#"{"versions":null,"window":null,"max_frame":null}"#),
        ("nested", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
        ("escape", r#"{"\u0077indow":200000,"flags_supported":256,"ua":"\ud83d\ude00"}"#),
    ];
    all.into_iter().map(|(name, json)| (name, json.as_bytes().to_vec())).collect()
}

fn proxy_headers() -> Vec<Seed> {
    let line = |words: &str| format!("PROXY {words}\r\n").into_bytes();
    let binary = |command: u8, family: u8, length: u16, body: &[u8]| {
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length.to_be_bytes(), body].concat()
    };
    let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
    vec![
        ("line-v4", [line("TCP4 192.0.2.7 10.0.0.1 4711 80"), b"GET / HTTP/1.1\r\n".to_vec()].concat()),
        ("line-v6", line("TCP6 2001:db8::7 ::1 4711 80")),
        ("line-unknown", line("UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535")),
        ("line-longest", line(&format!("UNKNOWN{}", " ".repeat(92)))),
        ("line-too-long", line(&format!("UNKNOWN{}", " ".repeat(93)))),
        ("line-without-cr", b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\n".to_vec()),
        ("v4", [binary(0x21, 0x11, 12, &v4), b"PRI * HTTP/2.0".to_vec()].concat()),
        ("v4-with-tlv", binary(0x21, 0x11, 16, &[&v4[..], &[4, 0, 1, 0]].concat())),
        ("v6", binary(0x21, 0x21, 36, &[9; 36])),
        ("unix", binary(0x21, 0x31, 216, &[b'x'; 216])),
        ("local", binary(0x20, 0, 0, &[])),
        ("unspecified", binary(0x21, 0, 3, &[1, 2, 3])),
        ("too-short", binary(0x21, 0x21, 12, &v4)),
        ("too-long", binary(0x21, 0x11, 65535, &v4)),
        ("version-1", binary(0x11, 0x11, 12, &v4)),
    ]
}

/// In pieces of so many bytes.
fn cut(pieces: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[pieces][..], bytes.as_ref()].concat()
}

fn http1_clients() -> Vec<Seed> {
    let get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |fields: &str, body: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    vec![
        ("small", cut(1, get)),
        ("pipelined", cut(7, get.repeat(3))),
        ("empty-line", cut(2, format!("\r\n{get}\r\n{get}"))),
        ("absolute", cut(0, "OPTIONS http://a:80/?q HTTP/1.0\r\nHost: a:80\r\nX:\r\n\r\n")),
        ("length", cut(3, post("Content-Length: 5\r\n", "hello") + get)),
        ("continue", cut(9, post("Expect: 100-continue\r\nContent-Length: 1\r\n", "x"))),
        ("chunks", cut(4, chunked("5\r\nhello\r\n0A;a=b\r\n0123456789\r\n0\r\n\r\n") + get)),
        ("trailers", cut(5, chunked("1\r\nx\r\n0\r\na: b\r\nc:\r\n\r\n") + get)),
        ("two-framings", cut(1, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"))),
        ("two-lengths", cut(1, post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"))),
        ("folded", cut(6, post("X: y\r\n z\r\n", ""))),
        ("bare-lf", cut(1, "GET / HTTP/1.1\nHost: a\n\n")),
        ("chunk-too-long", cut(8, chunked("4\r\nhello\r\n0\r\n\r\n"))),
        ("chunk-size", cut(1, chunked("ffffffffffffffff\r\n"))),
        ("long-target", cut(50, format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(130)))),
        ("many-fields", cut(20, post(&"x: y\r\n".repeat(9), ""))),
        ("long-head", cut(30, post(&format!("x: {}\r\n", "y".repeat(500)), ""))),
        ("preface", cut(0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    ]
}

fn h2_frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

fn http2_clients() -> Vec<Seed> {
    let settings = h2_frame(4, 0, 0, &[]);
    let get = h2_frame(1, 5, 1, &[0x82, 0x86, 0x84, 1, 1, b'a']);
    let client = |pieces, frames: &[&[u8]]| cut(pieces, [&settings[..], &frames.concat()].concat());
    vec![
        ("request", client(1, &[&get])),
        ("body", client(7, &[&h2_frame(1, 4, 1, &[0x83]), &h2_frame(0, 1, 1, b"hello")])),
        ("padded", client(5, &[&h2_frame(0, 8, 1, b"\x03hello\0\0\0").repeat(3)])),
        ("continued", client(2, &[&h2_frame(1, 1, 1, &[0x82]), &h2_frame(9, 4, 1, &[0x86])])),
        ("interrupted", client(9, &[&h2_frame(1, 1, 1, &[0x82]), &h2_frame(6, 0, 0, &[0; 8])])),
        ("continuations", client(3, &[&h2_frame(1, 0, 1, &[]), &h2_frame(9, 0, 1, &[]).repeat(9)])),
        ("header-list", client(0, &[&h2_frame(1, 0, 1, &[0; 200]), &h2_frame(9, 4, 1, &[0; 57])])),
        ("resets", client(13, &[&h2_frame(3, 0, 1, &[0; 4]).repeat(101)])),
        ("settings", client(10, &[&settings.repeat(20)])),
        ("pings", client(16, &[&h2_frame(6, 1, 0, &[0; 8]).repeat(21)])),
        ("empty-data", client(0, &[&h2_frame(0, 0, 1, &[]).repeat(101)])),
        ("updates", client(4, &[&h2_frame(8, 0, 0, &[0, 0, 0, 1]).repeat(30), &h2_frame(8, 0, 1, &[0; 4])])),
        ("priorities", client(0, &[&h2_frame(2, 0, 1, &[0, 0, 0, 3, 16]).repeat(20)])),
        ("unknown", client(6, &[&h2_frame(16, 0, 0, b"\0\0\0\x01u=1"), &get])),
        ("too-long", client(1, &[b"\xff\xff\xff\0\0\0\0\0\x01"])),
        ("no-settings", cut(1, &get)),
    ]
}

fn encoded_bodies() -> Vec<Seed> {
    let [gzip, deflate, brotli] = [0, 1, 2].map(|encoding| {
        move |pieces: u8, parts: &[&[u8]]| [&[encoding, pieces][..], &parts.concat()].concat()
    });
    // "hello, hello, hello" and 3,000 zeros, with their trailers.
    let hello = b"\xcbH\xcd\xc9\xc9\xd7Q\xc8@\xa2\x00";
    let hello_end = b"\x9f\xa1\xca\x09\x13\x00\x00\x00";
    let zeros = b"\xed\xc11\x01\x00\x00\x00\xc2\xa0\xf5Om\x0d\x0f\xa0\x00\x00\x80w\x03";
    let zeros_end = b"\x0d[\x86\xda\xb8\x0b\x00\x00";
    let head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
    let full = b"\x1f\x8b\x08\x1f\x01\x02\x03\x04\0\xff\x03\0abcname\0note\0\x58\xc7";
    let member = [&head[..], hello, hello_end].concat();
    // The squares below 1,600, with codes of their own.
    let squares = b"\x15\x8d\xc1\x11\xc00\x08\xc3\x16\xf2#\xa6\x0e\x09\xfb/V\xe5\xe5\x03\x84\xbcdE#\xb7j\xebke\xd4\xd1\xb5\
        \xbc\x96\\d\xc2\x15b@`j\x93w\xf4U\xe0\xf9\x86K\xc8\x1b\xed\x1a\xed\xd3j\xb8&\x0f\xf3a\x7f\xb9\x0f\xdc\xf4\xf3\xf2\
        \xe8\x85\xc1F\xe5\xe7t!\xf7\xf7Z\xf2\xea6\xbd?";
    let brotli_squares = b"\x13\x99\x00\xf8\x05\x9cl\xb1,\x1cD\xf4\xa5\x09pq\xc2i\x10aQ\xf1\xe5\x94,\x0d_h\x06Y(A]\xb4\xc5\
        \xbe\xf8\x16\xff\xe58\x9c\x8a\xcc\x90\x88\xfcp\xbd\xdcW\xeaK_y^\xde\x0f?bg\xd8\x0a\x8d\x83\xe6/\xd2-\xb2/\xf2\x16\
        \x9d.J\x02\x0b";
    vec![
        ("gzip", gzip(1, &[&member])),
        ("gzip-full-header", gzip(3, &[full, hello, hello_end])),
        ("gzip-members", gzip(7, &[&member.repeat(3)])),
        ("gzip-padded", gzip(5, &[&member, &[0; 9]])),
        ("gzip-zeros", gzip(0, &[head, zeros, zeros_end])),
        ("gzip-wrong-crc", gzip(0, &[head, hello, zeros_end])),
        ("zlib", deflate(1, &[b"x\xda", hello, b"D(\x06\xd5"])),
        ("zlib-dictionary", deflate(2, &[b"\x78\xbb\0\0\0\x01", hello, b"D(\x06\xd5"])),
        ("raw", deflate(1, &[hello])),
        ("raw-dynamic", deflate(6, &[squares])),
        ("raw-stored", deflate(4, &[&b"\0\0\0\xff\xff".repeat(4), b"\x01\x05\0\xfa\xffhello"])),
        ("raw-zeros", deflate(0, &[zeros])),
        ("brotli", brotli(1, &[b"B\x02\0\x80\x14\x08K\x0d\x12M%\x9e\xd3\x05"])),
        ("brotli-zeros", brotli(0, &[b"\xe2v\x01\x80\x04@<\x16H\xdc\0\0"])),
        ("brotli-dynamic", brotli(6, &[brotli_squares])),
        ("brotli-stored", brotli(9, &[b"\x0b\x15\x80The quick brown fox jumps over the lazy dog\x03"])),
        ("brotli-metadata", brotli(2, &[b"\x2c\x01abc\x06\x06\x03"])),
        ("brotli-window", brotli(0, &[b"\x0f\x03"])),
        ("brotli-large-window", brotli(0, &[b"\x11\x03"])),
    ]
}

/// TLS records of handshake bytes, each so long.
fn records(message: &[u8], each: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(each).flat_map(record).collect()
}

/// A handshake message of this type, with so many bytes.
fn handshake_message(kind: u8, length: u32) -> Vec<u8> {
    let [_, a, b, c] = length.to_be_bytes();
    [&[kind, a, b, c][..], &vec![3; length as usize]].concat()
}

fn client_hellos() -> Vec<Seed> {
    let hello = handshake_message(1, 200);
    let cut = |cut: u8, wire: &[u8]| [&[cut], wire].concat();
    vec![
        ("whole", cut(255, &records(&hello, 1000))),
        ("bytewise", cut(1, &records(&hello, 1000))),
        ("in-records", cut(7, &records(&hello, 50))),
        ("in-records-of-one", cut(3, &records(&hello, 1))),
        ("followed", cut(50, &[records(&hello, 1000), records(&hello, 1000)].concat())),
        ("empty", cut(2, &records(&handshake_message(1, 0), 4))),
        ("begun", cut(9, &records(&hello, 1000)[..100])),
        ("empty-record", cut(5, &[&[22, 3, 1, 0, 0][..], &records(&hello, 1000)].concat())),
        ("another-message", cut(5, &records(&handshake_message(2, 10), 100))),
        ("an-alert", cut(5, &[21, 3, 1, 0, 2, 2, 40])),
        ("http", cut(5, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")),
        ("sslv2", cut(5, &[0x80, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16])),
        ("too-long", cut(5, &[22, 3, 1, 64, 0, 1, 0, 64, 1])),
    ]
}

/// Tokens made with the secret 00 01 … 1f: the only ones that are genuine.
pub const GENUINE: [&str; 3] = [BARE, NARROWED, THIRD_PARTY];

/// A token without caveats; see `src/tenant/capability/tests/vectors.rs` for all of these.
const BARE: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgAABiA7wiff-2Yh5HC5gifibUfzo9unPYYdMZ3LyixFuCiZYQ";
/// One with seven.
const NARROWED: &str = "AgEAAit2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZjphY21lAAIRdGltZSA8IDE3NjcyMjU2MDAAAhJtZXRob2QgaW4gR0VULEhFQUQAAg5wYXRoIHVuZGVyIC9vLwACE2FkZHJlc3MgdW5kZXIgYjM6MGEAAgxyYXRlIDw9IDUwL3MAAhJieXRlcyA8PSAxMDQ4NTc2L3MAAg10ZW5hbnQgPSBhY21lAAAGIMHRc_NrJtqg16ScwJADXUiGpXlFZgETTs9I5ALFMo3c";
/// One that a third party would have to discharge.
const THIRD_PARTY: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgACDW1ldGhvZCBpbiBHRVQAARFodHRwczovL3guZXhhbXBsZQIDd2hvBEivo7RIIXTSB8_YTXP7ahfV2CNSDNvhy7lVEBWJE8_Dlcr9Y4R6m5CUTpl2l2GBcFcvfxwC5A8yNdPPbaYb0V9DTY80DKg7xbIAAAYg4XXC9TyDC0Q-acd4zy3zLfudD149oKouojzK5Tt-ji4";

/// A macaroon's field.
fn field(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, content.len() as u8][..], content].concat()
}

fn capabilities() -> Vec<Seed> {
    const IDENTIFIER: &[u8] = b"v1:k1:000102030405060708090a0b0c0d0e0f";
    let text = |text: &str| [b"\0", text.as_bytes()].concat();
    let macaroon = |identifier: &[u8], caveats: &[&[u8]], signature: &[u8]| {
        let caveats: Vec<u8> =
            caveats.iter().flat_map(|caveat| [&field(2, caveat)[..], &[0]].concat()).collect();
        [&[1, 2], &field(2, identifier)[..], &[0], &caveats, &[0], &field(6, signature)].concat()
    };
    vec![
        ("bare", text(BARE)),
        ("narrowed", text(NARROWED)),
        ("third-party", text(THIRD_PARTY)),
        ("padded", text(&format!("{BARE}="))),
        ("unsigned", macaroon(IDENTIFIER, &[], &[0; 32])),
        ("unsigned-caveats", macaroon(IDENTIFIER, &[b"time < 1767225600", b"path under /o/"], &[0; 32])),
        ("many-caveats", macaroon(IDENTIFIER, &[b"path under /".as_slice(); 33], &[0; 32])),
        ("unknown-key", macaroon(b"v1:k2:000102030405060708090a0b0c0d0e0f:acme", &[], &[0; 32])),
        ("foreign", macaroon(b"hello", &[], &[0; 32])),
        ("short-signature", macaroon(IDENTIFIER, &[], &[0; 31])),
        ("located", [&[1, 2], &field(1, b"https://gw")[..], &field(2, IDENTIFIER), &[0, 0]].concat()),
        ("long-number", b"\x01\x02\x02\xa6\x80\x00v1".to_vec()),
        ("huge-number", b"\x01\x02\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec()),
        ("caveat", text("bytes <= 1048576/s")),
        ("list", text("# gone\nv1:k1:000102030405060708090a0b0c0d0e0f\n\nv1:k1:x")),
    ]
}
