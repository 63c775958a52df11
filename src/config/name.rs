//! Names: of listeners, clusters and routes, of hosts, header fields and methods.
//!
//! Each type holds its rule and words its error. None of them looks anything up.

use std::str::FromStr;

use super::finding::quoted;
use super::suggest::{any_of, nearest};
use super::text::text_newtype;

text_newtype! {
    /// The name of a listener, cluster or route: 1 to 64 of `a-z 0-9 _ -`. It is safe as a metric label.
    pub struct Name;
    /// A DNS host name in lower case, such as `objects.internal`.
    pub struct HostName;
    /// A header field's name, in lower case.
    pub struct HeaderName;
    /// A method that a route may list.
    pub struct Method;
}

/// Completes "write …" where a [`Name`] is due.
pub(super) const NAME: &str = "a name: 1 to 64 of a-z, 0-9, _ and -";

impl Name {
    /// A name in a default; the defaults are read back in a test.
    pub(super) fn fixed(name: &'static str) -> Self {
        Self(name.into())
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.into()))
        } else {
            Err(format!("{} is no name, write 1 to 64 of a-z, 0-9, _ and -", quoted(text)))
        }
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_host_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(format!("{} is no host name, write one in lower case such as objects.internal", quoted(text)))
        }
    }
}

/// RFC 1123 labels in lower case (and `_`, which private zones use), no trailing dot, not all digits and dots.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for HeaderName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(token) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(format!("{} is no header field name, write one such as x-user", quoted(text)))
        }
    }
}

/// What routes may list. CONNECT and TRACE are never forwarded (http.md §1).
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Method {
    /// POST.
    pub(super) fn post() -> Self {
        Self("POST".into())
    }

    /// Whether a request with this method may change something.
    pub fn mutates(&self) -> bool {
        !matches!(self.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if METHODS.contains(&text) {
            return Ok(Self(text.into()));
        }
        let wrong = quoted(text);
        Err(match nearest(text, METHODS.iter().copied()) {
            _ if text == "CONNECT" || text == "TRACE" => {
                format!("{wrong} is never forwarded, write {}", any_of(METHODS))
            }
            Some(near) => format!("{wrong} is no method known here, did you mean `{near}`?"),
            None => format!("{wrong} is no method known here, write {}", any_of(METHODS)),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_labels() {
        assert!("objects-2_b".parse::<Name>().is_ok());
        for wrong in ["", "Objects", "a b", "a.b", "ä", &"x".repeat(65)] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn host_names_are_no_addresses() {
        for right in ["a", "objects.internal", "xn--bcher-kva.example", "a_b.c"] {
            assert!(right.parse::<HostName>().is_ok(), "{right}");
        }
        for wrong in ["", "A.example", "a..b", "a.", "-a.b", "10.0.0.1", "a:80", "a/b", "*.b"] {
            assert!(wrong.parse::<HostName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn methods_are_upper_case_and_forwardable() {
        assert_eq!(
            "get".parse::<Method>().unwrap_err(),
            "`get` is no method known here, did you mean `GET`?"
        );
        assert_eq!(
            "TRACE".parse::<Method>().unwrap_err(),
            "`TRACE` is never forwarded, write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"
        );
        assert!("PUT".parse::<Method>().unwrap().mutates());
        assert!(!"HEAD".parse::<Method>().unwrap().mutates());
    }

    #[test]
    fn header_names_are_tokens_in_lower_case() {
        assert_eq!("X-User".parse::<HeaderName>().unwrap().as_str(), "x-user");
        assert!("x user".parse::<HeaderName>().is_err());
        assert!("x:y".parse::<HeaderName>().is_err());
    }
}
