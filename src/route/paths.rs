//! The rules of one host by path: exact, template, prefix, any, in this order.
//!
//! Templates and prefixes are tries of segments. A walk down reads each segment once, however many segments a client
//! sends and however many rules there are. Only templates turn back, where a rule has text and another a variable in
//! the same place, so that is bounded by what the operator wrote.

use std::ops::ControlFlow::{self, Continue};

use super::keyed::{Keyed, KeyedBuilder};
use super::{Group, Path};

#[derive(Debug)]
pub(super) struct Paths {
    exact: Keyed<Group>,
    templates: Template,
    prefixes: Prefix,
    any: Group,
}

/// A node of the trie of templates.
#[derive(Debug)]
struct Template {
    text: Keyed<Template>,
    variable: Option<Box<Template>>,
    here: Group,
}

/// A node of the trie of prefixes.
#[derive(Debug)]
struct Prefix {
    next: Keyed<Prefix>,
    /// `/o`: this node's path and what is below it.
    here: Group,
    /// `/o/`: only what is below it.
    below: Group,
}

impl Paths {
    /// Shows `see` every group that fits `path`, the most special one first.
    pub(super) fn visit<'t, R>(
        &'t self,
        path: &str,
        see: &mut impl FnMut(&'t Group) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
        if let Some(group) = self.exact.find(path) {
            see(group)?;
        }
        if let Some(segments) = path.strip_prefix('/') {
            self.templates.visit(Some(segments), see)?;
            self.prefixes.visit(Some(segments), see)?;
        }
        see(&self.any)
    }
}

/// The first of the segments that are left, and the others. `None` is the end; `Some("")` is one empty segment.
fn first(segments: &str) -> (&str, Option<&str>) {
    match segments.split_once('/') {
        Some((segment, others)) => (segment, Some(others)),
        None => (segments, None),
    }
}

impl Template {
    fn visit<'t, R>(
        &'t self,
        left: Option<&str>,
        see: &mut impl FnMut(&'t Group) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
        let Some((segment, others)) = left.map(first) else { return see(&self.here) };
        if let Some(node) = self.text.find(segment) {
            node.visit(others, see)?;
        }
        match &self.variable {
            Some(node) if !segment.is_empty() => node.visit(others, see),
            _ => Continue(()),
        }
    }
}

impl Prefix {
    /// The deepest node is seen first: the recursion is as deep as the longest prefix that fits.
    fn visit<'t, R>(
        &'t self,
        left: Option<&str>,
        see: &mut impl FnMut(&'t Group) -> ControlFlow<R>,
    ) -> ControlFlow<R> {
        if let Some((segment, others)) = left.map(first) {
            if let Some(node) = self.next.find(segment) {
                node.visit(others, see)?;
            }
            see(&self.below)?;
        }
        see(&self.here)
    }
}

#[derive(Debug, Default)]
pub(super) struct PathsBuilder {
    exact: KeyedBuilder<Group>,
    templates: TemplateBuilder,
    prefixes: PrefixBuilder,
    any: Group,
}

#[derive(Debug, Default)]
struct TemplateBuilder {
    text: KeyedBuilder<TemplateBuilder>,
    variable: Option<Box<TemplateBuilder>>,
    here: Group,
}

#[derive(Debug, Default)]
struct PrefixBuilder {
    next: KeyedBuilder<PrefixBuilder>,
    here: Group,
    below: Group,
}

impl PathsBuilder {
    pub(super) fn add(&mut self, path: Option<&Path>, number: usize) {
        match path {
            None => self.any.push(number),
            Some(Path::Exact(path)) => self.exact.entry(path).push(number),
            Some(Path::Template(path)) => {
                let node = segments(path).fold(&mut self.templates, |node, segment| {
                    if is_variable(segment) {
                        node.variable.get_or_insert_default()
                    } else {
                        node.text.entry(segment)
                    }
                });
                node.here.push(number);
            }
            Some(Path::Prefix(path)) => {
                let (path, only_below) = match path.strip_suffix('/') {
                    Some(path) => (path, true),
                    None => (path.as_str(), false),
                };
                let node = segments(path).fold(&mut self.prefixes, |node, segment| node.next.entry(segment));
                if only_below { node.below.push(number) } else { node.here.push(number) }
            }
        }
    }

    pub(super) fn build(self) -> Paths {
        Paths {
            exact: self.exact.build(|group| group),
            templates: self.templates.build(),
            prefixes: self.prefixes.build(),
            any: self.any,
        }
    }
}

impl TemplateBuilder {
    fn build(self) -> Template {
        Template {
            text: self.text.build(Self::build),
            variable: self.variable.map(|node| Box::new(node.build())),
            here: self.here,
        }
    }
}

impl PrefixBuilder {
    fn build(self) -> Prefix {
        Prefix { next: self.next.build(Self::build), here: self.here, below: self.below }
    }
}

/// What stands between the slashes of a rule's path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

/// Whether a template's segment takes any segment that is not empty.
pub(super) fn is_variable(segment: &str) -> bool {
    segment.len() > 2 && segment.starts_with('{') && segment.ends_with('}')
}
