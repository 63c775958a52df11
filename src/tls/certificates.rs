//! Which certificate is shown to whom: by the name that the client asks for, exact before wildcard before the first, and
//! of several for one name the first whose signatures the client can check.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::time::ASN1Time;

use super::files::Expiry;
use super::names::{Names, above};

/// A certificate that may be shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Names,
    /// From when to when.
    pub(super) valid: (ASN1Time, ASN1Time),
}

/// All of a listener's.
#[derive(Debug)]
pub(super) struct Certificates {
    all: Vec<Shown>,
    exact: HashMap<Box<str>, Vec<usize>>,
    wildcards: HashMap<Box<str>, Vec<usize>>,
    /// Those for nobody else: the first, and those for the same names.
    others: Vec<usize>,
}

impl Certificates {
    pub(super) fn new(all: Vec<Shown>) -> Self {
        let (mut exact, mut wildcards) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (n, shown) in all.iter().enumerate() {
            shown.names.exact.iter().for_each(|name| exact.entry(name.clone()).or_default().push(n));
            shown.names.wildcards.iter().for_each(|name| wildcards.entry(name.clone()).or_default().push(n));
        }
        let first = all.first().map(|first| &first.names);
        let others = (0..all.len()).filter(|n| all.get(*n).map(|shown| &shown.names) == first).collect();
        Self { all, exact, wildcards, others }
    }

    /// The certificates for a name that is in lower case; in this order.
    fn of(&self, name: Option<&str>) -> impl Iterator<Item = &Shown> {
        let found = name.and_then(|name| {
            self.exact.get(name).or_else(|| above(name).and_then(|rest| self.wildcards.get(rest)))
        });
        found.unwrap_or(&self.others).iter().filter_map(|n| self.all.get(*n))
    }

    /// Whether what is shown to who asks for `name` is a certificate for `host` too.
    pub(super) fn cover(&self, name: &str, host: &str) -> bool {
        self.of(Some(name)).any(|shown| shown.names.cover(host))
    }

    pub(super) fn invalid_at(&self, now: i64) -> Vec<Expiry> {
        let invalid = self.all.iter().enumerate().filter_map(|(certificate, shown)| {
            let (from, until) = shown.valid;
            let why = if until.timestamp() < now {
                format!("has expired: it was valid until {until}")
            } else if from.timestamp() > now {
                format!("is not valid before {from}")
            } else {
                return None;
            };
            Some(Expiry { certificate, why })
        });
        invalid.collect()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let fits = |shown: &&Shown| shown.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let mut candidates = self.of(name.as_deref());
        let first = candidates.next()?;
        let shown = std::iter::once(first).chain(candidates).find(fits).unwrap_or(first);
        Some(Arc::clone(&shown.key))
    }
}
