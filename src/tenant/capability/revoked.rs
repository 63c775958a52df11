//! The list of identifiers that hold no more.
//!
//! A text: one identifier a line, blank lines and what follows a `#` do not count. An attenuation has the identifier of
//! what it was made from, so a line ends all of them.

use std::collections::HashSet;

use super::{Identifier, IdentifierHash};

/// Identifiers on a list: about 8 MiB of memory. Those whose tokens are over by themselves can be taken off, and all of
/// one key are better revoked by taking the key away.
pub const MAX_REVOKED: usize = 100_000;

/// Revoked identifiers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(HashSet<IdentifierHash>);

/// A line that is no identifier. A list with one is refused whole: the revocation that it was meant to be would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// Something else.
    #[error(
        "line {0} is no identifier, write one such as v1:k1:0123456789abcdef0123456789abcdef (`token inspect` shows it)"
    )]
    NotAnIdentifier(usize),
    /// One more than [`MAX_REVOKED`].
    #[error("line {0} is one too many, a list holds {MAX_REVOKED} identifiers: take off what has expired")]
    TooMany(usize),
}

impl Revoked {
    /// Bytes of a list's file at most.
    pub const MOST: u64 = 32 << 20;

    /// Reads a list.
    ///
    /// # Errors
    /// The first line that is neither an identifier, blank, nor a comment.
    pub fn parse(text: &[u8]) -> Result<Self, BadLine> {
        let mut all = HashSet::new();
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            let number = index.saturating_add(1);
            let entry = line.split(|b| *b == b'#').next().unwrap_or_default().trim_ascii();
            if entry.is_empty() {
                continue;
            }
            let identifier = Identifier::parse(entry).ok_or(BadLine::NotAnIdentifier(number))?;
            all.insert(identifier.hash());
            if all.len() > MAX_REVOKED {
                return Err(BadLine::TooMany(number));
            }
        }
        Ok(Self(all))
    }

    /// Whether this identifier holds no more.
    pub fn contains(&self, identifier: &IdentifierHash) -> bool {
        self.0.contains(identifier)
    }

    /// Whether all that is on `other` is on this one too.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.is_subset(&self.0)
    }

    /// What is on either list; `None` if that is more than twice [`MAX_REVOKED`].
    #[must_use]
    pub fn and(&self, other: &Self) -> Option<Self> {
        let both: HashSet<_> = self.0.union(&other.0).take(2 * MAX_REVOKED + 1).copied().collect();
        (both.len() <= 2 * MAX_REVOKED).then_some(Self(both))
    }

    /// How many are on the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
