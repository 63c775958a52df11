//! What a route's `match` is made of: host patterns and paths.
//!
//! The types hold the form. Finding the route of a request, and telling which of two comes first, is `route`'s.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::finding::quoted;
use super::name::is_host_name;
use super::text::{text_newtype, text_value};

/// A host that a route takes, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Arc<str>),
    /// `*.b.example`: every host that ends in what stands here (`.b.example`) and has something before it.
    Wildcard(Arc<str>),
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = quoted(text);
        if let Some(domain) = text.strip_prefix("*.") {
            return if is_host_name(domain) {
                Ok(Self::Wildcard(format!(".{domain}").into()))
            } else {
                Err(format!("{wrong} is no host pattern, write a host such as \"*.b.example\""))
            };
        }
        let ipv6 = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        let is_ip = text.parse::<Ipv4Addr>().is_ok() || ipv6.is_some_and(|t| t.parse::<Ipv6Addr>().is_ok());
        if is_ip || is_host_name(text) {
            return Ok(Self::Exact(text.into()));
        }
        let lower = text.to_ascii_lowercase();
        let bare = lower.split(':').next().unwrap_or_default();
        Err(if text == "*" {
            "`*` is every host, leave `host` out for that".to_owned()
        } else if text.contains('*') {
            format!("{wrong} has its `*` in the wrong place, write it first and alone: \"*.b.example\"")
        } else if is_host_name(bare) && bare != text {
            format!("{wrong} is not a bare host in lower case, did you mean `{bare}`?")
        } else {
            format!("{wrong} is no host, write one such as a.example or \"*.b.example\"")
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

text_value!(HostPattern);

text_newtype! {
    /// A whole path, as it crosses: `/api/put`.
    pub struct ExactPath;
    /// The beginning of a path, in whole segments: `/o` takes /o and /o/x, not /ox; `/o/` takes what is below it.
    pub struct PathPrefix;
    /// A path with one-segment variables: `/users/{id}/files`.
    pub struct PathTemplate;
    /// A host and perhaps a port, as a Host header has them.
    pub struct Authority;
}

/// What the path of a request must be. Exact comes before template, template before the longest prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathMatch {
    /// The whole path.
    Exact(ExactPath),
    /// Its beginning.
    Prefix(PathPrefix),
    /// A path with variables.
    Template(PathTemplate),
}

impl PathMatch {
    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) => path.as_str(),
            Self::Prefix(path) => path.as_str(),
            Self::Template(path) => path.as_str(),
        }
    }
}

/// One segment of a template.
enum Segment<'t> {
    Literal(&'t str),
    Variable(&'t str),
}

fn segments(template: &str) -> impl Iterator<Item = Segment<'_>> {
    template.split('/').skip(1).map(|segment| {
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Segment::Variable(name),
            None => Segment::Literal(segment),
        }
    })
}

impl FromStr for ExactPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_path(text)?;
        check_characters(text, false)?;
        Ok(Self(text.into()))
    }
}

impl PathPrefix {
    /// A prefix in a default; the defaults are read back in a test.
    pub(super) fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }

    /// Whether every path that `other` takes begins with this prefix.
    pub(super) fn covers(&self, other: &str) -> bool {
        let bare = self.0.strip_suffix('/').unwrap_or(&self.0);
        other.strip_prefix(bare).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl ExactPath {
    /// A path in a default; the defaults are read back in a test.
    pub(super) fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_path(text)?;
        check_characters(text, false)?;
        Ok(Self(text.into()))
    }
}

impl FromStr for PathTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_path(text)?;
        check_characters(text, true)?;
        let mut names = Vec::new();
        for segment in segments(text) {
            match segment {
                Segment::Literal(literal) if literal.contains(['{', '}']) => {
                    return Err(format!(
                        "{} is neither text nor a variable, write a whole segment such as {{id}}",
                        quoted(literal)
                    ));
                }
                Segment::Variable(name) if !is_variable_name(name) => {
                    return Err(format!(
                        "{} is no variable's name, write a-z, 0-9 and _ such as {{id}}",
                        quoted(name)
                    ));
                }
                Segment::Variable(name) if names.contains(&name) => {
                    return Err(format!("the variable {{{name}}} stands twice, give each a name of its own"));
                }
                Segment::Variable(name) => names.push(name),
                Segment::Literal(_) => {}
            }
        }
        if names.is_empty() {
            return Err(format!("{} has no variable, write exact: {text}", quoted(text)));
        }
        Ok(Self(text.into()))
    }
}

fn is_variable_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(fits)
}

