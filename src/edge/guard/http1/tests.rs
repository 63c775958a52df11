use gateway_testing::raw::http1::{Case, Expect, cases};
use proptest::prelude::*;

use super::*;

const GOOD: &[u8] = b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nyes";

/// What came of bytes: those that passed, the requests that ended with them, and why no more did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    passed: Vec<u8>,
    heads: usize,
    ended: usize,
    breach: Option<Breach>,
}

/// Feeds pieces as an accept loop would, and holds the guard to what it promises about itself.
fn feed<'p>(guard: &mut Guard, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let now = Instant::now();
    let mut held = Vec::new();
    let mut outcome = Outcome::default();
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let progress = guard.feed(&held, now);
            match progress {
                Progress::Head(head) => {
                    outcome.heads += 1;
                    outcome.ended += usize::from(head.body == Framing::None);
                }
                Progress::Body { len, ends } => {
                    assert!(len > 0);
                    outcome.ended += usize::from(ends);
                }
                Progress::NeedMore => {
                    assert_eq!(guard.unfinished(), held.len());
                    break;
                }
                Progress::Refuse(breach) => {
                    assert_eq!((guard.state(), guard.breach()), (State::Refused, Some(breach)));
                    outcome.breach = Some(breach);
                    break;
                }
            }
            assert_eq!(outcome.breach, None, "nothing passes after a breach");
            outcome.passed.extend(held.drain(..progress.passes()));
        }
    }
    outcome
}

fn whole(bytes: &[u8]) -> Outcome {
    feed(&mut Guard::new(Policy::default()), [bytes])
}

fn check(case: &Case, outcome: &Outcome, before: usize) {
    let breach = outcome.breach.map(|breach| (breach.status(), breach.reason()));
    let name = case.name;
    match case.expect {
        Expect::Served(requests) => {
            assert_eq!(
                (breach, outcome.heads, outcome.ended),
                (None, before + requests, before + requests),
                "{name}"
            );
        }
        Expect::Refused(status, reason) => {
            assert_eq!((breach, outcome.heads), (Some((status, reason)), before), "{name}");
        }
        Expect::RefusedInBody(status, reason) => {
            assert_eq!(
                (breach, outcome.heads, outcome.ended),
                (Some((status, reason)), before + 1, before),
                "{name}"
            );
        }
        Expect::RefusedByRoute(..) => assert_eq!((breach, outcome.ended), (None, before + 1), "{name}"),
    }
}

#[test]
fn each_case_has_its_verdict() {
    let cases = cases();
    let refused =
        cases.iter().filter(|case| matches!(case.expect, Expect::Refused(..) | Expect::RefusedInBody(..)));
    assert!(refused.count() >= 60);
    for case in cases {
        check(&case, &whole(&case.bytes), 0);
        if matches!(case.expect, Expect::Served(_)) {
            assert_eq!(whole(&case.bytes).passed, case.bytes, "{}", case.name);
        }
    }
}

#[test]
fn no_cut_changes_a_verdict() {
    for case in cases() {
        let want = whole(&case.bytes);
        // Every place in short ones, some in long ones.
        for at in (1..case.bytes.len()).step_by(case.bytes.len() / 400 + 1) {
            let (one, two) = case.bytes.split_at(at);
            assert_eq!(
                feed(&mut Guard::new(Policy::default()), [one, two]),
                want,
                "{} cut at {at}",
                case.name
            );
        }
        let bytes = case.bytes.chunks(1);
        assert_eq!(feed(&mut Guard::new(Policy::default()), bytes), want, "{} byte by byte", case.name);
    }
}

#[test]
fn a_good_request_before_it_changes_no_verdict() {
    for case in cases() {
        let together = [GOOD, &case.bytes].concat();
        let outcome = whole(&together);
        check(&case, &outcome, 1);
        assert_eq!(outcome.passed, [GOOD, &whole(&case.bytes).passed].concat(), "{}", case.name);
        let bytes = together.chunks(1);
        assert_eq!(feed(&mut Guard::new(Policy::default()), bytes), outcome, "{}", case.name);
    }
}

