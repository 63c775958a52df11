//! Heads against an independent implementation (the `bhttp` crate) in both directions, and what must be refused.
#![allow(clippy::cast_possible_truncation, reason = "lengths of test data")]

use std::io::Cursor;

use bytes::Bytes;
use proptest::prelude::*;

use super::varint::MAX_VARINT;
use super::*;

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let hop_by_hop = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "http2-settings",
        "host",
        "content-length",
    ];
    "[a-z0-9!#$%&'*+.^_`|~-]{1,24}"
        .prop_filter("a field that may cross", move |name| !hop_by_hop.contains(&name.as_str()))
        .prop_map(String::into_bytes)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no CR, LF, NUL", |byte| !matches!(byte, 0 | b'\r' | b'\n'));
    prop_oneof![
        8 => prop::collection::vec(byte, 0..80),
        1 => (0usize..20_000).prop_map(|len| vec![b'v'; len]),
    ]
}

fn lines() -> impl Strategy<Value = Lines> {
    (prop::collection::vec((name(), value()), 0..12), prop::option::of(any::<u64>()))
        .prop_map(|(mut lines, length)| {
            if let Some(length) = length {
                lines.push((b"content-length".to_vec(), length.to_string().into_bytes()));
            }
            lines
        })
        .prop_filter("not larger than a head may be", |lines| {
            lines.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>() < 70_000
        })
}

fn control() -> impl Strategy<Value = (String, String, String, Vec<u8>)> {
    let path = prop::collection::vec((b'!'..=255).prop_filter("not DEL", |byte| *byte != 0x7f), 0..60);
    ("[A-Za-z!#$%&'*+.^_`|~-]{1,12}", "https?", "[a-z0-9.:\\[\\]-]{1,30}", path).prop_map(
        |(method, scheme, authority, mut path)| {
            path.insert(0, b'/');
            (method, scheme, authority, path)
        },
    )
}

fn pairs(lines: &Lines) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
    lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
}