/// http.md §1: dot segments, backslashes and bad escapes are refused in requests, so no route can wait for them.
fn check_path(text: &str) -> Result<(), String> {
    let wrong = quoted(text);
    if !text.starts_with('/') {
        return Err(format!(
            "{wrong} is no path, it begins with /: write /{}",
            text.trim_start_matches("./")
        ));
    }
    if text.contains(['?', '#']) {
        return Err(format!("{wrong} has a query, write the path alone"));
    }
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(format!(
            "{wrong} has a dot segment, which no request may have; write the path without it"
        ));
    }
    Ok(())
}

fn check_characters(text: &str, braces: bool) -> Result<(), String> {
    let fits = |b: u8| {
        b.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@/%".contains(&b)
            || (braces && (b == b'{' || b == b'}'))
    };
    let wrong = quoted(text);
    if let Some(c) = text.chars().find(|c| !u8::try_from(*c).is_ok_and(fits)) {
        let fix = if c == '{' || c == '}' { "write template: for variables" } else { "write it as %XX" };
        return Err(format!("{wrong} has {}, which no path may have: {fix}", quoted(&c.to_string())));
    }
    let escape_is_whole =
        |rest: &str| rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if text.split('%').skip(1).all(escape_is_whole) {
        Ok(())
    } else {
        Err(format!("{wrong} has a % without two hex digits, write %25 for a per cent sign"))
    }
}

impl FromStr for Authority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        match host.parse::<HostPattern>() {
            Ok(HostPattern::Exact(_)) if port_fits => Ok(Self(text.into())),
            _ => Err(format!("{} is no host, write pass, or a name such as api.internal", quoted(text))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn host_patterns_are_hosts_or_everything_below_one() {
        for text in ["a.example", "*.b.example", "10.0.0.1", "[::1]"] {
            assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
        }
        for (text, message) in [
            ("*", "`*` is every host, leave `host` out for that"),
            ("a.*", "`a.*` has its `*` in the wrong place, write it first and alone: \"*.b.example\""),
            ("A.example", "`A.example` is not a bare host in lower case, did you mean `a.example`?"),
            ("a.example:80", "`a.example:80` is not a bare host in lower case, did you mean `a.example`?"),
            ("*.-", "`*.-` is no host pattern, write a host such as \"*.b.example\""),
        ] {
            assert_eq!(text.parse::<HostPattern>().unwrap_err(), message);
        }
    }

    #[test]
    fn a_wrong_path_says_what_would_be_right() {
        for (text, message) in [
            ("o/", "`o/` is no path, it begins with /: write /o/"),
            ("/o?x", "`/o?x` has a query, write the path alone"),
            ("/a/../b", "`/a/../b` has a dot segment, which no request may have; write the path without it"),
            ("/a b", "`/a b` has ` `, which no path may have: write it as %XX"),
            ("/a/{id}", "`/a/{id}` has `{`, which no path may have: write template: for variables"),
            ("/a%2", "`/a%2` has a % without two hex digits, write %25 for a per cent sign"),
        ] {
            assert_eq!(text.parse::<ExactPath>().unwrap_err(), message);
        }
    }

    #[test]
    fn a_wrong_template_says_what_would_be_right() {
        for (text, message) in [
            ("/u/{id", "`{id` is neither text nor a variable, write a whole segment such as {id}"),
            ("/u/x{id}", "`x{id}` is neither text nor a variable, write a whole segment such as {id}"),
            ("/u/{}", "`` is no variable's name, write a-z, 0-9 and _ such as {id}"),
            ("/u/{Id}", "`Id` is no variable's name, write a-z, 0-9 and _ such as {id}"),
            ("/u/{id}/{id}", "the variable {id} stands twice, give each a name of its own"),
            ("/u/all", "`/u/all` has no variable, write exact: /u/all"),
        ] {
            assert_eq!(text.parse::<PathTemplate>().unwrap_err(), message);
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        let prefix: PathPrefix = "/api".parse().unwrap();
        assert!(prefix.covers("/api") && prefix.covers("/api/") && prefix.covers("/api/x"));
        assert!(!prefix.covers("/apix") && !prefix.covers("/"));
        let root: PathPrefix = "/".parse().unwrap();
        assert!(root.covers("/") && root.covers("/x"));
    }

    #[test]
    fn an_authority_may_have_a_port() {
        for right in ["api.internal", "api.internal:8443", "10.0.0.1:80", "[::1]:80", "[::1]"] {
            assert_eq!(right.parse::<Authority>().unwrap().as_str(), right);
        }
        for wrong in ["", "a b", "*.a", "a:0", "a:x", "A.b"] {
            assert!(wrong.parse::<Authority>().is_err(), "{wrong}");
        }
    }
}
