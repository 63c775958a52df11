//! The binary form and the chain of libmacaroons' "V2", as far as a gateway needs them.
//!
//! ```text
//! macaroon  = 02 [location] identifier 00 *caveat 00 signature      field = type length bytes, numbers are varints
//! caveat    = [location] identifier [vid] 00      1 location, 2 identifier, 4 vid, 6 signature (32 bytes)
//!
//! root      = HMAC-SHA-256("macaroons-key-generator" padded to 32 with 0, secret)
//! signature = HMAC(root, identifier), then for each caveat HMAC(signature, caveat),
//!             or HMAC(signature, HMAC(signature, vid) ‖ HMAC(signature, identifier)) where it has a vid
//! ```
//!
//! Stricter than the form's own document, so that a token has one spelling: numbers are the shortest, nothing follows
//! the signature, and a location, which no signature covers, stands only in a third-party caveat (which is never met
//! anyway) or is empty (pymacaroons writes it so). Nothing here knows what identifiers and caveats mean.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::MAX_CAVEATS;

/// A link of the chain.
pub(super) type Signature = [u8; 32];

const VERSION: u8 = 2;
const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VID: u8 = 4;
const SIGNATURE: u8 = 6;

/// A macaroon in its bytes: where its parts stand.
#[derive(Clone)]
pub(super) struct Macaroon {
    bytes: Box<[u8]>,
    identifier: Range<usize>,
    caveats: Vec<CaveatAt>,
    signature: Signature,
}

#[derive(Clone)]
struct CaveatAt {
    identifier: Range<usize>,
    /// A third party's caveat.
    vid: Option<Range<usize>>,
}

/// A caveat as it stands in a macaroon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw<'a> {
    FirstParty(&'a [u8]),
    ThirdParty { identifier: &'a [u8] },
}

impl Macaroon {
    /// A macaroon without caveats.
    pub(super) fn new(root: &Signature, identifier: &[u8]) -> Self {
        let mut bytes = vec![VERSION];
        put(&mut bytes, IDENTIFIER, identifier);
        let start = bytes.len().saturating_sub(identifier.len());
        let signature = mac(root, &[identifier]);
        let mut made =
            Self { bytes: Box::default(), identifier: start..bytes.len(), caveats: Vec::new(), signature };
        bytes.push(END);
        made.close(bytes);
        made
    }

    /// The same with a first-party caveat more.
    pub(super) fn append(&mut self, caveat: &[u8]) {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        bytes.truncate(bytes.len().saturating_sub(TAIL));
        put(&mut bytes, IDENTIFIER, caveat);
        let start = bytes.len().saturating_sub(caveat.len());
        self.caveats.push(CaveatAt { identifier: start..bytes.len(), vid: None });
        self.signature = mac(&self.signature, &[caveat]);
        bytes.push(END);
        self.close(bytes);
    }

    fn close(&mut self, mut bytes: Vec<u8>) {
        bytes.push(END);
        put(&mut bytes, SIGNATURE, &self.signature);
        self.bytes = bytes.into();
    }

    /// Reads one; `None` for what is none, or has more than [`MAX_CAVEATS`].
    pub(super) fn parse(bytes: Box<[u8]>) -> Option<Self> {
        let mut reader = Reader { bytes: &bytes, at: 0 };
        reader.byte(VERSION)?;
        if reader.field(LOCATION).is_some_and(|location| !location.is_empty()) {
            return None;
        }
        let identifier = reader.field(IDENTIFIER)?;
        reader.byte(END)?;
        let mut caveats = Vec::with_capacity(4);
        while reader.byte(END).is_none() {
            if caveats.len() == MAX_CAVEATS {
                return None;
            }
            caveats.push(reader.caveat()?);
        }
        let signature = bytes.get(reader.field(SIGNATURE)?)?.try_into().ok()?;
        (reader.at == bytes.len()).then_some(())?;
        Some(Self { identifier, caveats, signature, bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn identifier(&self) -> &[u8] {
        self.at(&self.identifier)
    }

    pub(super) fn caveats(&self) -> impl ExactSizeIterator<Item = Raw<'_>> {
        self.caveats.iter().map(|caveat| {
            let identifier = self.at(&caveat.identifier);
            if caveat.vid.is_some() { Raw::ThirdParty { identifier } } else { Raw::FirstParty(identifier) }
        })
    }

    /// Whether the chain from this root ends in the signature; takes as long when it does not. `on_link` is shown each
    /// caveat with the link that it ends in, which must not be believed before the answer is yes, nor shown to anybody:
    /// it signs the token up to there.
    pub(super) fn is_signed_with(
        &self,
        root: &Signature,
        mut on_link: impl FnMut(Raw<'_>, &Signature),
    ) -> bool {
        let mut link = Zeroizing::new(mac(root, &[self.identifier()]));
        for (caveat, raw) in self.caveats.iter().zip(self.caveats()) {
            let identifier = self.at(&caveat.identifier);
            *link = match &caveat.vid {
                None => mac(&link, &[identifier]),
                Some(vid) => {
                    let (vid, identifier) = (mac(&link, &[self.at(vid)]), mac(&link, &[identifier]));
                    mac(&link, &[&vid, &identifier])
                }
            };
            on_link(raw, &link);
        }
        link.ct_eq(&self.signature).into()
    }

    fn at(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// The root of the chains of a secret.
pub(super) fn root(secret: &[u8]) -> Signature {
    let mut generator = [0; 32];
    for (to, from) in generator.iter_mut().zip(b"macaroons-key-generator") {
        *to = *from;
    }
    mac(&generator, &[secret])
}

fn mac(key: &Signature, parts: &[&[u8]]) -> Signature {
    // A key of less than a block counts as filled up with zeros (RFC 2104 §2): no slice whose length could be wrong.
    let mut block = Zeroizing::new([0; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The end of the caveats and the signature: what `append` writes anew.
const TAIL: usize = 1 + 2 + size_of::<Signature>();

fn put(bytes: &mut Vec<u8>, field: u8, content: &[u8]) {
    bytes.push(field);
    let mut length = content.len();
    while length > 0x7f {
        bytes.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    bytes.push(length.to_le_bytes()[0]);
    bytes.extend_from_slice(content);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Takes this byte, or nothing.
    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.bytes.get(self.at) == Some(&byte)).then(|| self.at = self.at.saturating_add(1))
    }

    /// Takes a field of this type, or nothing.
    fn field(&mut self, field: u8) -> Option<Range<usize>> {
        let before = self.at;
        self.byte(field)?;
        let range = self.length().and_then(|length| {
            let end = self.at.checked_add(length)?;
            (end <= self.bytes.len()).then_some(self.at..end)
        });
        self.at = range.as_ref().map_or(before, |range| range.end);
        range
    }

    /// A varint in its shortest form. No token is as long as two bytes of it can say.
    fn length(&mut self) -> Option<usize> {
        let low = *self.bytes.get(self.at)?;
        if low < 0x80 {
            self.at = self.at.saturating_add(1);
            return Some(usize::from(low));
        }
        let high = *self.bytes.get(self.at.saturating_add(1))?;
        self.at = self.at.saturating_add(2);
        (1..0x80).contains(&high).then(|| usize::from(high) << 7 | usize::from(low & 0x7f))
    }

    fn caveat(&mut self) -> Option<CaveatAt> {
        let location = self.field(LOCATION);
        let identifier = self.field(IDENTIFIER)?;
        let vid = self.field(VID);
        self.byte(END)?;
        (vid.is_some() || location.is_none()).then_some(CaveatAt { identifier, vid })
    }
}
