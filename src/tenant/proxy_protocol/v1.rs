//! Version 1: a line for people to read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{BadHeader, LONGEST_V1, Progress, Source};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

pub(super) fn parse(input: &[u8]) -> Result<Progress, BadHeader> {
    let most = input.get(..LONGEST_V1).unwrap_or(input);
    let Some(end) = memchr::memchr(b'\n', most) else {
        return if most.len() < LONGEST_V1 {
            Ok(Progress::Needs(input.len().saturating_add(1)))
        } else {
            Err(BadHeader::LineTooLong)
        };
    };
    let line = most.get(SIGNATURE.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| std::str::from_utf8(line).ok()).ok_or(BadHeader::Line)?;
    Ok(Progress::Complete { source: source(line).ok_or(BadHeader::Line)?, consumed: end + 1 })
}

/// What stands behind "PROXY ".
fn source(line: &str) -> Option<Source> {
    let mut words = line.split(' ');
    let client = match words.next()? {
        // §2.1: the receiver must ignore anything presented before the CRLF.
        "UNKNOWN" => return Some(Source::Unknown),
        "TCP4" => connection::<Ipv4Addr>(&mut words)?,
        "TCP6" => connection::<Ipv6Addr>(&mut words)?,
        _ => return None,
    };
    words.next().is_none().then_some(Source::Client(client))
}

fn connection<'l, Ip: FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'l str>,
) -> Option<SocketAddr> {
    let source: Ip = words.next()?.parse().ok()?;
    let _destination: Ip = words.next()?.parse().ok()?;
    let port = port(words.next()?)?;
    let _destination_port = self::port(words.next()?)?;
    Some(SocketAddr::new(source.into(), port))
}

/// §2.1: decimal in 0 to 65535, without leading zeroes or sign.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
