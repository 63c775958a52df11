//! Content-addressed objects (http.md §3): addresses, and digests of what streams by.
//!
//! An object is named by the BLAKE3 of its bytes: `b3:` and 64 lower-case hexadecimal digits. Nothing here stores or
//! moves anything.

use std::fmt;

/// Before the digits of an address.
const SCHEME: &str = "b3:";
/// Before an address in a path.
const PREFIX: &str = "/o/";

/// The name of an object: the BLAKE3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(blake3::Hash);

/// Text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object's address is b3: and 64 lower-case hexadecimal digits")]
pub struct BadAddress;

/// Bytes that are not what their address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not what their address says")]
pub struct Mismatch;

impl Address {
    /// The address of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// As an entity tag, quotes included (http.md §3).
    pub fn etag(&self) -> String {
        format!("\"{self}\"")
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let hex = text.strip_prefix(SCHEME).ok_or(BadAddress)?;
        let lower = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex.len() != 64 || !lower {
            return Err(BadAddress);
        }
        blake3::Hash::from_hex(hex).map(Self).map_err(|_| BadAddress)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.0.to_hex())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The address that a path `/o/{addr}` names; `None` for every other path.
pub fn address_of_path(path: &str) -> Option<Result<Address, BadAddress>> {
    path.strip_prefix(PREFIX).map(str::parse)
}

/// The address in the answer to an upload, `{"addr":"b3:…","size":n}`; `None` when it is no such answer.
pub fn address_of_answer(body: &[u8]) -> Option<Address> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    answer.get("addr")?.as_str()?.parse().ok()
}

/// Hashes an upload as it streams by.
#[derive(Clone, Debug, Default)]
pub struct Upload(blake3::Hasher);

impl Upload {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hashes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        let _ = self.0.update(piece);
    }

    /// The address of what was hashed so far.
    pub fn address(&self) -> Address {
        Address(self.0.finalize())
    }
}

/// Holds a download against its address as it streams by.
#[derive(Clone, Debug)]
pub struct Download {
    expected: Address,
    hash: Upload,
}

impl Download {
    /// Nothing hashed yet.
    pub fn new(expected: Address) -> Self {
        Self { expected, hash: Upload::new() }
    }

    /// Hashes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
    }

    /// The verdict over the whole.
    ///
    /// # Errors
    /// [`Mismatch`], in constant time (a property of `blake3::Hash`).
    pub fn finish(&self) -> Result<(), Mismatch> {
        if self.hash.address() == self.expected { Ok(()) } else { Err(Mismatch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back() {
        let address = Address::of(b"hello");
        let text = address.to_string();
        // The BLAKE3 of "hello", as b3sum prints it.
        assert_eq!(text, "b3:ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f");
        assert_eq!(text.parse(), Ok(address));
        assert_eq!(address_of_path(&format!("/o/{text}")), Some(Ok(address)));
        assert_eq!(address.etag(), format!("\"{text}\""));
    }

    #[test]
    fn nothing_else_is_an_address() {
        let good = Address::of(b"x").to_string();
        for bad in [
            "",
            "b3:",
            &good.to_uppercase(),
            &good[3..],
            &format!("{good}0"),
            &good[..66],
            &format!("{good}/x"),
        ] {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress), "{bad}");
        }
        assert_eq!(address_of_path("/p/x"), None);
    }

    #[test]
    fn a_digest_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for size in [1_000, 1_023, 64 * 1024, bytes.len()] {
            let mut upload = Upload::new();
            let mut download = Download::new(Address::of(&bytes));
            for piece in bytes.chunks(size) {
                upload.update(piece);
                download.update(piece);
            }
            assert_eq!(upload.address(), Address::of(&bytes));
            assert_eq!(download.finish(), Ok(()));
        }
    }

    #[test]
    fn the_answer_to_an_upload_names_its_object() {
        let address = Address::of(b"hello");
        assert_eq!(
            address_of_answer(format!(r#"{{"addr":"{address}","size":5}}"#).as_bytes()),
            Some(address)
        );
        for other in ["", "{}", r#"{"addr":5}"#, r#"{"addr":"b3:00"}"#] {
            assert_eq!(address_of_answer(other.as_bytes()), None);
        }
    }
}
