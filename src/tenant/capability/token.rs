//! A token in the hands of who makes, narrows or looks at it: the command line's side.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::caveat::Caveat;
use super::identifier::NONCE;
use super::macaroon::{Macaroon, Raw};
use super::{Identifier, Key, MAX_CAVEATS, MAX_TOKEN, Unauthorized};

/// A token that is well-formed; only a gateway's `verify` says whether it is genuine.
#[derive(Clone)]
pub struct Token(Macaroon);

/// A token that no gateway would read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// More than [`MAX_CAVEATS`].
    #[error("a token has at most {MAX_CAVEATS} caveats")]
    Caveats,
    /// More than [`MAX_TOKEN`] characters.
    #[error("a token has at most {MAX_TOKEN} characters")]
    Characters,
}

impl Token {
    /// Makes a token; the nonce comes from a good source of randomness, and the tenant's name has been checked.
    pub fn mint(key: &Key, nonce: [u8; NONCE], tenant: Option<&str>) -> Self {
        Self(Macaroon::new(key.root(), Identifier::compose(key.id(), nonce, tenant).as_bytes()))
    }

    /// The same token, narrowed by a caveat more. Takes no key.
    ///
    /// # Errors
    /// It would be over a bound; the token stays as it was.
    pub fn attenuate(&mut self, caveat: &Caveat<'_>) -> Result<(), TooLarge> {
        if self.0.caveats().len() >= MAX_CAVEATS {
            return Err(TooLarge::Caveats);
        }
        let mut narrowed = self.0.clone();
        narrowed.append(caveat.to_string().as_bytes());
        if base64::encoded_len(narrowed.bytes().len(), false).is_none_or(|len| len > MAX_TOKEN) {
            return Err(TooLarge::Characters);
        }
        self.0 = narrowed;
        Ok(())
    }

    /// Reads a token, whoever made it.
    ///
    /// # Errors
    /// It is none, or over a bound.
    pub fn parse(text: &str) -> Result<Self, Unauthorized> {
        let macaroon = decode(text.as_bytes()).ok_or(Unauthorized::Malformed)?;
        match Identifier::parse(macaroon.identifier()) {
            Some(_) => Ok(Self(macaroon)),
            None => Err(Unauthorized::Malformed),
        }
    }

    /// What it is called.
    pub fn identifier(&self) -> Option<Identifier<'_>> {
        Identifier::parse(self.0.identifier())
    }

    /// The caveats as they stand in it, known or not; a third party's is shown as such.
    pub fn caveats(&self) -> impl Iterator<Item = String> {
        self.0.caveats().map(|raw| match raw {
            Raw::FirstParty(text) => text.escape_ascii().to_string(),
            Raw::ThirdParty { identifier } => format!("third party: {}", identifier.escape_ascii()),
        })
    }
}

/// The token's text.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0.bytes()))
    }
}

/// Not the token: whoever reads a log must not be able to use it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.identifier().map(|identifier| identifier.hash()))
    }
}

/// Text → macaroon; bounds before any memory is taken.
pub(super) fn decode(text: &[u8]) -> Option<Macaroon> {
    if text.len() > MAX_TOKEN {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    Macaroon::parse(bytes.into())
}
