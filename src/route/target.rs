//! What a request names: its path and its authority, checked before anybody matches, authorises or forwards by them.
//!
//! The checks refuse what two parsers could read differently (http.md §1). They change nothing: what was checked is
//! what is matched and what crosses. The query is nobody's business here and crosses as it came.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// What an encoded slash (`%2F`) in a path does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EncodedSlash {
    /// The request is malformed.
    #[default]
    Reject,
    /// It crosses as it came. It still separates segments where dot segments are looked for.
    Allow,
}

/// Why a path is refused: 400 `malformed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadPath {
    /// It does not begin with `/`. (`*`, which OPTIONS may have, is no path: the caller knows it.)
    #[error("the path does not begin with /")]
    NotAbsolute,
    /// A control character, a space, something that is not ASCII, or a `?` or `#`, which end a path.
    #[error("the path has a character that no path has")]
    BadCharacter,
    /// `%` without two hexadecimal digits.
    #[error("the path has a % without two hexadecimal digits")]
    BadEscape,
    /// `\` or `%5C`, which some services read as `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// `%00`, which ends a path for some services.
    #[error("the path has a NUL")]
    Nul,
    /// `%2F`, and the route does not allow it.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// A segment that is `.` or `..`, dots written `%2E` included.
    #[error("the path has a dot segment")]
    DotSegment,
}

/// Checks a path without its query.
///
/// Every escape is decoded once, as a service would; a path that would have to be decoded twice to become harmful
/// (`%252e`) is what it says it is.
///
/// # Errors
/// The first fault from the left.
pub fn check_path(path: impl AsRef<[u8]>, encoded_slash: EncodedSlash) -> Result<(), BadPath> {
    let path = path.as_ref();
    if path.first() != Some(&b'/') {
        return Err(BadPath::NotAbsolute);
    }
    // Octets of the segment that have been seen, and whether they are dots all.
    let (mut length, mut dots) = (0_usize, true);
    let mut rest = path;
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        let (octet, escaped) = match octet {
            b'%' => {
                let (decoded, after) = unescape(after).ok_or(BadPath::BadEscape)?;
                rest = after;
                (decoded, true)
            }
            octet => (*octet, false),
        };
        match octet {
            b'\\' => return Err(BadPath::Backslash),
            0 => return Err(BadPath::Nul),
            b'/' if escaped && encoded_slash == EncodedSlash::Reject => return Err(BadPath::EncodedSlash),
            b'/' => {
                check_segment(length, dots)?;
                (length, dots) = (0, true);
                continue;
            }
            b'?' | b'#' if !escaped => return Err(BadPath::BadCharacter),
            octet if !escaped && !octet.is_ascii_graphic() => return Err(BadPath::BadCharacter),
            octet => dots &= octet == b'.',
        }
        length = length.saturating_add(1);
    }
    check_segment(length, dots)
}

fn check_segment(length: usize, dots: bool) -> Result<(), BadPath> {
    if dots && (length == 1 || length == 2) { Err(BadPath::DotSegment) } else { Ok(()) }
}

/// What the two digits after a `%` stand for, and what follows them.
fn unescape(digits: &[u8]) -> Option<(u8, &[u8])> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let ([high, low], rest) = digits.split_first_chunk::<2>()?;
    Some((value(*high)? << 4 | value(*low)?, rest))
}

/// Why an authority is refused: 400 `malformed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BadAuthority {
    /// There is no host in it.
    #[error("the host is empty")]
    Empty,
    /// Longer than a DNS name and a port may be.
    #[error("the host is too long")]
    TooLong,
    /// An octet that no host name has; `@` and what stands before it are no part of a host.
    #[error("the host has a character that no host has")]
    BadCharacter,
    /// `[` without an IPv6 address and `]`.
    #[error("the host is no IPv6 address in brackets")]
    BadIpv6,
    /// What follows the host is no port, 0 to 65535 (or nothing after `:`).
    #[error("the port is no port")]
    BadPort,
}

/// Longest host: 253 octets of DNS, and a final dot.
const MAX_HOST: usize = 254;

/// Checks what a `host` field, an `:authority` or an absolute target says: `uri-host [":" port]` of RFC 9110 §7.2,
/// without user information.
///
/// # Errors
/// It is none.
pub fn check_authority(authority: &[u8]) -> Result<(), BadAuthority> {
    let (host, port) = match authority {
        [b'[', inside @ ..] => {
            let end = inside.iter().position(|b| *b == b']').ok_or(BadAuthority::BadIpv6)?;
            let (address, rest) = inside.split_at_checked(end).ok_or(BadAuthority::BadIpv6)?;
            let address = std::str::from_utf8(address).map_err(|_| BadAuthority::BadIpv6)?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err(BadAuthority::BadIpv6);
            }
            (None, rest.strip_prefix(b"]").unwrap_or(rest))
        }
        name => {
            let end = name.iter().position(|b| *b == b':').unwrap_or(name.len());
            let (host, port) = name.split_at_checked(end).ok_or(BadAuthority::Empty)?;
            (Some(host), port)
        }
    };
    if let Some(host) = host {
        check_name(host)?;
    }
    match port {
        [] | [b':'] => Ok(()),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            let port = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u16>().ok());
            port.map(drop).ok_or(BadAuthority::BadPort)
        }
        _ => Err(BadAuthority::BadPort),
    }
}