#[test]
fn each_fault_is_told_from_the_others() {
    let tokens = "POST /x HTTP/1.1\r\nHost: a\r\n";
    for (bytes, want) in [
        ("\x16\x03\x01", Fault::NotHttp),
        ("\n", Fault::BareLf),
        ("\r\n\r\n", Fault::EmptyLines),
        ("GET /\r\n", Fault::RequestLine),
        ("G@T / HTTP/1.1\r\n", Fault::Method),
        ("GET x HTTP/1.1\r\n", Fault::Target),
        ("GET / HTTP/3.0\r\n", Fault::Version),
        (&format!("{tokens} a: b\r\n"), Fault::Folded),
        (&format!("{tokens}a b: c\r\n"), Fault::FieldName),
        (&format!("{tokens}a: \x01\r\n"), Fault::FieldValue),
        ("GET / HTTP/1.1\r\n\r\n", Fault::NoHost),
        (&format!("{tokens}host: a\r\n"), Fault::ManyHosts),
        ("GET / HTTP/1.1\r\nhost: a b\r\n", Fault::BadHost),
        (&format!("{tokens}content-length: x\r\n"), Fault::Length),
        (&format!("{tokens}content-length: 1\r\ncontent-length: 1\r\n"), Fault::ManyLengths),
        (&format!("{tokens}transfer-encoding: gzip\r\n"), Fault::TransferEncoding),
        ("GET / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", Fault::OldTransferEncoding),
        (&format!("{tokens}transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n"), Fault::TwoFramings),
        (&format!("{tokens}transfer-encoding: chunked\r\n\r\nx"), Fault::ChunkSize),
        (&format!("{tokens}transfer-encoding: chunked\r\n\r\n1;\0"), Fault::ChunkExtension),
        (&format!("{tokens}transfer-encoding: chunked\r\n\r\n1\r\nxx"), Fault::ChunkEnd),
        (&format!("{tokens}transfer-encoding: chunked\r\n\r\n0\r\nhost: b\r\n"), Fault::Trailer),
    ] {
        assert_eq!(whole(bytes.as_bytes()).breach, Some(Breach::Malformed(want)), "{bytes:?}");
    }
}

#[test]
fn of_two_bounds_the_one_that_is_passed_first_counts() {
    let policy = |head, uri| Policy { head, uri, ..Policy::default() };
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(4000));
    for (policy, want) in [
        (policy(2000, 1000), Breach::Uri),
        (policy(1000, 2000), Breach::HeadBytes),
        (policy(1064, 1000), Breach::Uri),
        (policy(1063, 1000), Breach::HeadBytes),
        (policy(4020, 4001), Breach::HeadBytes),
    ] {
        for cut in [1, 7, 5000] {
            let outcome = feed(&mut Guard::new(policy), long.as_bytes().chunks(cut));
            assert_eq!(outcome.breach, Some(want), "{policy:?} in pieces of {cut}");
        }
    }
    let outcome = feed(&mut Guard::new(policy(5000, 4001)), [long.as_bytes()]);
    assert_eq!((outcome.breach, outcome.ended), (None, 1));
}

#[test]
fn a_deadline_runs_from_the_first_byte_of_a_head_to_its_last() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut guard = Guard::new(Policy::default());
    assert_eq!((guard.state(), guard.head_deadline(), guard.unfinished()), (State::Idle, None, 0));
    // Some clients end a body with an empty line: no head has begun with it.
    for held in [&b"\r"[..], b"\r\n"] {
        assert_eq!(guard.feed(held, start), Progress::NeedMore);
        assert_eq!((guard.state(), guard.head_deadline()), (State::Idle, None));
    }
    let began = start + second;
    assert_eq!(guard.feed(b"\r\nP", began), Progress::NeedMore);
    assert_eq!(guard.feed(b"\r\nPOST / HTTP/1.1\r\nHo", began + second), Progress::NeedMore);
    assert_eq!((guard.state(), guard.unfinished()), (State::Head, 21));
    assert_eq!(guard.head_deadline(), Some(began + Duration::from_secs(5)));
    let all = b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
    let Progress::Head(head) = guard.feed(all, began + second * 2) else { panic!("a head") };
    assert_eq!(head, Head { len: all.len(), body: Framing::Length(2), expects_continue: true, began });
    assert_eq!((guard.state(), guard.head_deadline(), guard.unfinished()), (State::Body, None, 0));
    assert_eq!(guard.feed(b"x", start), Progress::Body { len: 1, ends: false });
    assert_eq!(guard.body_left(), Some(1));
    assert_eq!(guard.feed(b"yG", start), Progress::Body { len: 1, ends: true });
    assert_eq!((guard.state(), guard.head_deadline()), (State::Idle, None));
    assert_eq!(guard.feed(b"G", began), Progress::NeedMore);
    assert_eq!(guard.head_deadline(), Some(began + Duration::from_secs(5)));
}

#[test]
fn only_who_may_wait_for_a_continue_expects_one() {
    for (head, want) in [
        ("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-CONTINUE\r\ntransfer-encoding: chunked\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n", false),
        ("POST / HTTP/1.0\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n", false),
        ("POST / HTTP/1.1\r\nhost: a\r\nexpect: else\r\ncontent-length: 1\r\n\r\n", false),
    ] {
        let Progress::Head(found) = Guard::new(Policy::default()).feed(head.as_bytes(), Instant::now())
        else {
            panic!("{head}")
        };
        assert_eq!(found.expects_continue, want, "{head}");
    }
}