fn ours(fields: &Fields) -> Lines {
    fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn theirs(message: &::bhttp::Message) -> Lines {
    message.header().iter().map(|field| (field.name().to_vec(), field.value().to_vec())).collect()
}

fn written(message: &::bhttp::Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.write_bhttp(::bhttp::Mode::KnownLength, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> ::bhttp::Message {
    ::bhttp::Message::read_bhttp(&mut Cursor::new(bytes)).unwrap()
}

/// A head as its parts arrive: it never wants more than there is, and is seen as soon as it is there.
fn in_steps<T>(
    bytes: &[u8],
    parse: impl Fn(&Bytes, usize) -> Result<Progress<T>, BadMessage>,
) -> Result<(T, usize), BadMessage> {
    let (mut have, mut steps) = (1.min(bytes.len()), 0);
    loop {
        match parse(&Bytes::copy_from_slice(&bytes[..have]), bytes.len())? {
            Progress::Complete { head, consumed } => return Ok((head, consumed)),
            Progress::Needs(more) => {
                assert!(more > have && more <= bytes.len(), "{more} of {} with {have}", bytes.len());
                have = more;
            }
        }
        steps += 1;
        assert!(steps < 24, "a head takes a few looks, not one per byte");
    }
}

proptest! {
    #[test]
    fn they_read_the_requests_that_we_write(
        (method, scheme, authority, path) in control(),
        lines in lines(),
        content in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = vec![0xee; 3];
        encode_request_head(&mut bytes, method.as_bytes(), scheme.as_bytes(), authority.as_bytes(), &path, pairs(&lines)).unwrap();
        let mut bytes = bytes.split_off(3);
        for whole in [false, true] {
            if whole {
                put_content(&mut bytes, &content);
            }
            let message = read(&bytes);
            prop_assert_eq!(message.control().method(), Some(method.as_bytes()));
            prop_assert_eq!(message.control().scheme(), Some(scheme.as_bytes()));
            prop_assert_eq!(message.control().authority(), Some(authority.as_bytes()));
            prop_assert_eq!(message.control().path(), Some(&path[..]));
            prop_assert_eq!(&theirs(&message), &lines);
            prop_assert_eq!(message.content(), if whole { &content[..] } else { &[] });
        }
    }

    #[test]
    fn we_read_the_requests_that_they_write(
        (method, scheme, authority, path) in control(),
        lines in lines(),
        content in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut message = ::bhttp::Message::request(
            method.clone().into_bytes(), scheme.clone().into_bytes(), authority.clone().into_bytes(), path.clone(),
        );
        for (name, value) in &lines {
            message.put_header(name.clone(), value.clone());
        }
        message.write_content(&content);
        let bytes = written(&message);
        let (head, consumed) = in_steps(&bytes, parse_request_head).unwrap();
        prop_assert_eq!(&head.method[..], method.as_bytes());
        prop_assert_eq!(&head.scheme[..], scheme.as_bytes());
        prop_assert_eq!(&head.authority[..], authority.as_bytes());
        prop_assert_eq!(&head.path[..], &path[..]);
        check_fields(&head.fields, &lines);
        check_rest(&bytes[consumed..], &content);

        // And what we make of it again is byte for byte the same.
        let mut again = Vec::new();
        encode_request_head(&mut again, &head.method, &head.scheme, &head.authority, &head.path, head.fields.iter()).unwrap();
        prop_assert_eq!(&again[..], &bytes[..consumed]);
    }

    #[test]
    fn they_read_the_answers_that_we_write(status in 200u16..600, lines in lines(), content in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut bytes = Vec::new();
        encode_response_head(&mut bytes, status, pairs(&lines)).unwrap();
        put_content(&mut bytes, &content);
        let message = read(&bytes);
        prop_assert_eq!(message.control().status().unwrap().code(), status);
        prop_assert_eq!(theirs(&message), lines);
        prop_assert_eq!(message.content(), content);
    }

    #[test]
    fn we_read_the_answers_that_they_write(status in 200u16..600, lines in lines(), content in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut message = ::bhttp::Message::response(::bhttp::StatusCode::try_from(status).unwrap());
        for (name, value) in &lines {
            message.put_header(name.clone(), value.clone());
        }
        message.write_content(&content);
        let bytes = written(&message);
        let (head, consumed) = in_steps(&bytes, parse_response_head).unwrap();
        prop_assert_eq!(head.status, status);
        check_fields(&head.fields, &lines);
        check_rest(&bytes[consumed..], &content);
    }

    #[test]
    fn no_bytes_make_the_parser_panic_or_want_more_than_there_is(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            // Near misses: a head with a few bytes changed.
            (prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), lines()).prop_map(|(changes, lines)| {
                let mut bytes = Vec::new();
                encode_request_head(&mut bytes, b"GET", b"http", b"x", b"/", pairs(&lines)).unwrap();
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                bytes
            }),
        ],
        indicator in 0u8..4,
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut().filter(|_| indicator < 2) {
            *first = indicator;
        }
        if !bytes.is_empty() {
            // Whatever we accept, we accept again as we would write it, and so do they.
            if let Ok((head, consumed)) = in_steps(&bytes, parse_request_head) {
                prop_assert!(consumed <= bytes.len());
                let mut again = Vec::new();
                encode_request_head(&mut again, &head.method, &head.scheme, &head.authority, &head.path, head.fields.iter()).unwrap();
                let message = read(&again);
                prop_assert_eq!(theirs(&message), ours(&head.fields));
                prop_assert_eq!(in_steps(&again, parse_request_head).unwrap().0, head);
            }
            if let Ok((head, _)) = in_steps(&bytes, parse_response_head) {
                let mut again = Vec::new();
                encode_response_head(&mut again, head.status, head.fields.iter()).unwrap();
                prop_assert_eq!(theirs(&read(&again)), ours(&head.fields));
            }
        }
    }

    #[test]
    fn a_number_reads_back(value in prop_oneof![0u64..300, 0u64..70_000, 0u64..1 << 33, 0..=MAX_VARINT]) {
        let written = Varint::new(value);
        prop_assert_eq!(written.as_ref().len(), varint_len(value));
        let mut rest = written.as_ref();
        prop_assert_eq!(take_varint(&mut rest), Some(value));
        prop_assert!(rest.is_empty());
        let mut short = &written.as_ref()[..written.as_ref().len() - 1];
        let before = short;
        prop_assert_eq!((take_varint(&mut short), short), (None, before));
    }
}

fn put_content(bytes: &mut Vec<u8>, content: &[u8]) {
    bytes.extend(Varint::new(content.len() as u64).as_ref());
    bytes.extend(content);
}

fn check_fields(fields: &Fields, lines: &Lines) {
    assert_eq!(&ours(fields), lines);
    assert_eq!((fields.len(), fields.is_empty()), (lines.len(), lines.is_empty()));
    let shared: Lines = fields.iter_shared().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(&shared, lines);
    for (name, _) in lines {
        let first = lines.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_slice());
        assert_eq!(fields.find(name), first);
    }
    let length = lines.iter().find(|(name, _)| name == b"content-length");
    let length = length.map(|(_, value)| std::str::from_utf8(value).unwrap().parse().unwrap());
    assert_eq!(fields.content_length(), length);
}

