//! A request head, line by line as lines become whole.

use std::time::Instant;

use super::field::{self, Said};
use super::lines::{Line, Lines};
use super::{Breach, Fault, Framing, Head, Policy};

/// Longest method. IANA's longest has 17 letters.
const MAX_METHOD: usize = 32;
/// What a request line has beside its target, at most: a method, two spaces, a version, CR; and some more.
const MAX_BESIDE_TARGET: usize = 64;

/// A head of which some lines have been read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// When the first byte of the head was seen; an empty line before it is not of it.
    since: Option<Instant>,
    lines: Lines,
    empty_line: bool,
    version: Option<Version>,
    fields: u32,
    said: Said,
    /// That of a target in absolute form.
    authority: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Reader {
    /// When the head began.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Bytes that have been looked at.
    pub(super) fn seen(&self) -> usize {
        self.lines.seen()
    }

    /// Reads the lines that have become whole; the head when all have.
    pub(super) fn read(
        &mut self,
        held: &[u8],
        policy: &Policy,
        now: Instant,
    ) -> Result<Option<Head>, Breach> {
        loop {
            let line = self.lines.next(held);
            if self.version.is_none() {
                self.begin(&line, now)?;
            }
            self.check_size(&line, policy)?;
            let Some(content) = line.content()? else { return Ok(None) };
            match (self.version, content) {
                (None, []) => self.skip_empty_line()?,
                (None, content) => {
                    let (version, target) = request_line(content, policy)?;
                    self.version = Some(version);
                    self.authority = authority_of(target).map(Box::from);
                }
                (Some(version), []) => return self.finish(version, line.end(), now).map(Some),
                (Some(_), content) => {
                    field::count(&mut self.fields, policy)?;
                    let (name, value) = field::split(content)?;
                    self.said.add(name, value)?;
                    self.check_authority(name, value)?;
                }
            }
        }
    }

    /// The first byte starts the clock; when it begins no method, nothing more need be waited for.
    fn begin(&mut self, line: &Line<'_>, now: Instant) -> Result<(), Fault> {
        match line.bytes() {
            [] | [b'\r'] => {}
            [b'\r', ..] => return Err(Fault::NotHttp),
            [first, ..] if !field::is_token_byte(*first) => return Err(Fault::NotHttp),
            _ => self.since = self.since.or(Some(now)),
        }
        Ok(())
    }

    // RFC 9112 §2.2: at least one empty line before the request line is ignored; here, one.
    fn skip_empty_line(&mut self) -> Result<(), Fault> {
        if std::mem::replace(&mut self.empty_line, true) { Err(Fault::EmptyLines) } else { Ok(()) }
    }

    // http.md §7: heads 64 KiB, 8 KiB of URI. Judged on a line that is not whole just as when it is, and of two bounds the
    // one that is passed first counts: so the verdict is the same however the bytes are cut.
    fn check_size(&self, line: &Line<'_>, policy: &Policy) -> Result<(), Breach> {
        let most = policy.uri.saturating_add(MAX_BESIDE_TARGET);
        let before = if self.empty_line { 2 } else { 0 };
        let is_long_line =
            self.version.is_none() && line.bytes().len() > most && most.saturating_add(before) <= policy.head;
        if is_long_line {
            let has_method = line.bytes().iter().take(MAX_METHOD + 1).any(|byte| *byte == b' ');
            return Err(if has_method { Breach::Uri } else { Fault::Method.into() });
        }
        check_bytes(line, policy)
    }

    // RFC 9112 §3.2.2: it is what a proxy goes by. One that differs from the host is meant to be read in two ways.
    fn check_authority(&self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        match &self.authority {
            Some(authority)
                if name.eq_ignore_ascii_case(b"host") && !authority.eq_ignore_ascii_case(value) =>
            {
                Err(Fault::OtherHost)
            }
            _ => Ok(()),
        }
    }

    fn finish(&self, version: Version, len: usize, now: Instant) -> Result<Head, Breach> {
        let said = &self.said;
        if !said.host {
            return Err(Fault::NoHost.into());
        }
        let body = match (said.chunked, said.length) {
            // http.md §1, refused as `malformed`: TE with CL.
            (true, Some(_)) => return Err(Fault::TwoFramings.into()),
            (true, None) if version == Version::Http10 => return Err(Fault::OldTransferEncoding.into()),
            (true, None) => Framing::Chunked,
            (false, None | Some(0)) => Framing::None,
            (false, Some(bytes)) => Framing::Length(bytes),
        };
        // RFC 9110 §10.1.1: an expectation of an HTTP/1.0 client is ignored, and so is one without a body.
        let expects_continue = said.expects_continue && version == Version::Http11 && body != Framing::None;
        Ok(Head { len, body, expects_continue, began: self.since.unwrap_or(now) })
    }
}

/// Bytes of a head or trailer section up to this line.
pub(super) fn check_bytes(line: &Line<'_>, policy: &Policy) -> Result<(), Breach> {
    if line.end() > policy.head { Err(Breach::HeadBytes) } else { Ok(()) }
}

// RFC 9112 §3: method SP request-target SP HTTP-version, one space each.
fn request_line<'a>(line: &'a [u8], policy: &Policy) -> Result<(Version, &'a [u8]), Breach> {
    let (method, rest) = split_at_space(line).ok_or(Fault::RequestLine)?;
    if method.len() > MAX_METHOD || !field::is_token(method) {
        return Err(Fault::Method.into());
    }
    let (target, version) = split_at_space(rest).ok_or(Fault::RequestLine)?;
    if target.len() > policy.uri {
        return Err(Breach::Uri);
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        other if other.starts_with(b"HTTP/") => return Err(Fault::Version.into()),
        _ => return Err(Fault::RequestLine.into()),
    };
    if method == b"CONNECT" {
        return Err(Breach::Connect);
    }
    if !is_target(method, target) {
        return Err(Fault::Target.into());
    }
    Ok((version, target))
}

fn split_at_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    Some((before, after.split_first()?.1))
}

/// Origin form, absolute form, or `*` of OPTIONS (RFC 9112 §3.2), in visible ASCII without a fragment, and without what the
/// parser behind takes for no URI.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    let visible = target
        .iter()
        .fold(true, |all, byte| all & (*byte > b' ' && *byte < 0x7f && !matches!(*byte, b'#' | b'<' | b'>')));
    // What differs between its two parts.
    let (path, query) = target.split_at(memchr::memchr(b'?', target).unwrap_or(target.len()));
    visible
        && memchr::memchr(b'`', path).is_none()
        && memchr::memchr(b'"', query).is_none()
        && match target {
            [b'/', ..] => true,
            b"*" => method == b"OPTIONS",
            absolute => has_scheme(absolute),
        }
}

/// `http://` or `https://`, and something behind it. Whose authority it names is for the route to say.
fn has_scheme(target: &[u8]) -> bool {
    [&b"http://"[..], b"https://"].iter().any(|scheme| {
        let named = target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        named && target.get(scheme.len()).is_some_and(|first| !matches!(first, b'/' | b'?'))
    })
}

/// Of a target in absolute form.
fn authority_of(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return None;
    }
    let rest = target.get(memchr::memmem::find(target, b"://")?.checked_add(3)?..)?;
    rest.split(|byte| matches!(byte, b'/' | b'?')).next()
}