#[test]
fn other_bounds_hold_from_the_next_head_on() {
    let mut guard = Guard::new(Policy::default());
    guard.set_policy(Policy { fields: 1, ..Policy::default() });
    assert_eq!(feed(&mut guard, [GOOD]).breach, Some(Breach::Fields));
}

#[test]
fn an_idle_connection_costs_next_to_nothing() {
    assert!(size_of::<Guard>() <= 160, "{}", size_of::<Guard>());
}

/// A request that is right, and whether it is one that ends by chunks.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let name = "[a-z][a-z0-9-]{0,10}x";
    let fields = prop::collection::vec((name, "[ -~]{0,20}"), 0..6);
    let chunks = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5);
    let body = prop_oneof![
        Just(None),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| Some((false, vec![bytes]))),
        chunks.prop_map(|chunks| Some((true, chunks))),
    ];
    (any::<bool>(), "/[a-zA-Z0-9/?=%._-]{0,30}", fields, body).prop_map(|(line, path, fields, body)| {
        let mut out = if line { b"\r\n".to_vec() } else { Vec::new() };
        out.extend(format!("PUT {path} HTTP/1.1\r\nhost: a.example:80\r\n").bytes());
        out.extend(fields.iter().flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()));
        match body {
            None => out.extend(b"\r\n"),
            Some((false, bytes)) => {
                out.extend(format!("content-length: {}\r\n\r\n", bytes[0].len()).bytes());
                out.extend(&bytes[0]);
            }
            Some((true, chunks)) => {
                out.extend(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in &chunks {
                    out.extend(format!("{:x}\r\n", chunk.len()).bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n");
                out.extend(
                    fields.iter().flat_map(|(name, value)| format!("{name}: {value}\r\n").into_bytes()),
                );
                out.extend(b"\r\n");
            }
        }
        out
    })
}

fn pieces<'b>(bytes: &'b [u8], cuts: &'b [usize]) -> Vec<&'b [u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for cut in cuts.iter().cycle().take(1000) {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_right_passes_as_it_came(
        requests in prop::collection::vec(request(), 1..5), cuts in prop::collection::vec(1_usize..50, 1..5),
    ) {
        let bytes = requests.concat();
        let outcome = feed(&mut Guard::new(Policy::default()), pieces(&bytes, &cuts));
        prop_assert_eq!((outcome.breach, outcome.ended), (None, requests.len()));
        prop_assert_eq!(outcome.passed, bytes);
    }

    #[test]
    fn whatever_comes_is_judged_alike_however_it_is_cut(
        requests in prop::collection::vec(request(), 1..3),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n\0 :;,0aG\x80".to_vec())), 0..4),
        cuts in prop::collection::vec(1_usize..50, 1..5),
    ) {
        let mut bytes = requests.concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let one = whole(&bytes);
        let cut = feed(&mut Guard::new(Policy::default()), pieces(&bytes, &cuts));
        prop_assert_eq!(&one, &cut);
        // What passed is what came, up to some place.
        prop_assert!(bytes.starts_with(&one.passed));
        // What passed before a breach passes on its own, and is no breach.
        let again = whole(&one.passed);
        prop_assert_eq!((again.breach, again.heads, again.ended), (None, one.heads, one.ended));
    }
}

#[test]
fn what_the_parser_behind_takes_for_no_uri_is_refused_here() {
    for byte in 0x21..0x7f_u8 {
        for before in [&b"/a"[..], b"/a?b"] {
            let target = [before, &[byte], b"c"].concat();
            let head = [b"GET ", &target[..], b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
            let progress = Guard::new(Policy::default()).feed(&head, Instant::now());
            let is_uri = http::Uri::try_from(&target[..]).is_ok() && byte != b'#';
            assert_eq!(matches!(progress, Progress::Head(_)), is_uri, "{}", String::from_utf8_lossy(&target));
        }
    }
}

#[test]
fn an_absolute_target_names_the_host_that_the_head_names() {
    for (target, host, passes) in [
        ("http://a/x", "a", true),
        ("HTTP://A:80?x", "a:80", true),
        ("https://a", "A", true),
        ("http://b/x", "a", false),
        ("http://a:80/x", "a", false),
        ("http://u@a/x", "a", false),
        ("http://u@a/x", "u@a", false),
        ("/http://b/x", "a", true),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nx: y\r\nhost: {host}\r\n\r\n");
        let progress = Guard::new(Policy::default()).feed(head.as_bytes(), Instant::now());
        assert_eq!(matches!(progress, Progress::Head(_)), passes, "{target} {host}: {progress:?}");
    }
}
