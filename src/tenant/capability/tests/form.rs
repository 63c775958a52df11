//! What is no token, by its form: refused before any cryptography.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

fn is_malformed(result: Result<Option<Presented>, Denied>) -> bool {
    matches!(result, Err(Denied::Unauthorized(Unauthorized::Malformed)))
}

#[test]
fn only_bearer_is_ours() {
    let token = mint(&[]).to_string();
    let parse = |value: &str| Presented::parse(&HeaderValue::from_str(value).unwrap());
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert!(matches!(parse(&format!("{scheme} {token}")), Ok(Some(_))), "{scheme}");
    }
    for other in ["Basic dXNlcjpwYXNz", "Bearer", "", "Bearers x", &token] {
        assert!(matches!(parse(other), Ok(None)), "{other}");
    }
    for wrong in
        ["Bearer ", &format!("Bearer  {token}"), &format!("Bearer {token} "), &format!("Bearer {token},x")]
    {
        assert!(is_malformed(parse(wrong)), "{wrong}");
    }
    let mut fields = HeaderMap::new();
    assert!(matches!(Presented::among(&fields), Ok(None)));
    fields.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    assert!(matches!(Presented::among(&fields), Ok(Some(_))));
    fields.append("authorization", HeaderValue::from_static("Basic eDp5"));
    assert!(is_malformed(Presented::among(&fields)));
}

#[test]
fn a_token_has_one_spelling() {
    // 102 bytes: no spare bits; with a caveat of one letter more or less there are.
    for caveats in [&["path under /"][..], &["path under /a"], &["path under /ab"], &[]] {
        let token = mint(caveats).to_string();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
        assert!(verify(&token, &get("/ab")).is_ok() || !caveats.is_empty());
        let refused = |text: &str| is_malformed(Presented::parse_token(text.as_bytes()).map(Some));
        assert!(refused(&format!("{token}=")) && refused(&format!("{token}==")));
        assert!(refused(&format!("{token}\n")) && refused(&format!(" {token}")));
        let spare = bytes.len() * 8 % 6;
        if spare != 0 {
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let last = alphabet.find(token.chars().last().unwrap()).unwrap();
            let other = alphabet.as_bytes()[last | 1];
            assert!(refused(&format!("{}{}", &token[..token.len() - 1], char::from(other))));
        }
        for (what, changed) in [
            ("something after it", [&bytes[..], &[0]].concat()),
            ("another version", [&[1], &bytes[1..]].concat()),
            ("a longer number", [&bytes[..2], &[bytes[2] | 0x80, 0], &bytes[3..]].concat()),
            ("a number in three bytes", [&bytes[..2], &[bytes[2] | 0x80, 0x80, 0], &bytes[3..]].concat()),
            ("a location", [&bytes[..1], b"\x01\x01x", &bytes[1..]].concat()),
            ("a short signature", [&bytes[..bytes.len() - 33], &[31], &bytes[bytes.len() - 31..]].concat()),
        ] {
            assert!(refused(&BASE64_URL_SAFE_NO_PAD.encode(changed)), "{what}");
        }
    }
}

#[test]
fn a_first_party_caveat_has_no_location() {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(mint(&["path under /"]).to_string()).unwrap();
    let at = bytes.windows(2).position(|w| w == [0, 2]).unwrap() + 1;
    let located = [&bytes[..at], b"\x01\x00", &bytes[at..]].concat();
    let token = BASE64_URL_SAFE_NO_PAD.encode(located);
    assert!(is_malformed(Presented::parse_token(token.as_bytes()).map(Some)));
}

