//! Lines of what is held, each byte looked at once however often it is shown.

use super::Fault;

/// Where the line that is being read begins, and how far it is known to have no end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    start: usize,
    seen: usize,
}

/// A line, or as much of it as there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'h> {
    /// Without the LF.
    bytes: &'h [u8],
    /// Offset of the first byte behind it.
    end: usize,
    whole: bool,
}

impl Lines {
    /// The next line of `held`; the same line again while it is not whole.
    pub(super) fn next<'h>(&mut self, held: &'h [u8]) -> Line<'h> {
        let unseen = held.get(self.seen..).unwrap_or_default();
        let found = memchr::memchr(b'\n', unseen);
        let (last, end) = match found {
            Some(at) => (self.seen.saturating_add(at), self.seen.saturating_add(at).saturating_add(1)),
            None => (held.len(), held.len()),
        };
        let bytes = held.get(self.start..last).unwrap_or_default();
        self.seen = end;
        if found.is_some() {
            self.start = end;
        }
        Line { bytes, end, whole: found.is_some() }
    }

    /// Bytes that have been looked at, of all lines.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }
}

impl<'h> Line<'h> {
    /// What there is of the line, with its CR and without its LF.
    pub(super) fn bytes(&self) -> &'h [u8] {
        self.bytes
    }

    /// Bytes from the beginning of all to the end of this line, or of what there is of it.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The line without its CRLF; `None` while it is not whole.
    pub(super) fn content(&self) -> Result<Option<&'h [u8]>, Fault> {
        if !self.whole {
            return Ok(None);
        }
        // http.md §1, refused as `malformed`: bare LF.
        self.bytes.strip_suffix(b"\r").map(Some).ok_or(Fault::BareLf)
    }
}
