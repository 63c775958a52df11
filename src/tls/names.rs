//! The names that a certificate bears (RFC 6125, RFC 9525): exact ones, wildcards of one label, addresses.

use std::net::{IpAddr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// What stands in a certificate's subjectAltName. Its common name counts for nothing (RFC 9525 §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// In lower case.
    pub(super) exact: Vec<Box<str>>,
    /// `*.b.example` as `b.example`, in lower case.
    pub(super) wildcards: Vec<Box<str>>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Those of a certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let Ok(Some(extension)) = certificate.subject_alternative_name() else { return names };
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.add(name),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        names
    }

    fn add(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(rest) => self.wildcards.push(rest.into()),
            None => self.exact.push(name.into()),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.addresses.is_empty()
    }

    /// Whether the certificate is one for `host`: a name in any case, perhaps with its last dot, or an address (an IPv6
    /// one in brackets).
    pub fn cover(&self, host: &str) -> bool {
        if let Some(address) = host_address(host) {
            return self.addresses.contains(&address);
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        self.exact.iter().any(|name| is(name, host))
            || above(host).is_some_and(|rest| self.wildcards.iter().any(|name| is(name, rest)))
    }
}

/// What a wildcard must be for, to be one for `host`: all but its first label.
pub(super) fn above(host: &str) -> Option<&str> {
    host.split_once('.').filter(|(label, rest)| !label.is_empty() && !rest.is_empty()).map(|(_, rest)| rest)
}

fn host_address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_for_one_label_and_no_name_for_another() {
        let mut names = Names::default();
        ["a.example", "*.B.example", "xn--bcher-kva.example"].iter().for_each(|name| names.add(name));
        names.addresses.extend([IpAddr::from([192, 0, 2, 1]), IpAddr::from(Ipv6Addr::LOCALHOST)]);
        for covered in
            ["a.example", "A.EXAMPLE", "a.example.", "x.b.example", "X.B.Example", "192.0.2.1", "[::1]"]
        {
            assert!(names.cover(covered), "{covered}");
        }
        for other in [
            "",
            ".",
            "example",
            "b.example",
            ".b.example",
            "x.y.b.example",
            "xb.example",
            "a.example.evil",
            "192.0.2.2",
            "[::2]",
            "::2",
            "*.a.example",
        ] {
            assert!(!names.cover(other), "{other}");
        }
    }
}