#[test]
fn caveats_and_characters_are_bounded() {
    let most: Vec<&[u8]> = vec![b"path under /"; MAX_CAVEATS];
    assert!(verify(&with_raw(&most), &get("/")).is_ok());
    let more: Vec<&[u8]> = vec![b"path under /"; MAX_CAVEATS + 1];
    assert_eq!(verify(&with_raw(&more), &get("/")), unauthorized(Unauthorized::Malformed));

    let long = |len: usize| with_raw(&[format!("path under /{}", "a".repeat(len)).as_bytes()]);
    let fits = (2900..3100).rev().find(|len| long(*len).len() <= MAX_TOKEN).unwrap();
    assert_eq!(long(fits).len(), MAX_TOKEN);
    assert_eq!(verify(&long(fits), &get("/")), forbidden(Forbidden::Path));
    assert_eq!(verify(&long(fits + 1), &get("/")), unauthorized(Unauthorized::Malformed));

    let mut token = narrowed(mint(&[]), &["path under /"; MAX_CAVEATS]);
    let before = token.to_string();
    assert_eq!(token.attenuate(&Caveat::Before(1)), Err(TooLarge::Caveats));
    let path = format!("/{}", "a".repeat(4000));
    let mut token2 = mint(&[]);
    let caveat = format!("path under {path}");
    assert_eq!(token2.attenuate(&Caveat::parse(&caveat).unwrap()), Err(TooLarge::Characters));
    assert_eq!((token.to_string(), token2.to_string()), (before, mint(&[]).to_string()));
}

#[test]
fn identifiers_have_one_form() {
    let good = "v1:k1:000102030405060708090a0b0c0d0e0f";
    let whole = format!("{good}:acme");
    let identifier = Identifier::parse(whole.as_bytes()).unwrap();
    assert_eq!(
        (identifier.key(), identifier.tenant(), identifier.as_str()),
        ("k1", Some("acme"), whole.as_str())
    );
    assert_eq!(Identifier::parse(good.as_bytes()).unwrap().tenant(), None);
    for wrong in [
        "",
        "v1",
        "v2:k1:000102030405060708090a0b0c0d0e0f",
        "v1::000102030405060708090a0b0c0d0e0f",
        "v1:K:000102030405060708090a0b0c0d0e0f",
        "v1:k1:000102030405060708090A0b0c0d0e0f",
        "v1:k1:000102030405060708090a0b0c0d0e0",
        "v1:k1:000102030405060708090a0b0c0d0e0f0",
        "v1:k1:000102030405060708090a0b0c0d0e0f:",
        "v1:k1:000102030405060708090a0b0c0d0e0f:a:b",
        "v1:k1:000102030405060708090a0b0c0d0e0f:Acme",
        " v1:k1:000102030405060708090a0b0c0d0e0f",
        "v1:k1:000102030405060708090a0b0c0d0e0f\n",
    ] {
        assert_eq!(Identifier::parse(wrong.as_bytes()), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn bytes_of_a_peer_never_panic_and_prove_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = BASE64_URL_SAFE_NO_PAD.encode([&[2, 2, 38], b"v1:k1:000102030405060708090a0b0c0d0e0f".as_slice(), &bytes].concat());
        for token in [&bytes, text.as_bytes()] {
            if let Ok(presented) = Presented::parse_token(token) {
                let verified = presented.verify(&ring(), &Revoked::default(), &get("/"), NOW);
                prop_assert!(matches!(verified, Err(Denied::Unauthorized(_))));
            }
        }
    }

    #[test]
    fn what_is_minted_and_narrowed_is_verified(
        tenant in prop::option::of("[a-z0-9_-]{1,64}"),
        nonce in any::<[u8; NONCE]>(),
        paths in prop::collection::vec("/[a-z]{0,40}", 0..=MAX_CAVEATS),
    ) {
        let mut token = Token::mint(&key("k1", 0), nonce, tenant.as_deref());
        for path in &paths {
            token.attenuate(&Caveat::parse(&format!("path under {path}")).unwrap()).unwrap();
        }
        let text = token.to_string();
        let again = Token::parse(&text).unwrap();
        prop_assert_eq!(again.to_string(), text.clone());
        prop_assert_eq!(again.caveats().count(), paths.len());
        let common = paths.first().map_or("/", String::as_str);
        let all = paths.iter().all(|path| path == common || path == "/");
        match verify(&text, &get(common)) {
            Ok(verified) => prop_assert_eq!(verified.tenant.as_deref(), tenant.as_deref()),
            Err(denied) => prop_assert!(!all && denied == Forbidden::Path.into(), "{:?}", denied),
        }
    }
}
