//! Host, path, method and listener of a request to the route that takes it.
//!
//! A [`Table`] is compiled once from [`Rule`]s and never changes. All that a rule sets must hold; of the rules that
//! hold, the most special one wins:
//!
//! | | first | then | then | last |
//! |---|---|---|---|---|
//! | 1. host | this very host | `*.b.example`, the longest | | any host |
//! | 2. path | this very path | template, text before variable from the left | prefix, the longest | any path |
//! | 3. method | listed | | | any method |
//!
//! A rule that fits host and path but not the method is skipped, and a less special one may take the request; only
//! when none does is the method to blame. `tests` below holds the table against a slow reading of these sentences.
//!
//! [`target`] checks what a client sent before it is looked up. Nothing here decodes or normalises a path: matching
//! sees the path as it crosses (http.md §1).

mod ambiguity;
mod keyed;
mod paths;
pub mod target;

use std::collections::BTreeSet;
use std::ops::ControlFlow::{self, Break, Continue};

pub use self::ambiguity::ambiguous;
use self::keyed::{Keyed, KeyedBuilder};
use self::paths::{Paths, PathsBuilder};

/// Which requests go where: all that is set must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<T> {
    /// In lower case, without a port: `a.example`, or `*.b.example` for everything below b.example. Empty is any.
    pub hosts: Vec<String>,
    /// `None` is any.
    pub path: Option<Path>,
    /// Empty is any.
    pub methods: Vec<String>,
    /// Names of listeners; empty is any.
    pub listeners: Vec<String>,
    /// What is found.
    pub payload: T,
}

/// What a request's path must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// This path.
    Exact(String),
    /// A path that begins with these whole segments: `/o` takes /o and /o/x, not /ox; `/o/` takes what is below it.
    Prefix(String),
    /// A path with variables, each of which takes one segment that is not empty: `/users/{id}/files`.
    Template(String),
}

/// Why no rule takes a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMatch {
    /// No rule fits host, path and listener: 404 `no_route`.
    #[error("no route takes this host and path")]
    NoRoute,
    /// Some do, but not with this method: 405 `method`.
    #[error("the method is none of {}", allow.join(", "))]
    Method {
        /// Each of the methods that would have been taken, once and sorted.
        allow: Vec<String>,
    },
}

/// Finds the rule that takes a request. A look-up allocates nothing, unless the method is to blame, and takes no
/// longer than host and path are long.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Entry<T>>,
    hosts: Keyed<Paths>,
    /// By `.b.example`.
    wildcards: Keyed<Paths>,
    any_host: Paths,
}

#[derive(Debug)]
struct Entry<T> {
    methods: Box<[Box<str>]>,
    listeners: Box<[Box<str>]>,
    payload: T,
}

/// The rules of one host and path, by number, those that list methods first.
type Group = Vec<usize>;

/// Longest host name that DNS knows; a longer one is nobody's.
const MAX_NAME: usize = 253;

impl<T> Table<T> {
    /// Compiles `rules`. Of two that are [`ambiguous`] the earlier one wins; the configuration refuses such pairs, and
    /// paths that do not begin with `/`.
    pub fn new(rules: impl IntoIterator<Item = Rule<T>>) -> Self {
        let mut entries = Vec::new();
        let mut hosts = KeyedBuilder::<PathsBuilder>::default();
        let mut wildcards = KeyedBuilder::<PathsBuilder>::default();
        let mut any_host = PathsBuilder::default();
        let boxed = |words: Vec<String>| words.into_iter().map(String::into_boxed_str).collect();
        let mut rules: Vec<_> = rules.into_iter().collect();
        // Stable: the order of the rules decides only where nothing else does.
        rules.sort_by_key(|rule| rule.methods.is_empty());
        for (number, rule) in rules.into_iter().enumerate() {
            if rule.hosts.is_empty() {
                any_host.add(rule.path.as_ref(), number);
            }
            for host in &rule.hosts {
                let paths = match host.strip_prefix('*') {
                    Some(suffix) => wildcards.entry(suffix),
                    None => hosts.entry(host),
                };
                paths.add(rule.path.as_ref(), number);
            }
            let (methods, listeners) = (boxed(rule.methods), boxed(rule.listeners));
            entries.push(Entry { methods, listeners, payload: rule.payload });
        }
        Self {
            entries,
            hosts: hosts.build(PathsBuilder::build),
            wildcards: wildcards.build(PathsBuilder::build),
            any_host: any_host.build(),
        }
    }

