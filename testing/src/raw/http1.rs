//! Raw HTTP/1 requests, right and wrong, each with what a gateway must make of it. What is wrong here is what two
//! parsers could read differently, or what a bound stops. Bounds are the defaults: 64 KiB of head, 100 fields, 8 KiB of
//! target.

/// Bytes of a connection, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it tries.
    pub name: &'static str,
    /// What the client sends; the client then waits.
    pub bytes: Vec<u8>,
    /// What it must get.
    pub expect: Expect,
}

/// What becomes of a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// So many whole requests reach the backend, byte for byte as framed.
    Served(usize),
    /// The head is refused before any parser sees it, and the connection closed.
    Refused(u16, &'static str),
    /// The head passes; the body is refused, and never ends for a backend. The connection is closed.
    RefusedInBody(u16, &'static str),
    /// Framed well, and refused by what routes it.
    RefusedByRoute(u16, &'static str),
}

use Expect::{Refused, RefusedByRoute, RefusedInBody, Served};

/// The word for what no two parsers must read differently.
const MALFORMED: Expect = Refused(400, "malformed");
const IN_BODY: Expect = RefusedInBody(400, "malformed");
const BAD_PATH: Expect = RefusedByRoute(400, "malformed");

/// All cases.
pub fn cases() -> Vec<Case> {
    [
        good(),
        request_lines(),
        targets(),
        fields(),
        hosts(),
        lengths(),
        encodings(),
        chunks(),
        trailers(),
        sizes(),
    ]
    .concat()
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, expect: Expect) -> Case {
    Case { name, bytes: bytes.into(), expect }
}

/// `POST /x` with these field lines after its host, and this body.
fn post(fields: &str, body: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

/// `POST /x` with a chunked body.
fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

/// `GET` of a target.
fn target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// `GET /x` with these lines in place of its fields.
fn get(fields: &str) -> String {
    format!("GET /x HTTP/1.1\r\n{fields}\r\n")
}

fn good() -> Vec<Case> {
    vec![
        case("a small request", get("Host: a\r\n"), Served(1)),
        case("of HTTP/1.0", "GET /x HTTP/1.0\r\nHost: a\r\n\r\n", Served(1)),
        case("an empty line before it", format!("\r\n{}", get("Host: a\r\n")), Served(1)),
        case("two at once", get("Host: a\r\n").repeat(2), Served(2)),
        case("two with an empty line between", format!("{0}\r\n{0}", get("Host: a\r\n")), Served(2)),
        case("a body", post("Content-Length: 5\r\n", "hello"), Served(1)),
        case("a body of nothing", post("Content-Length: 0\r\n", ""), Served(1)),
        case("a length with zeros before it", post("Content-Length: 005\r\n", "hello"), Served(1)),
        case("a length in spaces and tabs", post("Content-Length:\t 5 \t\r\n", "hello"), Served(1)),
        case(
            "a body that looks like a request",
            post("Content-Length: 28\r\n", &get("Host: a\r\n")),
            Served(1),
        ),
        case("bodies one behind the other", post("Content-Length: 5\r\n", "hello").repeat(3), Served(3)),
        case("an open length", chunked("5\r\nhello\r\n0\r\n\r\n"), Served(1)),
        case("several chunks", chunked("1\r\nh\r\n4\r\nello\r\n00A\r\n0123456789\r\n000\r\n\r\n"), Served(1)),
        case("a chunk with CRLF in it", chunked("7\r\n0\r\n\r\nGE\r\n0\r\n\r\n"), Served(1)),
        case(
            "a chunked body and a request behind it",
            chunked("1\r\nx\r\n0\r\n\r\n") + &get("Host: a\r\n"),
            Served(2),
        ),
        case("a chunk extension", chunked("5;a=\"b;c\" ;d\r\nhello\r\n0;e\r\n\r\n"), Served(1)),
        case("trailers", chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-y:\r\n\r\n"), Served(1)),
        case("the coding in capitals", post("TRANSFER-ENCODING:  CHUNKED \r\n", "0\r\n\r\n"), Served(1)),
        case(
            "obs-text in a value",
            b"GET /x HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\n\r\n".as_slice(),
            Served(1),
        ),
        case("an empty value", get("Host: a\r\nX:\r\nY: \t\r\n"), Served(1)),
        case("a value with colons and tabs", get("Host:a\r\nX:: a\tb :\r\n"), Served(1)),
        case("an IPv6 host", get("Host: [::1]:8080\r\n"), Served(1)),
        case("an absolute target", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", Served(1)),
        case("a query that is no path", target("/x?a=/../%zz\\|^`{}"), Served(1)),
        case(
            "names that only begin like framing ones",
            get("Host: a\r\nContent-Lengths: x\r\nHosts: b\r\n"),
            Served(1),
        ),
    ]
}

fn request_lines() -> Vec<Case> {
    vec![
        case("HTTP/0.9", "GET /x\r\n\r\n", MALFORMED),
        case("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", MALFORMED),
        case("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".as_slice(), MALFORMED),
        case("version 1.2", "GET /x HTTP/1.2\r\nHost: a\r\n\r\n", MALFORMED),
        case("version 2.0", "GET /x HTTP/2.0\r\nHost: a\r\n\r\n", MALFORMED),
        case("version 1.10", "GET /x HTTP/1.10\r\nHost: a\r\n\r\n", MALFORMED),
        case("version 01.1", "GET /x HTTP/01.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a version in small letters", "GET /x http/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("another protocol", "GET /x ICAP/1.0\r\nHost: a\r\n\r\n", MALFORMED),
        case("no version", "GET /x \r\nHost: a\r\n\r\n", MALFORMED),
        case("two spaces before the target", "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("two spaces before the version", "GET /x  HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a space after the version", "GET /x HTTP/1.1 \r\nHost: a\r\n\r\n", MALFORMED),
        case("a space before the method", " GET /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a tab for a space", "GET\t/x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a target with a space", "GET /x y HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a method that is no token", "GE(T) /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a method with a NUL", b"G\0T /x HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), MALFORMED),
        case("a method without end", "A".repeat(9000), MALFORMED),
        case(
            "a method of 33 letters",
            format!("{} /x HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(33)),
            MALFORMED,
        ),
        case("two empty lines before", "\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a bare LF before", "\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a bare CR before", "\rGET /x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a bare LF after the request line", "GET /x HTTP/1.1\nHost: a\r\n\r\n", MALFORMED),
        case("a bare CR after the request line", "GET /x HTTP/1.1\rHost: a\r\n\r\n", MALFORMED),
        case("a bare CR in the request line", "GET /x\r HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(405, "method")),
        case("TRACE", "TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n", RefusedByRoute(405, "method")),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        case("a target without a slash", target("x"), MALFORMED),
        case("a target that is an authority", target("a:80"), MALFORMED),
        case("an asterisk for GET", target("*"), MALFORMED),
        case("an asterisk and more", "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("another scheme", target("ftp://a/x"), MALFORMED),
        case("a scheme without an authority", target("http:///x"), MALFORMED),
        case("a scheme alone", target("http://"), MALFORMED),
        case("a fragment", target("/x#y"), MALFORMED),
        case("a target that is not ASCII", target("/ä"), MALFORMED),
        case("a NUL in the target", target("/x\0y"), MALFORMED),
        case("a tab in the target", target("/x\ty"), MALFORMED),
        case("DEL in the target", target("/x\x7fy"), MALFORMED),
        case("a fragment in an absolute target", target("http://a/x#y"), MALFORMED),
        case("dot segments", target("/x/../y"), BAD_PATH),
        case("encoded dot segments", target("/x/%2e%2E/y"), BAD_PATH),
        case("an encoded slash", target("/x%2fy"), BAD_PATH),
        case("a backslash", target("/x\\..\\y"), BAD_PATH),
        case("an encoded NUL", target("/x%00"), BAD_PATH),
        case("half an escape", target("/x%4"), BAD_PATH),
        case("an authority other than the host", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
        case("a user in the target", "GET http://u@a/x HTTP/1.1\r\nHost: a\r\n\r\n", MALFORMED),
    ]
}

fn fields() -> Vec<Case> {
    vec![
        case("a bare LF after a field", get("Host: a\nX: y\r\n"), MALFORMED),
        case("a bare LF at the end", "GET /x HTTP/1.1\r\nHost: a\r\n\n", MALFORMED),
        case("a bare LF twice at the end", "GET /x HTTP/1.1\r\nHost: a\n\n", MALFORMED),
        case("a bare CR in a value", get("Host: a\r\nX: y\rZ: z\r\n"), MALFORMED),
        case("two CRs at an end", get("Host: a\r\r\nX: y\r\n"), MALFORMED),
        case("a bare CR for a name", get("Host: a\r\n\r: y\r\n"), MALFORMED),
        case("a continued field", get("Host: a\r\nX: y\r\n z\r\n"), MALFORMED),
        case("a continued field with a tab", get("Host: a\r\nX: y\r\n\tz\r\n"), MALFORMED),
        case("a continued field that hides one", get("Host: a\r\nX: y\r\n Content-Length: 5\r\n"), MALFORMED),
        case("a space before the first field", get(" Host: a\r\n"), MALFORMED),
        case("a space before the colon", get("Host : a\r\n"), MALFORMED),
        case("a tab before the colon", get("Host\t: a\r\n"), MALFORMED),
        case("a space in a name", get("Host: a\r\nX y: z\r\n"), MALFORMED),
        case("a name with brackets", get("Host: a\r\nX(y): z\r\n"), MALFORMED),
        case("a name that is not ASCII", get("Host: a\r\nÄ: z\r\n"), MALFORMED),
        case("a name with a NUL", get("Host: a\r\nX\0: z\r\n"), MALFORMED),
        case("no name", get("Host: a\r\n: z\r\n"), MALFORMED),
        case("no colon", get("Host: a\r\nX\r\n"), MALFORMED),
        case("a NUL in a value", get("Host: a\r\nX: y\0z\r\n"), MALFORMED),
        case("an escape character in a value", get("Host: a\r\nX: \x1b[2J\r\n"), MALFORMED),
        case("DEL in a value", get("Host: a\r\nX: \x7f\r\n"), MALFORMED),
        case("a vertical tab around a value", get("Host: a\r\nX: \x0by\r\n"), MALFORMED),
    ]
}

fn hosts() -> Vec<Case> {
    vec![
        case("no host", get("X: y\r\n"), MALFORMED),
        case("no host on HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", MALFORMED),
        case("no host beside an absolute target", "GET http://a/x HTTP/1.1\r\n\r\n", MALFORMED),
        case("two hosts", get("Host: a\r\nHost: b\r\n"), MALFORMED),
        case("the same host twice", get("Host: a\r\nhost: a\r\n"), MALFORMED),
        case("an empty host", get("Host:\r\n"), MALFORMED),
        case("a host with a path", get("Host: a/b\r\n"), MALFORMED),
        case("a host with a user", get("Host: u@a\r\n"), MALFORMED),
        case("a host with a space", get("Host: a b\r\n"), MALFORMED),
        case("two hosts in one", get("Host: a, b\r\n"), MALFORMED),
        case("a port that is none", get("Host: a:80x\r\n"), MALFORMED),
        case("a port too high", get("Host: a:65536\r\n"), MALFORMED),
        case("IPv6 without brackets", get("Host: ::1\r\n"), MALFORMED),
        case("a host that is not ASCII", get("Host: ä\r\n"), MALFORMED),
    ]
}

fn lengths() -> Vec<Case> {
    let wrong =
        |name, value: &str| case(name, post(&format!("Content-Length:{value}\r\n"), "hello"), MALFORMED);
    vec![
        wrong("a length that is empty", ""),
        wrong("a length with plus", " +5"),
        wrong("a length with minus", " -5"),
        wrong("a hexadecimal length", " 0x5"),
        wrong("a length in letters", " five"),
        wrong("a length with a fraction", " 5.0"),
        wrong("a length with an exponent", " 5e0"),
        wrong("a list of equal lengths", " 5, 5"),
        wrong("a list of lengths", " 5,6"),
        wrong("a length and a comma", " 5,"),
        wrong("two numbers", " 5 5"),
        wrong("a length and a NUL", " 5\0"),
        wrong("a length of 2^63", " 9223372036854775808"),
        wrong("a length of 2^64 and 5", " 18446744073709551621"),
        wrong("a length in other digits", " ٥"),
        case("two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), MALFORMED),
        case("the same length twice", post("Content-Length: 5\r\ncontent-length: 5\r\n", "hello"), MALFORMED),
        case("a length hidden by a space", post("Content-Length : 5\r\n", "hello"), MALFORMED),
        case("a length on a second line", post("Content-Length:\r\n 5\r\n", "hello"), MALFORMED),
    ]
}

fn encodings() -> Vec<Case> {
    let end = "0\r\n\r\n";
    let wrong = |name, value: &str| {
        case(name, post(&format!("Transfer-Encoding:{value}\r\n"), "0\r\n\r\n"), MALFORMED)
    };
    vec![
        case(
            "length, then coding",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", end),
            MALFORMED,
        ),
        case(
            "coding, then length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", end),
            MALFORMED,
        ),
        case(
            "coding and a length of 0",
            post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", end),
            MALFORMED,
        ),
        case(
            "an unknown coding and a length",
            post("Transfer-Encoding: x\r\nContent-Length: 5\r\n", "hello"),
            MALFORMED,
        ),
        case(
            "coding on HTTP/1.0",
            "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            MALFORMED,
        ),
        case(
            "chunked twice",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", end),
            MALFORMED,
        ),
        case(
            "identity, then chunked",
            post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", end),
            MALFORMED,
        ),
        case("coding hidden by a space", post("Transfer-Encoding : chunked\r\n", end), MALFORMED),
        case("coding on a second line", post("Transfer-Encoding:\r\n chunked\r\n", end), MALFORMED),
        wrong("a coding that is empty", ""),
        wrong("identity", " identity"),
        wrong("gzip alone", " gzip"),
        wrong("gzip, chunked", " gzip, chunked"),
        wrong("chunked, gzip", " chunked, gzip"),
        wrong("chunked, chunked", " chunked, chunked"),
        wrong("chunked, identity", " chunked, identity"),
        wrong("chunked and a comma", " chunked,"),
        wrong("a comma and chunked", " ,chunked"),
        wrong("chunked in quotes", " \"chunked\""),
        wrong("chunked with a parameter", " chunked;q=1"),
        wrong("xchunked", " xchunked"),
        wrong("chunkedx", " chunkedx"),
        wrong("chunked after a vertical tab", " \x0bchunked"),
        wrong("chunked and a NUL", " chunked\0"),
        wrong("a coding with a Kelvin sign", " chun\u{212a}ed"),
    ]
}

fn chunks() -> Vec<Case> {
    let wrong = |name, body: &str| case(name, chunked(body), IN_BODY);
    vec![
        wrong("no size", "\r\nhello\r\n0\r\n\r\n"),
        wrong("no size at the end", "5\r\nhello\r\n\r\n\r\n"),
        wrong("an extension of no size", "5\r\nhello\r\n;a\r\n\r\n"),
        wrong("a size that is no number", "x\r\nhello\r\n0\r\n\r\n"),
        wrong("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        wrong("a size with plus", "+5\r\nhello\r\n0\r\n\r\n"),
        wrong("a size with minus", "-5\r\nhello\r\n0\r\n\r\n"),
        wrong("a space before a size", " 5\r\nhello\r\n0\r\n\r\n"),
        wrong("a space after a size", "5 \r\nhello\r\n0\r\n\r\n"),
        wrong("a tab before an extension", "5\t;a\r\nhello\r\n0\r\n\r\n"),
        wrong("a size of sixteen digits", "0000000000000005\r\nhello\r\n0\r\n\r\n"),
        wrong("a size past 2^64", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        wrong("a size with a NUL", "5\0\r\nhello\r\n0\r\n\r\n"),
        wrong("a bare LF after a size", "5\nhello\r\n0\r\n\r\n"),
        wrong("a bare CR after a size", "5\rhello\r\n0\r\n\r\n"),
        wrong("two CRs after a size", "5\r\r\nhello\r\n0\r\n\r\n"),
        wrong("a bare LF in an extension", "5;a\nhello\r\n0\r\n\r\n"),
        wrong("a bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        wrong("a NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
        wrong("an extension that is not ASCII", "5;ä\r\nhello\r\n0\r\n\r\n"),
        wrong("a chunk longer than it said", "4\r\nhello\r\n0\r\n\r\n"),
        wrong("a chunk shorter than it said", "6\r\nhello\r\n0\r\n\r\n"),
        wrong("a bare LF after a chunk", "5\r\nhello\n0\r\n\r\n"),
        wrong("a chunk without an end", "5\r\nhello0\r\n\r\n"),
        wrong("a request in place of a chunk", "GET /y HTTP/1.1\r\nHost: a\r\n\r\n"),
        case("a long extension", chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(1024))), IN_BODY),
        case("many extensions", chunked(&"1;aaaaaaa\r\nx\r\n".repeat(129)), IN_BODY),
    ]
}

fn trailers() -> Vec<Case> {
    let wrong = |name, lines: &str| case(name, chunked(&format!("1\r\nx\r\n0\r\n{lines}")), IN_BODY);
    vec![
        wrong("a bare LF for the last line", "\n"),
        wrong("a bare CR for the last line", "\rGET /y HTTP/1.1\r\n"),
        wrong("a request behind half an end", "GET /y HTTP/1.1\r\nHost: a\r\n\r\n"),
        wrong("a trailer without a colon", "x\r\n\r\n"),
        wrong("a trailer with a bare LF", "x: y\n\r\n"),
        wrong("a continued trailer", "x: y\r\n z\r\n\r\n"),
        wrong("a trailer with a space before its colon", "x : y\r\n\r\n"),
        wrong("a trailer with a NUL", "x: \0\r\n\r\n"),
        wrong("a length for a trailer", "Content-Length: 5\r\n\r\n"),
        wrong("a coding for a trailer", "Transfer-Encoding: chunked\r\n\r\n"),
        wrong("a host for a trailer", "Host: b\r\n\r\n"),
        case(
            "too many trailers",
            chunked(&format!("0\r\n{}\r\n", "x: y\r\n".repeat(101))),
            RefusedInBody(431, "headers"),
        ),
        case(
            "trailers too large",
            chunked(&format!("0\r\nx: {}", "y".repeat(64 << 10))),
            RefusedInBody(431, "headers"),
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let path = |len: usize| format!("/{}", "a".repeat(len - 1));
    let head = |len: usize| {
        let (begin, end) = ("GET /x HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n");
        format!("{begin}{}{end}", "y".repeat(len - begin.len() - end.len()))
    };
    let fields = |count: usize| get(&format!("Host: a\r\n{}", "x: y\r\n".repeat(count - 1)));
    vec![
        case("a target of 8 KiB", target(&path(8192)), Served(1)),
        case("a target of a byte more", target(&path(8193)), Refused(414, "uri")),
        case("a target without end", format!("GET {}", path(9000)), Refused(414, "uri")),
        case("a hundred fields", fields(100), Served(1)),
        case("a field more", fields(101), Refused(431, "headers")),
        case("a head of 64 KiB", head(64 << 10), Served(1)),
        case("a head of a byte more", head((64 << 10) + 1), Refused(431, "headers")),
        case(
            "a head without end",
            get("Host: a\r\n").trim_end().to_owned() + &"x".repeat(64 << 10),
            Refused(431, "headers"),
        ),
    ]
}