/// RFC 3986 §3.2.2: a reg-name, which an IPv4 address is too.
fn check_name(host: &[u8]) -> Result<(), BadAuthority> {
    if host.is_empty() {
        return Err(BadAuthority::Empty);
    }
    if host.len() > MAX_HOST {
        return Err(BadAuthority::TooLong);
    }
    let mut rest = host;
    while let Some((octet, after)) = rest.split_first() {
        rest = match octet {
            b'%' => unescape(after).ok_or(BadAuthority::BadCharacter)?.1,
            octet if octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(octet) => after,
            _ => return Err(BadAuthority::BadCharacter),
        };
    }
    Ok(())
}

/// The host of an authority that has been checked, without its port; an IPv6 address keeps its brackets.
pub fn name_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// `path` (with or without a query) with `prefix` taken off, in whole segments: `/x` off `/x/y?q` is `/y?q`, off `/x`
/// is `/`. `None`: the path does not begin with it.
pub fn strip_prefix<'p>(path: &'p str, prefix: &str) -> Option<Cow<'p, str>> {
    let rest = path.strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix))?;
    match rest.as_bytes().first() {
        Some(b'/') => Some(Cow::Borrowed(rest)),
        // A prefix with a final slash takes what is below it, not itself.
        None | Some(b'?') if !prefix.ends_with('/') => Some(Cow::Owned(["/", rest].concat())),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_two_parsers_could_read_differently_is_refused() {
        for (path, want) in [
            ("", BadPath::NotAbsolute),
            ("*", BadPath::NotAbsolute),
            ("x/y", BadPath::NotAbsolute),
            ("http://h/x", BadPath::NotAbsolute),
            ("/.", BadPath::DotSegment),
            ("/..", BadPath::DotSegment),
            ("/a/./b", BadPath::DotSegment),
            ("/a/../b", BadPath::DotSegment),
            ("/a/..", BadPath::DotSegment),
            ("/%2e", BadPath::DotSegment),
            ("/a/%2E%2e/b", BadPath::DotSegment),
            ("/a/.%2e", BadPath::DotSegment),
            ("/a/%2e./b", BadPath::DotSegment),
            ("/a%2fb", BadPath::EncodedSlash),
            ("/a%2F", BadPath::EncodedSlash),
            ("/a\\b", BadPath::Backslash),
            ("/a%5cb", BadPath::Backslash),
            ("/a%00", BadPath::Nul),
            ("/a\0", BadPath::Nul),
            ("/a%", BadPath::BadEscape),
            ("/a%2", BadPath::BadEscape),
            ("/a%zz", BadPath::BadEscape),
            ("/a%+1", BadPath::BadEscape),
            ("/a%2%65", BadPath::BadEscape),
            ("/a b", BadPath::BadCharacter),
            ("/a\tb", BadPath::BadCharacter),
            ("/a\r\n", BadPath::BadCharacter),
            ("/a\x7f", BadPath::BadCharacter),
            ("/ä", BadPath::BadCharacter),
            ("/a?b", BadPath::BadCharacter),
            ("/a#b", BadPath::BadCharacter),
        ] {
            assert_eq!(check_path(path, EncodedSlash::Reject), Err(want), "{path:?}");
        }
    }

    #[test]
    fn an_honest_path_passes() {
        for path in [
            "/",
            "//",
            "/a/b/",
            "/...",
            "/a..b/.c/d.",
            "/..a/%2e%2e%2e",
            "/%252e%252e/%2500",
            "/a%20b/%C3%A4",
            "/a:b@c;d=e,f+g!h$i&j'k(l)m*n~o-p_q",
            "/a|b{c}\"<>^`[]",
            "/o/b3:0000",
        ] {
            assert_eq!(check_path(path, EncodedSlash::Reject), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn an_encoded_slash_that_is_allowed_hides_no_dot_segment() {
        let check = |path: &str| check_path(path, EncodedSlash::Allow);
        assert_eq!(check("/a%2fb%2F"), Ok(()));
        for path in ["/a%2f..%2fb", "/a%2f..", "/..%2fa", "/%2e%2e%2fa", "/a/%2f."] {
            assert_eq!(check(path), Err(BadPath::DotSegment), "{path}");
        }
        assert_eq!(check("/a%5cb"), Err(BadPath::Backslash));
    }

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let long = "a".repeat(MAX_HOST);
        for right in [
            "a",
            "a.example",
            "A.example.",
            "a.example:80",
            "a.example:",
            "10.0.0.1:65535",
            "[::1]",
            "[::1]:80",
            "[::ffff:10.0.0.1]:",
            "a_b-c~d",
            "x%41y",
            &long,
        ] {
            assert_eq!(check_authority(right.as_bytes()), Ok(()), "{right}");
        }
        for (wrong, want) in [
            ("", BadAuthority::Empty),
            (":80", BadAuthority::Empty),
            ("u@a", BadAuthority::BadCharacter),
            ("a b", BadAuthority::BadCharacter),
            ("a/b", BadAuthority::BadCharacter),
            ("a\\b", BadAuthority::BadCharacter),
            ("a?b", BadAuthority::BadCharacter),
            ("a\0", BadAuthority::BadCharacter),
            ("ä", BadAuthority::BadCharacter),
            ("x%4", BadAuthority::BadCharacter),
            ("a]", BadAuthority::BadCharacter),
            ("u:p@a", BadAuthority::BadPort),
            ("a:b", BadAuthority::BadPort),
            ("a:65536", BadAuthority::BadPort),
            ("a:+1", BadAuthority::BadPort),
            ("a:1:2", BadAuthority::BadPort),
            ("::1", BadAuthority::Empty),
            ("[::1", BadAuthority::BadIpv6),
            ("[::1%25eth0]", BadAuthority::BadIpv6),
            ("[a]", BadAuthority::BadIpv6),
            ("[]", BadAuthority::BadIpv6),
            ("[::1]x", BadAuthority::BadPort),
            (&format!("{long}a"), BadAuthority::TooLong),
        ] {
            assert_eq!(check_authority(wrong.as_bytes()), Err(want), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_told_from_its_port() {
        for (authority, host) in [
            ("a.example", "a.example"),
            ("a.example:80", "a.example"),
            ("a.example:", "a.example"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("[fe80::1:80]", "[fe80::1:80]"),
            ("", ""),
        ] {
            assert_eq!(name_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn a_prefix_is_taken_off_in_whole_segments_and_the_query_crosses_unchanged() {
        for (path, prefix, want) in [
            ("/x/y?q=/x", "/x", Some("/y?q=/x")),
            ("/x/y", "/x/", Some("/y")),
            ("/x", "/x", Some("/")),
            ("/x?q", "/x", Some("/?q")),
            ("/x/", "/x", Some("/")),
            ("/x/", "/x/", Some("/")),
            ("/x//y", "/x", Some("//y")),
            ("/x", "/x/", None),
            ("/x?q", "/x/", None),
            ("/xy", "/x", None),
            ("/y", "/x", None),
            ("/a/b", "/", Some("/a/b")),
        ] {
            assert_eq!(strip_prefix(path, prefix).as_deref(), want, "{prefix} off {path}");
        }
    }

    /// What a service that decodes once and splits at slashes sees.
    fn decoded(path: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = path.as_bytes();
        while let Some((octet, after)) = rest.split_first() {
            let (octet, after) = if *octet == b'%' { unescape(after).unwrap() } else { (*octet, after) };
            out.push(octet);
            rest = after;
        }
        out
    }

    proptest! {
        #[test]
        fn no_path_that_passes_decodes_into_a_harmful_one(
            parts in prop::collection::vec(
                prop::sample::select(vec!["/", "%2f", ".", "%2e", "%2E", "a", "%", "5c", "%5C", "%00", "\\", "25", " "]),
                0..12,
            ),
            allow: bool,
        ) {
            let path = format!("/{}", parts.concat());
            let slash = if allow { EncodedSlash::Allow } else { EncodedSlash::Reject };
            if check_path(&path, slash).is_ok() {
                let decoded = decoded(&path);
                prop_assert!(!decoded.contains(&0) && !decoded.contains(&b'\\'));
                prop_assert!(decoded.split(|b| *b == b'/').all(|segment| segment != b"." && segment != b".."));
                let slashes = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'/').count();
                prop_assert!(allow || slashes(&decoded) == slashes(path.as_bytes()));
            }
        }

        #[test]
        fn whatever_bytes_a_client_sends_are_judged_without_a_panic(bytes: Vec<u8>) {
            let path = check_path(&bytes, EncodedSlash::Allow);
            prop_assert!(path.is_err() || bytes.iter().all(u8::is_ascii_graphic));
            let authority = check_authority(&bytes);
            prop_assert!(authority.is_err() || (bytes.is_ascii() && !bytes.contains(&b'@')));
        }
    }
}
