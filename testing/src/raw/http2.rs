//! Raw HTTP/2 connections, right and wrong, each with what a gateway must make of it. All of it arrives at once; the
//! bounds are the defaults, and what may come in a second is that much here.

/// Bytes of a connection from its preface on, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it tries.
    pub name: &'static str,
    /// What the client sends; the client then waits.
    pub bytes: Vec<u8>,
    /// What it must get.
    pub expect: Expect,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is wrong: it lives on.
    Passes,
    /// It is closed before a parser sees what is wrong, under this word.
    Cut(&'static str),
    /// Nothing that a counter of frames would see: an HTTP/2 implementation must end the stream or the connection.
    RefusedByParser,
}

use Expect::{Cut, Passes, RefusedByParser};

/// The client's side begins with these bytes (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const PRIORITY_UPDATE: u8 = 16;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// `GET / http` of authority `a`, in HPACK without its table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 0x01, b'a'];
/// `POST`, the same.
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 0x01, b'a'];

/// A frame. `stream` is written as it is, the reserved bit included.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// All cases.
#[must_use]
pub fn cases() -> Vec<Case> {
    [good(), heads(), resets(), control(), data(), windows(), others(), parsers()].concat()
}

/// A case whose client says the preface and empty SETTINGS first.
fn case(name: &'static str, frames: impl Into<Vec<u8>>, expect: Expect) -> Case {
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    Case { name, bytes: [start, frames.into()].concat(), expect }
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, GET)
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, POST)
}

fn update(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// Requests that are opened and reset.
fn reset(count: u32) -> Vec<u8> {
    (0..count)
        .flat_map(|n| [get(2 * n + 1), frame(RST_STREAM, 0, 2 * n + 1, &8_u32.to_be_bytes())].concat())
        .collect()
}

fn padded(content: usize, padding: u8) -> Vec<u8> {
    let payload = [&[padding][..], &vec![7; content], &vec![0; padding.into()]].concat();
    frame(DATA, PADDED, 1, &payload)
}

fn good() -> Vec<Case> {
    vec![
        case("a request", get(1), Passes),
        case("many requests", (0..50).flat_map(|n| get(2 * n + 1)).collect::<Vec<_>>(), Passes),
        case("a body", [post(1), frame(DATA, END_STREAM, 1, &[7; 16 << 10])].concat(), Passes),
        case(
            "a body and trailers",
            [
                post(1),
                frame(DATA, 0, 1, &[7; 99]),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 1, b'x', 0]),
            ]
            .concat(),
            Passes,
        ),
        case(
            "a head in two frames",
            [frame(HEADERS, END_STREAM, 1, &GET[..3]), frame(CONTINUATION, END_HEADERS, 1, &GET[3..])]
                .concat(),
            Passes,
        ),
        case(
            "a head with padding",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[&[3], GET, &[0; 3]].concat()),
            Passes,
        ),
        case(
            "settings and their acknowledgement",
            [frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), frame(SETTINGS, ACK, 0, &[])].concat(),
            Passes,
        ),
        case("a frame of an unknown type", [frame(0xfe, 0xff, 7, &[1; 100]), get(1)].concat(), Passes),
        case("the reserved bit", frame(PING, 0, 1 << 31, &[0; 8]), Passes),
        case(
            "a body that is empty, once",
            [post(1), frame(DATA, 0, 1, &[]), frame(DATA, END_STREAM, 1, &[])].concat(),
            Passes,
        ),
    ]
}

