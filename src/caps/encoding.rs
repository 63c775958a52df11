//! `content-encoding` (RFC 9110 §8.4): one coding that we can decode, or none.

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// It is not.
    Identity,
    /// RFC 1952; `x-gzip` is the same (RFC 9110 §8.4.1.3).
    Gzip,
    /// RFC 1950, or RFC 1951 without it as many send it (RFC 9110 §8.4.1.2).
    Deflate,
    /// RFC 7932.
    Brotli,
}

impl Encoding {
    /// What a 415 names in its `accept-encoding` (RFC 9110 §15.5.16).
    pub const ACCEPTED: &str = "gzip, deflate, br, identity";

    /// Reads the values of all content-encoding fields. `None` is a coding that is not known, or more than one: of
    /// two fields another reader may see the first alone, so a second is refused even if it is empty.
    pub fn parse<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut fields = fields.into_iter();
        let Some(field) = fields.next() else { return Some(Self::Identity) };
        if fields.next().is_some() {
            return None;
        }
        // RFC 9110 §5.6.1: empty elements of a list mean nothing.
        let mut codings = field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|c| !c.is_empty());
        match (codings.next(), codings.next()) {
            (None, _) => Some(Self::Identity),
            (Some(coding), None) => Self::named(coding),
            (Some(_), Some(_)) => None,
        }
    }

    fn named(coding: &[u8]) -> Option<Self> {
        let known = [
            (&b"gzip"[..], Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"br", Self::Brotli),
            (b"identity", Self::Identity),
        ];
        known.into_iter().find(|(name, _)| coding.eq_ignore_ascii_case(name)).map(|(_, encoding)| encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_coding_or_none() {
        use Encoding::{Brotli, Deflate, Gzip, Identity};
        let cases: [(&[&str], Option<Encoding>); 23] = [
            (&[], Some(Identity)),
            (&[""], Some(Identity)),
            (&[" , ,"], Some(Identity)),
            (&["identity"], Some(Identity)),
            (&["gzip"], Some(Gzip)),
            (&["GZip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["\t gzip , "], Some(Gzip)),
            (&["deflate"], Some(Deflate)),
            (&["br"], Some(Brotli)),
            (&["gzip, br"], None),
            (&["gzip,gzip"], None),
            (&["identity, gzip"], None),
            (&["gzip", "br"], None),
            (&["gzip", ""], None),
            (&["", "gzip"], None),
            (&["zstd"], None),
            (&["compress"], None),
            (&["gzip;q=1"], None),
            (&["gzi p"], None),
            (&["g\u{fc}zip"], None),
            (&["*"], None),
            (&["\"gzip\""], None),
        ];
        for (fields, want) in cases {
            assert_eq!(Encoding::parse(fields.iter().map(|f| f.as_bytes())), want, "{fields:?}");
        }
    }

    #[test]
    fn what_is_named_as_accepted_is_accepted() {
        for coding in Encoding::ACCEPTED.split(", ") {
            assert!(Encoding::parse([coding.as_bytes()]).is_some(), "{coding}");
        }
    }
}
