//! Tokens that other libraries made, every caveat's yes and no, the ring, the list, and what is no token.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::*;

mod caveats;
mod form;
mod mutations;
mod ring;
mod vectors;

const NOW: Duration = Duration::from_secs(1_700_000_000);
const ADDRESS: &str = "b3:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// The secret of the vectors.
fn secret(first: u8) -> Secret {
    let bytes: Vec<u8> = (first..first + 32).collect();
    Secret::parse(&bytes).unwrap()
}

fn key(id: &str, first: u8) -> Key {
    Key::new(id, secret(first)).unwrap()
}

fn ring() -> Keys {
    Keys::new(vec![key("k1", 0)]).unwrap()
}

fn mint(caveats: &[&str]) -> Token {
    narrowed(Token::mint(&key("k1", 0), [7; NONCE], None), caveats)
}

fn narrowed(mut token: Token, caveats: &[&str]) -> Token {
    for caveat in caveats {
        token.attenuate(&Caveat::parse(caveat).unwrap()).unwrap();
    }
    token
}

fn get(path: &str) -> Facts<'_> {
    Facts { method: "GET", path, address: None, tenant: TenantEvidence::Weaker("anonymous") }
}

fn verify(token: &str, facts: &Facts<'_>) -> Result<Verified, Denied> {
    Presented::parse_token(token.as_bytes())?.verify(&ring(), &Revoked::default(), facts, NOW)
}

/// A macaroon with texts that the grammar does not know.
fn with_raw(caveats: &[&[u8]]) -> String {
    let mut macaroon =
        super::macaroon::Macaroon::new(key("k1", 0).root(), b"v1:k1:000102030405060708090a0b0c0d0e0f");
    for caveat in caveats {
        macaroon.append(caveat);
    }
    BASE64_URL_SAFE_NO_PAD.encode(macaroon.bytes())
}

fn unauthorized(why: Unauthorized) -> Result<Verified, Denied> {
    Err(Denied::Unauthorized(why))
}

fn forbidden(why: Forbidden) -> Result<Verified, Denied> {
    Err(Denied::Forbidden(why))
}
