//! Rotation with grace, revocation, secrets, and what is shown of it all.

use super::*;

fn with(keys: &Keys, revoked: &Revoked, token: &Token) -> Result<Verified, Denied> {
    Presented::parse_token(token.to_string().as_bytes())?.verify(keys, revoked, &get("/"), NOW)
}

#[test]
fn a_rotated_key_keeps_its_tokens_until_it_is_taken_away() {
    let ring = |keys: Vec<Key>| Keys::new(keys).unwrap();
    let none = Revoked::default();
    let old = Token::mint(ring(vec![key("k1", 0)]).first().unwrap(), [1; NONCE], None);
    let both = ring(vec![key("k2", 50), key("k1", 0)]);
    let new = Token::mint(both.first().unwrap(), [2; NONCE], None);
    assert_eq!(new.identifier().unwrap().key(), "k2");
    assert!(with(&both, &none, &old).is_ok() && with(&both, &none, &new).is_ok());
    let after = ring(vec![key("k2", 50)]);
    assert!(with(&after, &none, &new).is_ok());
    assert_eq!(with(&after, &none, &old), unauthorized(Unauthorized::UnknownKey));
    // Another secret behind the same id proves nothing.
    assert_eq!(with(&ring(vec![key("k1", 50)]), &none, &old), unauthorized(Unauthorized::Signature));
    assert_eq!(with(&Keys::default(), &none, &old), unauthorized(Unauthorized::UnknownKey));
}

#[test]
fn revoking_an_identifier_ends_everything_attenuated_from_it() {
    let parent = Token::mint(&key("k1", 0), [1; NONCE], Some("acme"));
    let child = narrowed(parent.clone(), &["method in GET"]);
    let grandchild = narrowed(child.clone(), &["path under /"]);
    let sibling = Token::mint(&key("k1", 0), [2; NONCE], Some("acme"));
    let list = format!("# left the company\n\n  {}  # all of it\r\n", parent.identifier().unwrap());
    let revoked = Revoked::parse(list.as_bytes()).unwrap();
    assert_eq!(revoked.len(), 1);
    for token in [&parent, &child, &grandchild] {
        assert!(with(&ring(), &Revoked::default(), token).is_ok());
        assert_eq!(with(&ring(), &revoked, token), unauthorized(Unauthorized::Revoked));
    }
    assert!(with(&ring(), &revoked, &sibling).is_ok());
}

#[test]
fn a_list_with_a_line_that_is_no_identifier_is_refused_whole() {
    let good = "v1:k1:000102030405060708090a0b0c0d0e0f";
    assert!(Revoked::parse(b"").unwrap().is_empty());
    assert_eq!(Revoked::parse(format!("{good}\n{good}").as_bytes()).unwrap().len(), 1);
    for wrong in
        ["k1", &good[1..], &good.to_uppercase(), &format!("{good}:"), &format!("{good} {good}"), "\u{e4}"]
    {
        let list = format!("{good}\n# x\n{wrong}\n");
        assert_eq!(Revoked::parse(list.as_bytes()), Err(BadLine::NotAnIdentifier(3)), "{wrong}");
    }
    let all: String = (0..=MAX_REVOKED).map(|n| format!("v1:k:{n:032x}\n")).collect();
    assert_eq!(Revoked::parse(all.as_bytes()), Err(BadLine::TooMany(MAX_REVOKED + 1)));
}

#[test]
fn a_secret_is_hex_or_raw_and_long_enough() {
    let mint = |content: &[u8]| {
        Secret::parse(content)
            .map(|secret| Token::mint(&Key::new("k1", secret).unwrap(), [1; NONCE], None).to_string())
    };
    let raw: Vec<u8> = (0..32).collect();
    let same = mint(&raw).unwrap();
    let digits = hex(&raw);
    for spelling in [digits.clone(), format!("{digits}\n"), format!(" {digits}\r\n"), digits.to_uppercase()] {
        assert_eq!(mint(spelling.as_bytes()).as_ref(), Ok(&same), "{spelling}");
    }
    // Raw is raw: a line break at its end is part of it.
    assert_ne!(mint(&[&raw[..], b"\n"].concat()).unwrap(), same);
    assert!(mint(&[0xa5, 0x5a].repeat(512)).is_ok());
    for (content, want) in [
        (&b""[..], BadSecret::Short),
        (&raw[..31], BadSecret::Short),
        (&digits.as_bytes()[2..], BadSecret::Short),
        (&digits.as_bytes()[1..], BadSecret::Odd),
        (&[1; 1025], BadSecret::Long),
        (&[0; 32], BadSecret::Constant),
        ("0".repeat(64).as_bytes(), BadSecret::Constant),
    ] {
        assert_eq!(mint(content).unwrap_err(), want);
    }
}

#[test]
fn a_ring_holds_different_names_and_not_too_many() {
    let ids = |ids: &[&str]| ids.iter().map(|id| Key::new(id, secret(0))).collect::<Result<Vec<_>, _>>();
    assert_eq!(ids(&["K1"]).unwrap_err(), BadKeys::Id);
    assert_eq!(Keys::new(ids(&["a", "b", "a"]).unwrap()).unwrap_err(), BadKeys::Twice);
    let many: Vec<Key> = (0..=MAX_KEYS).map(|n| key(&format!("k{n}"), 0)).collect();
    assert_eq!(Keys::new(many).unwrap_err(), BadKeys::TooMany);
}

#[test]
fn nothing_of_a_secret_or_a_token_is_shown() {
    let token = Token::mint(&key("k1", 0), [1; NONCE], None);
    let identifier = token.identifier().unwrap();
    let shown = format!("{:?} {:?} {:?} {:?}", secret(0), key("k1", 0), ring(), token);
    assert_eq!(shown, format!("Secret(…) Key(k1) Keys([Key(k1)]) Token(Some({}…))", identifier.hash()));
    let short = identifier.hash().to_string();
    assert!(short.len() == 8 && short.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(short, blake3::hash(identifier.as_str().as_bytes()).to_hex()[..8]);
}
