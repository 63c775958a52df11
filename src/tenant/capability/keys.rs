//! Root keys: secrets, and the ring of those that are in force.
//!
//! Rotation: a new key is put first, and mints from then on; the old one stays behind it until its tokens are over, and
//! is then taken away, which ends every token that was made with it. What is kept in memory is wiped when it goes.

use std::fmt;

use zeroize::Zeroizing;

use super::identifier::is_name;
use super::macaroon::{Signature, root};

/// Keys in a ring.
pub const MAX_KEYS: usize = 16;

/// Bytes below which a secret could be guessed.
const MIN_SECRET: usize = 32;
/// Bytes of a secret's file: more is some other file.
const MAX_SECRET: usize = 1024;

/// What a key's file holds: at least 32 bytes, as 64 or more hex digits (white space around them does not count), or
/// as they are. A file of hex digits alone is always read as hex.
pub struct Secret(Zeroizing<[u8; 32]>);

/// Why a file holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Below 32 bytes.
    #[error("holds less than 32 bytes, write at least 64 hex digits or 32 raw bytes")]
    Short,
    /// Over 1 KiB.
    #[error("holds more than 1024 bytes, which is no key")]
    Long,
    /// Hex digits, one too few or too many.
    #[error("holds an odd number of hex digits, one is missing")]
    Odd,
    /// The same byte over and over: a file that was made and never filled.
    #[error("holds one byte over and over, which is no key")]
    Constant,
}

impl Secret {
    /// Bytes to read of a file at most: one more than a secret may have.
    pub const MOST: usize = MAX_SECRET + 1;

    /// Reads what a key's file holds.
    ///
    /// # Errors
    /// Too little or too much, or what cannot be a key.
    pub fn parse(content: &[u8]) -> Result<Self, BadSecret> {
        if content.len() > MAX_SECRET {
            return Err(BadSecret::Long);
        }
        let digits = content.trim_ascii();
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Self::new(content);
        }
        if digits.len() % 2 == 1 {
            return Err(BadSecret::Odd);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
        for pair in digits.chunks_exact(2) {
            let &[high, low] = pair else { return Err(BadSecret::Odd) };
            bytes.push(nibble(high) << 4 | nibble(low));
        }
        Self::new(&bytes)
    }

    fn new(bytes: &[u8]) -> Result<Self, BadSecret> {
        match bytes {
            _ if bytes.len() < MIN_SECRET => Err(BadSecret::Short),
            [first, rest @ ..] if rest.iter().all(|b| b == first) => Err(BadSecret::Constant),
            _ => Ok(Self(Zeroizing::new(root(bytes)))),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The value of a hex digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => digit & 0x0f,
    }
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// A root key and its name.
pub struct Key {
    id: Box<str>,
    root: Zeroizing<Signature>,
}

impl Key {
    /// A key of this id.
    ///
    /// # Errors
    /// The id is no name.
    pub fn new(id: &str, secret: Secret) -> Result<Self, BadKeys> {
        if is_name(id) { Ok(Self { id: id.into(), root: secret.0 }) } else { Err(BadKeys::Id) }
    }

    /// What identifiers call it.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn root(&self) -> &Signature {
        &self.root
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys in force: the first mints, all verify.
#[derive(Debug, Default)]
pub struct Keys(Vec<Key>);

/// Why keys make no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// An id that is no name.
    #[error("a key's id is 1 to 64 of a-z, 0-9, _ and -")]
    Id,
    /// Two keys of one id.
    #[error("two keys have the same id")]
    Twice,
    /// More than [`MAX_KEYS`].
    #[error("there are more than {MAX_KEYS} keys")]
    TooMany,
}

impl Keys {
    /// A ring of these keys, in this order.
    ///
    /// # Errors
    /// Two of the same id, or more than [`MAX_KEYS`].
    pub fn new(keys: Vec<Key>) -> Result<Self, BadKeys> {
        let is_twice = |(n, key): (usize, &Key)| keys.iter().take(n).any(|other| other.id == key.id);
        match () {
            () if keys.len() > MAX_KEYS => Err(BadKeys::TooMany),
            () if keys.iter().enumerate().any(is_twice) => Err(BadKeys::Twice),
            () => Ok(Self(keys)),
        }
    }

    /// Whether there are none: then no token can be verified, and a bearer token is no evidence.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that mints.
    pub fn first(&self) -> Option<&Key> {
        self.0.first()
    }

    /// The key of this id.
    pub fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| &*key.id == id)
    }
}
