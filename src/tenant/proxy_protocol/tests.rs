//! Headers of both versions, whole, cut, wrong and arbitrary.

use proptest::prelude::*;

use super::*;

fn client(text: &str) -> Source {
    Source::Client(text.parse().unwrap())
}

/// A header of version 2.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [v2::SIGNATURE, &[command, family], &length.to_be_bytes(), body].concat()
}

const V4: &[u8] = &[192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0, 80];

fn v6() -> Vec<u8> {
    let ip = "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets();
    [&ip[..], &[0; 16], &[0x12, 0x67, 0, 80]].concat()
}

fn right() -> Vec<(Vec<u8>, Source)> {
    let longest = "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535";
    let line = |text: &str| format!("{text}\r\n").into_bytes();
    let with_tlv = [V4, &[0x04, 0, 1, 0]].concat();
    let largest = [&v6()[..], &[4; 484]].concat();
    vec![
        (line("PROXY TCP4 192.0.2.7 10.0.0.1 4711 80"), client("192.0.2.7:4711")),
        (line("PROXY TCP4 192.0.2.7 10.0.0.1 0 65535"), client("192.0.2.7:0")),
        (line("PROXY TCP6 2001:db8::7 ::1 4711 80"), client("[2001:db8::7]:4711")),
        (line("PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 80"), client("[::ffff:192.0.2.7]:4711")),
        (line("PROXY UNKNOWN"), Source::Unknown),
        (line(longest), Source::Unknown),
        (line(&format!("PROXY UNKNOWN{}", " ".repeat(92))), Source::Unknown),
        (v2(0x21, 0x11, V4), client("192.0.2.7:4711")),
        (v2(0x21, 0x11, &with_tlv), client("192.0.2.7:4711")),
        (v2(0x21, 0x21, &v6()), client("[2001:db8::7]:4711")),
        (v2(0x21, 0x21, &largest), client("[2001:db8::7]:4711")),
        (v2(0x20, 0x00, &[]), Source::Local),
        (v2(0x20, 0x11, &[]), Source::Local),
        (v2(0x20, 0x11, V4), Source::Local),
        (v2(0x21, 0x00, &[]), Source::Unknown),
        (v2(0x21, 0x00, &[1, 2, 3]), Source::Unknown),
        (v2(0x21, 0x12, V4), Source::Unknown),
        (v2(0x21, 0x31, &[b'x'; 216]), Source::Unknown),
    ]
}

#[test]
fn a_header_arrives_whole_however_it_is_cut() {
    for (header, source) in right() {
        let stream = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
        for cut in 0..header.len() {
            let Ok(Progress::Needs(more)) = parse(&stream[..cut]) else {
                panic!("{cut} of {header:?}: {:?}", parse(&stream[..cut]))
            };
            assert!(more > cut && more <= header.len(), "{more} after {cut} of {}", header.len());
        }
        for cut in header.len()..stream.len() {
            let whole = Progress::Complete { source, consumed: header.len() };
            assert_eq!(parse(&stream[..cut]), Ok(whole), "{}", String::from_utf8_lossy(&header));
        }
    }
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_that_can_be_known() {
    let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
    let long = format!("PROXY UNKNOWN{}", " ".repeat(94)).into_bytes();
    assert_eq!(long.len(), LONGEST_V1);
    for (bytes, why) in [
        (b"G".to_vec(), BadHeader::Signature),
        (b"PROXX".to_vec(), BadHeader::Signature),
        (b"\r\n\r\n\r".to_vec(), BadHeader::Signature),
        (b"proxy TCP4".to_vec(), BadHeader::Signature),
        (long, BadHeader::LineTooLong),
        (line(&format!("UNKNOWN{}", " ".repeat(93))), BadHeader::LineTooLong),
        (b"PROXY UNKNOWN\n".to_vec(), BadHeader::Line),
        (b"PROXY \n".to_vec(), BadHeader::Line),
        (b"PROXY \xff\r\n".to_vec(), BadHeader::Line),
        (line("TCP5 192.0.2.7 10.0.0.1 1 2"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 1"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 1 2 3"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 1 2 "), BadHeader::Line),
        (line("TCP4  192.0.2.7 10.0.0.1 1 2"), BadHeader::Line),
        (line("TCP4 192.0.2.07 10.0.0.1 1 2"), BadHeader::Line),
        (line("TCP4 ::1 ::1 1 2"), BadHeader::Line),
        (line("TCP6 192.0.2.7 10.0.0.1 1 2"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 01 2"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 +1 2"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 65536 2"), BadHeader::Line),
        (line("TCP4 192.0.2.7 10.0.0.1 1 "), BadHeader::Line),
        (v2(0x11, 0x11, V4), BadHeader::Command),
        (v2(0x22, 0x11, V4), BadHeader::Command),
        (v2(0x21, 0x13, V4), BadHeader::Family),
        (v2(0x21, 0x41, V4), BadHeader::Family),
        (v2(0x21, 0x11, &V4[..11]), BadHeader::TooShort),
        (v2(0x21, 0x21, V4), BadHeader::TooShort),
        (v2(0x21, 0x31, V4), BadHeader::TooShort),
        (v2(0x21, 0x11, &[0; LONGEST_V2 - 15]), BadHeader::TooLong),
        (v2(0x20, 0x00, &[0; 65535])[..16].to_vec(), BadHeader::TooLong),
    ] {
        assert_eq!(parse(&bytes), Err(why), "{}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #[test]
    fn no_bytes_whatever_go_past_the_bounds(
        bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0_usize..3,
    ) {
        let start = [&b""[..], v1::SIGNATURE, v2::SIGNATURE][start];
        let bytes = [start, &bytes].concat();
        match parse(&bytes) {
            Ok(Progress::Needs(more)) => prop_assert!(more > bytes.len() && more <= LONGEST_V2),
            Ok(Progress::Complete { consumed, .. }) => {
                prop_assert!(consumed <= bytes.len() && consumed <= LONGEST_V2);
            }
            Err(_) => {}
        }
    }

    #[test]
    fn every_client_is_understood_in_both_versions(v6: bool, ip: u128, port: u16, tlvs in 0_usize..100) {
        let (line, binary) = if v6 {
            let ip = std::net::Ipv6Addr::from_bits(ip);
            let body = [&ip.octets()[..], &[9; 16], &port.to_be_bytes(), &[0; 2]].concat();
            (format!("PROXY TCP6 {ip} ::1 {port} 80\r\n"), v2(0x21, 0x21, &[body, vec![0; tlvs]].concat()))
        } else {
            let ip = std::net::Ipv4Addr::from_bits(ip as u32);
            let body = [&ip.octets()[..], &[9; 4], &port.to_be_bytes(), &[0; 2]].concat();
            (format!("PROXY TCP4 {ip} 127.0.0.1 {port} 80\r\n"), v2(0x21, 0x11, &[body, vec![0; tlvs]].concat()))
        };
        for header in [line.into_bytes(), binary] {
            let Ok(Progress::Complete { source: Source::Client(client), consumed }) = parse(&header) else {
                panic!("{:?}", parse(&header))
            };
            prop_assert_eq!((client.is_ipv6(), client.port(), consumed), (v6, port, header.len()));
        }
    }
}
