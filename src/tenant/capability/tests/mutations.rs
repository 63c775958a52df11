//! Every change of a token is seen. `CAPABILITY_MUTATIONS=1000000` tries as many; they are the same ones every time.

use super::*;

/// xorshift64*.
struct Rng(u64);

impl Rng {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most.max(1)
    }
}

/// A few changes of bytes: of the token's characters, or of the macaroon below them, where the form survives more often.
fn mutate(bytes: &mut Vec<u8>, alphabet: Option<&[u8]>, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let (a, b) = (rng.below(bytes.len()), rng.below(bytes.len()));
        let byte = match alphabet {
            Some(alphabet) => alphabet[rng.below(alphabet.len())],
            None => rng.below(256) as u8,
        };
        match rng.below(7) {
            0 | 1 => bytes[a] = byte,
            2 if alphabet.is_none() => bytes[a] ^= 1 << rng.below(8),
            2 | 3 => bytes.swap(a, b),
            4 => drop(bytes.remove(a)),
            5 => bytes.insert(a, byte),
            _ => {
                let piece: Vec<u8> = bytes.drain(a.min(b)..a.max(b).min(a.min(b) + 30)).collect();
                let at = rng.below(bytes.len() + 1);
                drop(bytes.splice(at..at, piece));
            }
        }
        if bytes.is_empty() {
            bytes.push(byte);
        }
    }
}

#[test]
fn every_mutation_of_a_token_is_401() {
    let most = std::env::var("CAPABILITY_MUTATIONS").map_or(50_000, |n| n.parse().unwrap());
    let keys = Keys::new(vec![key("k1", 0), key("k2", 50)]).unwrap();
    let caveats = ["path under /", "method in GET", "rate <= 50/s", "path under /", "time < 1999999999"];
    let token = narrowed(Token::mint(&key("k1", 0), [7; NONCE], Some("acme")), &caveats).to_string();
    let macaroon = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
    let facts = Facts { address: Some(ADDRESS), ..get("/") };
    let ask = |text: &[u8]| Presented::parse_token(text)?.verify(&keys, &Revoked::default(), &facts, NOW);
    assert!(ask(token.as_bytes()).is_ok());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let mut seen = [0_usize; Unauthorized::ALL.len()];
    for n in 0..most {
        let mut bytes = if n % 2 == 0 { token.clone().into_bytes() } else { macaroon.clone() };
        mutate(&mut bytes, (n % 2 == 0).then_some(alphabet), &mut rng);
        let text = if n % 2 == 0 { bytes } else { BASE64_URL_SAFE_NO_PAD.encode(bytes).into_bytes() };
        if text == token.as_bytes() {
            continue;
        }
        match ask(&text) {
            Err(Denied::Unauthorized(why)) => seen[why as usize] += 1,
            other => panic!("{other:?} for {}", String::from_utf8_lossy(&text)),
        }
    }
    // Both the form and the chain were tried, not one of them alone.
    let of = |why: Unauthorized| seen[why as usize];
    assert!(of(Unauthorized::Malformed) > most / 10 && of(Unauthorized::Signature) > most / 10, "{seen:?}");
    println!("{most} mutations, refused as {:?}: {seen:?}", Unauthorized::ALL.map(Unauthorized::as_str));
}

#[test]
fn every_single_bit_counts() {
    let token =
        BASE64_URL_SAFE_NO_PAD.decode(mint(&["path under /", "time < 1999999999"]).to_string()).unwrap();
    for bit in 0..token.len() * 8 {
        let mut changed = token.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let verdict = verify(&BASE64_URL_SAFE_NO_PAD.encode(changed), &get("/"));
        assert!(matches!(verdict, Err(Denied::Unauthorized(_))), "bit {bit}: {verdict:?}");
    }
}

#[test]
fn a_caveat_taken_away_or_moved_is_seen() {
    let three = BASE64_URL_SAFE_NO_PAD
        .decode(mint(&["path under /", "path under /", "method in GET"]).to_string())
        .unwrap();
    let starts: Vec<usize> =
        three.windows(5).enumerate().filter(|(_, w)| &w[1..] == b"path").map(|(n, _)| n - 1).collect();
    assert_eq!(starts.len(), 2);
    let one = starts[1] - starts[0];
    let method = &three[starts[1] + one..three.len() - 35];
    let without = |range: std::ops::Range<usize>| [&three[..range.start], &three[range.end..]].concat();
    let moved = [&three[..starts[0]], method, &three[starts[0]..starts[1] + one], &three[three.len() - 35..]]
        .concat();
    for changed in [
        without(starts[0]..starts[1]),
        without(starts[1]..starts[1] + one),
        without(starts[1] + one..three.len() - 35),
        without(starts[0]..three.len() - 35),
        moved,
    ] {
        let verdict = verify(&BASE64_URL_SAFE_NO_PAD.encode(changed), &get("/"));
        assert_eq!(verdict, unauthorized(Unauthorized::Signature));
    }
}