/// What follows a head of theirs is a content section and zero bytes.
fn check_rest(mut rest: &[u8], content: &[u8]) {
    if rest.is_empty() {
        return assert!(content.is_empty());
    }
    let len = take_varint(&mut rest).unwrap() as usize;
    assert_eq!(&rest[..len], content);
    assert!(rest[len..].iter().all(|byte| *byte == 0));
}

#[test]
fn numbers_are_read_in_any_of_their_forms() {
    for bytes in [&[5][..], &[0x40, 5], &[0x80, 0, 0, 5], &[0xc0, 0, 0, 0, 0, 0, 0, 5]] {
        assert_eq!(take_varint(&mut &bytes[..]), Some(5));
    }
    assert_eq!(Varint::new(u64::MAX).as_ref(), [0xff; 8]);
}

#[test]
fn the_encoder_refuses_what_the_peer_would() {
    let request = |method: &[u8], scheme: &[u8], authority: &[u8], path: &[u8]| {
        encode_request_head(&mut Vec::new(), method, scheme, authority, path, std::iter::empty())
    };
    assert_eq!(request(b"GET", b"http", b"x", b"/"), Ok(()));
    assert_eq!(request(b"OPTIONS", b"http", b"x", b"*"), Ok(()));
    for (method, scheme, authority, path) in [
        (&b""[..], &b"http"[..], &b"x"[..], &b"/"[..]),
        (b"G T", b"http", b"x", b"/"),
        (b"GET", b"", b"x", b"/"),
        (b"GET", b"1http", b"x", b"/"),
        (b"GET", b"http", b"", b"/"),
        (b"GET", b"http", b"x y", b"/"),
        (b"GET", b"http", b"x", b""),
        (b"GET", b"http", b"x", b"a"),
        (b"GET", b"http", b"x", b"/a b"),
        (b"GET", b"http", b"x", b"/\r\n"),
        (b"GET", b"http", b"x", b"/\x7f"),
    ] {
        assert_eq!(request(method, scheme, authority, path), Err(BadMessage::ControlData));
    }
    let response = |status, lines: &Lines| encode_response_head(&mut Vec::new(), status, pairs(lines));
    for status in [0, 100, 103, 199, 600, u16::MAX] {
        assert_eq!(response(status, &Vec::new()), Err(BadMessage::Status));
    }
    let line = |name: &str, value: &str| vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())];
    let twice = [line("content-length", "1"), line("content-length", "1")].concat();
    for (lines, bad) in [
        (line("", "x"), BadMessage::FieldName),
        (line("Etag", "x"), BadMessage::FieldName),
        (line("a b", "x"), BadMessage::FieldName),
        (line(":path", "x"), BadMessage::FieldName),
        (line("a", "\n"), BadMessage::FieldValue),
        (line("a", "\r"), BadMessage::FieldValue),
        (line("a", "\0"), BadMessage::FieldValue),
        (line("content-length", ""), BadMessage::ContentLength),
        (line("content-length", "1,1"), BadMessage::ContentLength),
        (line("content-length", "18446744073709551616"), BadMessage::ContentLength),
        (twice, BadMessage::ContentLength),
        ((0..=MAX_FIELDS).flat_map(|n| line(&format!("f{n}"), "")).collect(), BadMessage::TooManyFields),
        (line("a", &"x".repeat(MAX_HEAD)), BadMessage::TooLarge),
    ] {
        assert_eq!(response(200, &lines), Err(bad));
    }
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "http2-settings",
        "host",
    ] {
        assert_eq!(response(200, &line(name, "x")), Err(BadMessage::ForbiddenField), "{name}");
    }
}