fn heads() -> Vec<Case> {
    let begin = |payload: &[u8]| frame(HEADERS, END_STREAM, 1, payload);
    let more = |payload: &[u8]| frame(CONTINUATION, 0, 1, payload);
    let full = [0x82; 16 << 10];
    vec![
        Case {
            name: "no preface",
            bytes: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            expect: Cut("h2_preface"),
        },
        Case {
            name: "another preface",
            bytes: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r".to_vec(),
            expect: Cut("h2_preface"),
        },
        Case { name: "no settings first", bytes: [PREFACE, &get(1)].concat(), expect: Cut("h2_preface") },
        Case {
            name: "an acknowledgement first",
            bytes: [PREFACE, &frame(SETTINGS, ACK, 0, &[])].concat(),
            expect: Cut("h2_preface"),
        },
        case("the preface twice", PREFACE, Cut("h2_frame_size")),
        case(
            "continuations without end",
            [begin(&[]), more(&[]).repeat(9)].concat(),
            Cut("h2_continuations"),
        ),
        case(
            "as many continuations as may be",
            [begin(GET), more(&[]).repeat(7), frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            Passes,
        ),
        case(
            "a header block of 64 KiB that goes on",
            [begin(&full), more(&full).repeat(3), more(&[0x82])].concat(),
            Cut("h2_header_list"),
        ),
        case(
            "a header block with a frame of data in it",
            [begin(GET), frame(DATA, 0, 1, &[7])].concat(),
            Cut("h2_framing"),
        ),
        case(
            "a header block with a ping in it",
            [begin(GET), frame(PING, 0, 0, &[0; 8])].concat(),
            Cut("h2_framing"),
        ),
        case("a header block with a head in it", [begin(GET), get(3)].concat(), Cut("h2_framing")),
        case(
            "a header block with an unknown frame in it",
            [begin(GET), frame(0xfe, 0, 0, &[])].concat(),
            Cut("h2_framing"),
        ),
        case(
            "another stream's continuation",
            [begin(GET), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
            Cut("h2_framing"),
        ),
        case("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, GET), Cut("h2_framing")),
        case(
            "a continuation of a whole head",
            [get(1), frame(CONTINUATION, END_HEADERS, 1, &[])].concat(),
            Cut("h2_framing"),
        ),
        case(
            "a head of more than a frame",
            frame(HEADERS, END_HEADERS, 1, &[0x82; (16 << 10) + 1]),
            Cut("h2_frame_size"),
        ),
        case("a length of 16 MiB", b"\xff\xff\xff\0\0\0\0\0\x01".as_slice(), Cut("h2_frame_size")),
    ]
}

fn resets() -> Vec<Case> {
    let strays = |count| frame(RST_STREAM, 0, 1, &[0; 4]).repeat(count);
    vec![
        case("some requests reset", reset(10), Passes),
        case("a hundred resets", [post(1), strays(100)].concat(), Passes),
        case("a rapid reset", reset(101), Cut("h2_resets")),
        case("resets of one stream", [post(1), strays(101)].concat(), Cut("h2_resets")),
        case(
            "resets among other frames",
            [post(1), [frame(RST_STREAM, 0, 1, &[0; 4]), update(0, 5000)].concat().repeat(101)].concat(),
            Cut("h2_resets"),
        ),
        case(
            "updates of nothing, which make the gateway reset",
            [post(1), update(1, 0).repeat(101)].concat(),
            Cut("h2_resets"),
        ),
        case(
            "resets of either kind",
            [post(1), update(1, 0).repeat(50), strays(51)].concat(),
            Cut("h2_resets"),
        ),
        case(
            "updates of nothing but the reserved bit",
            [post(1), update(1, 1 << 31).repeat(101)].concat(),
            Cut("h2_resets"),
        ),
    ]
}

fn control() -> Vec<Case> {
    let setting = [0, 3, 0, 0, 0, 100];
    let settings = |flags, payload: &[u8], count| frame(SETTINGS, flags, 0, payload).repeat(count);
    let pings = |flags, count| frame(PING, flags, 0, &[0; 8]).repeat(count);
    vec![
        // One has been said with the preface.
        case("twenty settings", settings(0, &[], 19), Passes),
        case("a settings flood", settings(0, &setting, 20), Cut("h2_settings")),
        case("a flood of empty settings", settings(0, &[], 20), Cut("h2_settings")),
        case("a flood of acknowledged settings", settings(ACK, &[], 20), Cut("h2_settings")),
        case("twenty pings", pings(0, 20), Passes),
        case("a ping flood", pings(0, 21), Cut("h2_pings")),
        case("a flood of answers to pings", pings(ACK, 21), Cut("h2_pings")),
        case(
            "pings between requests",
            (0..21).flat_map(|n| [get(2 * n + 1), pings(0, 1)].concat()).collect::<Vec<_>>(),
            Cut("h2_pings"),
        ),
    ]
}

fn data() -> Vec<Case> {
    let data = |payload: &[u8], count| [post(1), frame(DATA, 0, 1, payload).repeat(count)].concat();
    vec![
        case("a hundred empty frames of data", data(&[], 100), Passes),
        case("a flood of empty data", data(&[], 101), Cut("h2_empty_data")),
        case(
            "a flood of padding alone",
            [post(1), padded(0, 200).repeat(101)].concat(),
            Cut("h2_empty_data"),
        ),
        case(
            "padding longer than its frame",
            [post(1), frame(DATA, PADDED, 1, &[9]).repeat(101)].concat(),
            Cut("h2_empty_data"),
        ),
        case("padded content", [post(1), padded(64, 10).repeat(101)].concat(), Passes),
        case(
            "bodies that end empty",
            (0..90)
                .flat_map(|n| [post(2 * n + 1), frame(DATA, END_STREAM, 2 * n + 1, &[])].concat())
                .chain([post(181), frame(DATA, 0, 181, &[]).repeat(20)].concat())
                .collect::<Vec<_>>(),
            Passes,
        ),
        case("content a byte at a time", data(&[7], 5000), Passes),
        case("a flood of content a byte at a time", data(&[7], 5001), Cut("h2_tiny_data")),
        case("a flood of padded bytes", [post(1), padded(1, 5).repeat(5001)].concat(), Cut("h2_tiny_data")),
        case("content in fair pieces", data(&[7; 32], 2000), Passes),
        case(
            "data of more than a frame",
            [post(1), frame(DATA, 0, 1, &[7; (16 << 10) + 1])].concat(),
            Cut("h2_frame_size"),
        ),
    ]
}

fn windows() -> Vec<Case> {
    vec![
        case("five thousand small updates", update(0, 1).repeat(5000), Passes),
        case("a flood of updates by one", update(0, 1).repeat(5001), Cut("h2_window_updates")),
        case("a flood of updates by 1023", update(0, 1023).repeat(5001), Cut("h2_window_updates")),
        case("updates by 1024", update(0, 1024).repeat(5001), Passes),
    ]
}

fn others() -> Vec<Case> {
    let many = |kind, payload: &[u8], count| frame(kind, 0, 0, payload).repeat(count);
    let priority = frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]);
    vec![
        case("two hundred priorities", priority.repeat(200), Passes),
        case("a flood of priorities", priority.repeat(201), Cut("h2_priorities")),
        case("a hundred frames of unknown types", many(0xfe, &[], 100), Passes),
        case("a flood of frames of unknown types", many(0xfe, &[1; 99], 101), Cut("h2_unknown_frames")),
        case(
            "a flood of many unknown types",
            (0..101).flat_map(|n| many(100 + n, &[], 1)).collect::<Vec<_>>(),
            Cut("h2_unknown_frames"),
        ),
        case(
            "a flood of priority updates",
            many(PRIORITY_UPDATE, &[0, 0, 0, 1, b'u'], 101),
            Cut("h2_unknown_frames"),
        ),
        case("a flood of farewells", many(GOAWAY, &[0; 8], 101), Cut("h2_unknown_frames")),
    ]
}

fn parsers() -> Vec<Case> {
    let wrong = |name, frames: Vec<u8>| case(name, frames, RefusedByParser);
    let head = |block: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, block);
    vec![
        wrong("a head on stream 0", get(0)),
        wrong("a head on an even stream", get(2)),
        wrong("data on stream 0", frame(DATA, 0, 0, &[7; 99])),
        wrong("data on a stream that is not open", frame(DATA, 0, 5, &[7; 99])),
        wrong("a stream older than the last", [get(5), get(3)].concat()),
        wrong("settings on a stream", frame(SETTINGS, 0, 1, &[])),
        wrong("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        wrong("an acknowledgement that says something", frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1])),
        wrong("a window past 2^31", frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff])),
        wrong("a ping of seven bytes", frame(PING, 0, 0, &[0; 7])),
        wrong("a ping on a stream", frame(PING, 0, 1, &[0; 8])),
        wrong("a reset on stream 0", frame(RST_STREAM, 0, 0, &[0; 4])),
        wrong("a reset of a stream that is not open", frame(RST_STREAM, 0, 7, &[0; 4])),
        wrong("a reset of three bytes", [post(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        wrong("an update by nothing", update(0, 0)),
        wrong("an update past 2^31", update(0, 0x7fff_ffff)),
        wrong("an update of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        wrong("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])),
        wrong(
            "padding longer than the head",
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, &[99, 0x82]),
        ),
        wrong("an index past the table", head(&[0xff, 0xff, 0x7f])),
        wrong("a table larger than allowed", head(&[0x3f, 0xe1, 0xff, 0x03, 0x82])),
        wrong("a string that goes past the block", head(&[0x00, 0x7f, b'x'])),
        wrong("no method", head(&[0x86, 0x84, 0x01, 0x01, b'a'])),
        wrong("two methods", head(&[0x82, 0x83, 0x86, 0x84])),
        wrong("a pseudo-field behind a field", head(&[&[0x00, 1, b'x', 0], GET].concat())),
        wrong("an unknown pseudo-field", head(&[GET, &[0x00, 2, b':', b'x', 0]].concat())),
        wrong("a name in capitals", head(&[GET, &[0x00, 1, b'X', 0]].concat())),
        wrong("a connection field", head(&[GET, b"\0\x0aconnection\x05close"].concat())),
    ]
}
