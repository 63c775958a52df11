//! Tokens made by pymacaroons 0.13 with the secret 00 01 … 1f; libmacaroon 0.3 makes the same bytes but for the empty
//! location that pymacaroons writes.

use super::*;

const BARE: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgAABiA7wiff-2Yh5HC5gifibUfzo9unPYYdMZ3LyixFuCiZYQ";
const NARROWED: &str = "AgEAAit2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZjphY21lAAIRdGltZSA8IDE3NjcyMjU2MDAAAhJtZXRob2QgaW4gR0VULEhFQUQAAg5wYXRoIHVuZGVyIC9vLwACE2FkZHJlc3MgdW5kZXIgYjM6MGEAAgxyYXRlIDw9IDUwL3MAAhJieXRlcyA8PSAxMDQ4NTc2L3MAAg10ZW5hbnQgPSBhY21lAAAGIMHRc_NrJtqg16ScwJADXUiGpXlFZgETTs9I5ALFMo3c";
/// A caveat of 212 bytes: its length takes two bytes.
const LONG: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgAC1AFwYXRoIHVuZGVyIC9hYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYQAABiDEiec8OsVglyppSu2-tZtWR07vYw9H7wRL0-FWSWOdnQ";
/// `method in GET`, then a caveat of https://x.example.
const THIRD_PARTY: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgACDW1ldGhvZCBpbiBHRVQAARFodHRwczovL3guZXhhbXBsZQIDd2hvBEivo7RIIXTSB8_YTXP7ahfV2CNSDNvhy7lVEBWJE8_Dlcr9Y4R6m5CUTpl2l2GBcFcvfxwC5A8yNdPPbaYb0V9DTY80DKg7xbIAAAYg4XXC9TyDC0Q-acd4zy3zLfudD149oKouojzK5Tt-ji4";
const LOCATED: &str = "AgEKaHR0cHM6Ly9ndwImdjE6azE6MDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYAAAYgO8In3_tmIeRwuYIn4m1H86Pbpz2GHTGdy8osRbgomWE";
const FOREIGN: &str = "AgEAAgVoZWxsbwAABiD49jJpQDKd5eEadQTYxe7PDMX_oRcMZIp9OS0ZO3XBkA";
/// Made with a secret of 40 bytes, 64 on.
const SECRET_OF_40: &str = "AgEAAiZ2MTprMTowMDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBkMGUwZgAABiBlcJLzXhHloMLa80QxMAy7VnjVhXCboybouVVjhdHqRw";
const NONCE_OF_ALL: [u8; NONCE] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[test]
fn tokens_of_another_library_are_verified() {
    let object = format!("/o/{ADDRESS}");
    let facts = Facts { address: Some(ADDRESS), ..get(&object) };
    assert_eq!(verify(BARE, &facts).map(|v| v.tenant), Ok(None));
    let verified = verify(NARROWED, &facts).unwrap();
    assert_eq!(verified.tenant.as_deref(), Some("acme"));
    assert_eq!(verified.expires, Some(1_767_225_600));
    let budgets = |all: &[Allowance]| all.iter().map(|one| one.budget.to_string()).collect::<Vec<_>>();
    assert_eq!(budgets(&verified.rates), ["50/s"]);
    assert_eq!(budgets(&verified.bytes), ["1048576/s"]);
    assert!(verify(LONG, &get(&format!("/{}", "a".repeat(200)))).is_ok());
    let keys =
        Keys::new(vec![Key::new("k1", Secret::parse(&(100..140).collect::<Vec<_>>()).unwrap()).unwrap()]);
    let presented = Presented::parse_token(SECRET_OF_40.as_bytes()).unwrap();
    assert!(presented.verify(&keys.unwrap(), &Revoked::default(), &get("/"), NOW).is_ok());
}

#[test]
fn a_third_party_caveat_is_verified_as_a_link_and_never_met() {
    assert_eq!(verify(THIRD_PARTY, &get("/")), forbidden(Forbidden::ThirdParty));
    // Its location is covered by no signature, the rest of it is.
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(THIRD_PARTY).unwrap();
    let vid = bytes.windows(3).position(|w| w == b"who").unwrap() + 10;
    bytes[vid] ^= 1;
    assert_eq!(
        verify(&BASE64_URL_SAFE_NO_PAD.encode(bytes), &get("/")),
        unauthorized(Unauthorized::Signature)
    );
}

#[test]
fn a_location_and_an_identifier_that_is_not_ours_are_refused_before_any_cryptography() {
    for token in [LOCATED, FOREIGN] {
        assert!(matches!(
            Presented::parse_token(token.as_bytes()),
            Err(Denied::Unauthorized(Unauthorized::Malformed))
        ));
    }
}

#[test]
fn our_tokens_are_the_other_librarys_less_its_empty_location() {
    let without_location = |token: &str| {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
        assert_eq!(bytes.drain(1..3).collect::<Vec<_>>(), [1, 0]);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    };
    let ours = |tenant, caveats: &[&str]| {
        narrowed(Token::mint(&key("k1", 0), NONCE_OF_ALL, tenant), caveats).to_string()
    };
    assert_eq!(ours(None, &[]), without_location(BARE));
    let caveats = [
        "time < 1767225600",
        "method in GET,HEAD",
        "path under /o/",
        "address under b3:0a",
        "rate <= 50/s",
        "bytes <= 1048576/s",
        "tenant = acme",
    ];
    assert_eq!(ours(Some("acme"), &caveats), without_location(NARROWED));
    assert_eq!(ours(None, &[&format!("path under /{}", "a".repeat(200))]), without_location(LONG));
    // What is narrowed here after it was narrowed there stays whole.
    let further = narrowed(Token::parse(NARROWED).unwrap(), &["method in HEAD"]).to_string();
    let object = format!("/o/{ADDRESS}");
    let facts = Facts { address: Some(ADDRESS), ..get(&object) };
    assert_eq!(verify(&further, &facts), forbidden(Forbidden::Method));
    assert!(verify(&further, &Facts { method: "HEAD", ..facts }).is_ok());
}