    /// The payload of the rule that takes a request. `host` is a name without a port ([`target::name_of`]), in any
    /// case; `path` is without the query.
    ///
    /// # Errors
    /// No rule takes it.
    pub fn find(&self, host: &str, path: &str, method: &str, listener: &str) -> Result<&T, NoMatch> {
        let host = Lowered::new(host);
        let found = self.visit(host.as_str(), path, &mut |group| {
            let mut fits = group.iter().filter_map(|number| self.entries.get(*number));
            match fits.find(|entry| entry.hears(listener) && entry.does(method)) {
                Some(entry) => Break(&entry.payload),
                None => Continue(()),
            }
        });
        match found {
            Break(payload) => Ok(payload),
            Continue(()) => Err(self.why_not(host.as_str(), path, listener)),
        }
    }

    /// The payloads, in no order that means anything.
    pub fn payloads(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.payload)
    }

    #[cold]
    fn why_not(&self, host: &str, path: &str, listener: &str) -> NoMatch {
        let mut allow = BTreeSet::new();
        let all = self.visit(host, path, &mut |group| {
            let entries = group.iter().filter_map(|number| self.entries.get(*number));
            allow
                .extend(entries.filter(|entry| entry.hears(listener)).flat_map(|entry| entry.methods.iter()));
            Continue::<()>(())
        });
        debug_assert!(all.is_continue());
        if allow.is_empty() {
            return NoMatch::NoRoute;
        }
        NoMatch::Method { allow: allow.into_iter().map(|method| method.to_string()).collect() }
    }

    /// Shows `see` every group that fits host and path, the most special one first.
    fn visit<'t, R>(
        &'t self,
        host: &str,
        path: &str,
        see: &mut impl FnMut(&'t Group) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
        if let Some(paths) = self.hosts.find(host) {
            paths.visit(path, see)?;
        }
        if !self.wildcards.is_empty() {
            // The first byte is left out: there must be something before the dot.
            let dots = host.bytes().enumerate().skip(1).filter(|(_, b)| *b == b'.');
            for suffix in dots.filter_map(|(at, _)| host.get(at..)) {
                if let Some(paths) = self.wildcards.find(suffix) {
                    paths.visit(path, see)?;
                }
            }
        }
        self.any_host.visit(path, see)
    }
}

impl<T> Entry<T> {
    fn hears(&self, listener: &str) -> bool {
        self.listeners.is_empty() || self.listeners.iter().any(|name| **name == *listener)
    }

    fn does(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|name| **name == *method)
    }
}

/// A host in lower case, without memory from the heap.
struct Lowered<'h> {
    host: &'h str,
    copy: Option<([u8; MAX_NAME], usize)>,
}

impl<'h> Lowered<'h> {
    fn new(host: &'h str) -> Self {
        // RFC 1034 §3.1: a final dot says that the name is whole, which it is here anyway.
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > MAX_NAME {
            return Self { host: "", copy: None };
        }
        let copy = host.bytes().any(|b| b.is_ascii_uppercase()).then(|| {
            let mut copy = [0; MAX_NAME];
            copy.iter_mut().zip(host.bytes()).for_each(|(to, from)| *to = from.to_ascii_lowercase());
            (copy, host.len())
        });
        Self { host, copy }
    }

    fn as_str(&self) -> &str {
        let copied = self.copy.as_ref().and_then(|(copy, len)| copy.get(..*len));
        copied.and_then(|copy| std::str::from_utf8(copy).ok()).unwrap_or(self.host)
    }
}

#[cfg(test)]
mod tests;