#[test]
fn the_bounds_of_a_head_are_the_same_on_both_sides() {
    // 1 + 2 bytes of control data, 4 of the section's length, 1 of the name, 1 + 4 around it.
    for (value, fits) in [(MAX_HEAD - 13, true), (MAX_HEAD - 12, false)] {
        let value = vec![b'v'; value];
        let mut bytes = Vec::new();
        let encoded = encode_response_head(&mut bytes, 200, std::iter::once((&b"n"[..], &value[..])));
        assert_eq!(encoded.is_ok(), fits);
        if fits {
            assert_eq!(bytes.len(), MAX_HEAD);
            in_steps(&bytes, parse_response_head).unwrap();
        }
    }
    let lines: Lines = (0..MAX_FIELDS).map(|n| (format!("f{n}").into_bytes(), Vec::new())).collect();
    let mut bytes = Vec::new();
    encode_response_head(&mut bytes, 200, pairs(&lines)).unwrap();
    assert_eq!(in_steps(&bytes, parse_response_head).unwrap().0.fields.len(), MAX_FIELDS);
    // One byte over is refused by its length alone, before any of it has come.
    let long = [&[1, 0x40, 200][..], Varint::new(MAX_HEAD as u64 - 6).as_ref()].concat();
    assert_eq!(parse_response_head(&Bytes::from(long), usize::MAX), Err(BadMessage::TooLarge));
}

#[test]
fn a_message_may_end_behind_its_control_data() {
    let (head, consumed) = in_steps(&[1, 0x40, 204], parse_response_head).unwrap();
    assert_eq!((head.status, head.fields.is_empty(), consumed), (204, true, 3));
    assert!(read(&[1, 0x40, 204]).header().is_empty());
    // But not inside it, nor inside a field.
    for bytes in [
        &[1][..],
        &[1, 0x40],
        &[1, 0x40, 204, 1],
        &[1, 0x40, 204, 2, 1, b'a'],
        &[1, 0x40, 204, 3, 1, b'a', 9],
    ] {
        assert_eq!(in_steps(bytes, parse_response_head).unwrap_err(), BadMessage::Truncated, "{bytes:?}");
    }
}

#[test]
fn what_is_absurd_is_refused_without_room_for_it() {
    // Lengths of 2^62 - 1 for a method and a field section.
    assert_eq!(
        parse_request_head(&Bytes::from([&[0][..], &[0xff; 8]].concat()), usize::MAX),
        Err(BadMessage::TooLarge)
    );
    assert_eq!(
        parse_response_head(&Bytes::from([&[1, 0x40, 200][..], &[0xff; 8]].concat()), 100),
        Err(BadMessage::TooLarge)
    );
    for indicator in [0u8, 2, 3, 63] {
        assert_eq!(
            parse_response_head(&Bytes::from(vec![indicator, 0x40, 200, 0]), 4),
            Err(BadMessage::Framing)
        );
    }
}
