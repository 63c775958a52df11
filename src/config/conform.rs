//! A tree against the schema: unknown keys, wrong types, units and ranges are refused at their place, the rest becomes
//! a value that serde reads.
//!
//! It goes on after an error: a refused value is left out (its default stands in), so that one run finds them all.
//! Types come from the schema, not from YAML's guesses: `off` stays a word, `1.3` stays text.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::expand::Environment;
use super::finding::quoted;
use super::leaf;
use super::name::Name;
use super::report::{Report, Spot};
use super::schema::{Key, Leaf, Schema};
use super::suggest;
use super::tree::{Entry, Kind, Node, Position};

/// One walk through one file.
pub(super) struct Walk<'a> {
    /// The folder at which relative paths start.
    pub(super) folder: &'a Path,
    pub(super) environment: Environment<'a>,
    pub(super) report: &'a mut Report,
}

impl Walk<'_> {
    /// The value at `spot`, or `None` when it was refused.
    pub(super) fn value(&mut self, schema: &Schema, node: &Node, at: Position, spot: &Spot) -> Option<Value> {
        self.report.stands_at(spot, at);
        match (schema, &node.kind) {
            (Schema::Section { keys, one_of }, Kind::Map(entries)) => {
                self.section(keys, *one_of, entries, at, spot)
            }
            (Schema::Section { keys, one_of }, Kind::Null) => self.section(keys, *one_of, &[], at, spot),
            (Schema::Named(of), Kind::Map(entries)) => Some(self.named(of, entries, spot)),
            (Schema::List { of, at_least_one, each_alone }, Kind::List(nodes)) => {
                if *at_least_one && nodes.is_empty() {
                    return self.refuse(spot, at, format!("is empty, write at least one, {}", of.describe()));
                }
                self.list(of, nodes, *each_alone, spot)
            }
            (Schema::OneOrList(of), Kind::List(nodes)) => {
                if nodes.is_empty() {
                    return self.refuse(spot, at, format!("is empty, write at least one, {}", of.describe()));
                }
                self.list(of, nodes, false, spot)
            }
            (Schema::OneOrList(of), Kind::Scalar { .. } | Kind::Map(_)) => {
                self.value(of, node, at, spot).map(|one| Value::Sequence(vec![one]))
            }
            (Schema::Leaf(leaf), Kind::Scalar { text, plain }) => {
                self.scalar(&[leaf], text, *plain, at, spot)
            }
            (Schema::Shapes(shapes), _) => self.shapes(schema, shapes, node, at, spot),
            _ => self.wrong_shape(schema, node, at, spot),
        }
    }

    fn section(
        &mut self,
        keys: &[Key],
        one_of: bool,
        entries: &[Entry],
        at: Position,
        spot: &Spot,
    ) -> Option<Value> {
        let mut out = Mapping::new();
        let mut whole = true;
        for entry in entries {
            let below = spot.key(&entry.key);
            let Some(key) = keys.iter().find(|k| k.name == entry.key) else {
                let here = keys.iter().filter(|k| !matches!(k.schema, Schema::Elsewhere(_)));
                let known: Vec<_> = here.map(|k| k.name).collect();
                self.report.refuse(
                    &below,
                    entry.at,
                    format!("unknown key{}", suggest::hint(&entry.key, &known)),
                );
                continue;
            };
            if let Schema::Elsewhere(why) = key.schema {
                self.report.refuse(&below, entry.at, why);
                continue;
            }
            match self.value(&key.schema, &entry.value, place(entry), &below) {
                Some(value) => drop(out.insert(key.name.into(), value)),
                None => whole &= !(key.required || one_of),
            }
        }
        for key in keys.iter().filter(|k| k.required) {
            let below = spot.key(key.name);
            if !self.report.is_written(&below) {
                self.report.refuse(&below, at, format!("is missing, write {}", key.schema.describe()));
                whole = false;
            }
        }
        if one_of && entries.len() != 1 {
            let names: Vec<_> = keys.iter().map(|k| k.name).collect();
            let found = if entries.is_empty() { "is empty" } else { "has more than one key" };
            return self.refuse(spot, at, format!("{found}, write exactly one: {}", suggest::any_of(&names)));
        }
        if !whole {
            self.report.spoil(spot);
        }
        whole.then_some(Value::Mapping(out))
    }

    fn named(&mut self, of: &Schema, entries: &[Entry], spot: &Spot) -> Value {
        let mut out = Mapping::new();
        for entry in entries {
            let below = spot.key(&entry.key);
            if let Err(message) = entry.key.parse::<Name>() {
                self.report.refuse(&below, entry.at, message);
                continue;
            }
            if let Some(value) = self.value(of, &entry.value, place(entry), &below) {
                out.insert(entry.key.as_str().into(), value);
            }
        }
        Value::Mapping(out)
    }

    fn list(&mut self, of: &Schema, nodes: &[Node], each_alone: bool, spot: &Spot) -> Option<Value> {
        let mut out = Vec::with_capacity(nodes.len());
        let mut kept = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            if let Some(value) = self.value(of, node, node.at, &spot.item(index)) {
                out.push(value);
                kept.push(index);
            }
        }
        let whole = kept.len() == nodes.len();
        self.report.keep(spot, kept);
        if whole || each_alone {
            Some(Value::Sequence(out))
        } else {
            self.report.spoil(spot);
            None
        }
    }

    fn shapes(
        &mut self,
        all: &Schema,
        shapes: &[Schema],
        node: &Node,
        at: Position,
        spot: &Spot,
    ) -> Option<Value> {
        if let Kind::Scalar { text, plain } = &node.kind {
            let leaves: Vec<&Leaf> = shapes
                .iter()
                .filter_map(|shape| if let Schema::Leaf(leaf) = shape { Some(leaf) } else { None })
                .collect();
            return match leaves.as_slice() {
                [] => self.wrong_shape(all, node, at, spot),
                leaves if leaves.len() == shapes.len() && values(leaves) < 2 => {
                    self.scalar(leaves, text, *plain, at, spot)
                }
                // Where a map or list, or another kind of value, could stand as well, it belongs into the message.
                leaves => self.scalar_or(all, leaves, text, *plain, at, spot),
            };
        }
        let fits = |shape: &&Schema| {
            matches!(
                (shape, &node.kind),
                (Schema::Section { .. } | Schema::Named(_), Kind::Map(_))
                    | (Schema::List { .. } | Schema::OneOrList(_), Kind::List(_))
            )
        };
        match shapes.iter().find(fits) {
            Some(shape) => self.value(shape, node, at, spot),
            None => self.wrong_shape(all, node, at, spot),
        }
    }

    fn scalar(
        &mut self,
        leaves: &[&Leaf],
        text: &str,
        plain: bool,
        at: Position,
        spot: &Spot,
    ) -> Option<Value> {
        match leaf::read_any(leaves, text, plain, self.folder, self.environment) {
            Ok(value) => Some(value),
            Err(message) => self.refuse(spot, at, message),
        }
    }

    fn scalar_or(
        &mut self,
        all: &Schema,
        leaves: &[&Leaf],
        text: &str,
        plain: bool,
        at: Position,
        spot: &Spot,
    ) -> Option<Value> {
        match leaf::read_any(leaves, text, plain, self.folder, self.environment) {
            Ok(value) => Some(value),
            Err(message) if message.contains("did you mean") => self.refuse(spot, at, message),
            Err(_) => {
                self.refuse(spot, at, format!("{} is not known here, write {}", quoted(text), all.describe()))
            }
        }
    }

    fn wrong_shape(&mut self, schema: &Schema, node: &Node, at: Position, spot: &Spot) -> Option<Value> {
        let found = match &node.kind {
            Kind::Null => "has no value".to_owned(),
            Kind::Scalar { text, .. } => format!("{} is a single value", quoted(text)),
            Kind::List(_) => "is a list".to_owned(),
            Kind::Map(_) => "is a map".to_owned(),
        };
        self.refuse(spot, at, format!("{found}, write {}", schema.describe()))
    }

    fn refuse(&mut self, spot: &Spot, at: Position, message: String) -> Option<Value> {
        self.report.refuse(spot, at, message);
        None
    }
}

/// How many of them are more than a word.
fn values(leaves: &[&Leaf]) -> usize {
    leaves.iter().filter(|leaf| !matches!(leaf, Leaf::Words(_) | Leaf::Absent(_))).count()
}

/// Where an editor should jump: to a scalar itself, to the key of a list, a map or nothing.
pub(super) fn place(entry: &Entry) -> Position {
    match entry.value.kind {
        Kind::Scalar { .. } => entry.value.at,
        Kind::Null | Kind::List(_) | Kind::Map(_) => entry.at,
    }
}
