//! What keys there are, and what each may hold: one table, declared section by section.
//!
//! The table drives the check of a file, "did you mean", and the JSON schema. It does not hold defaults (the structs'
//! `Default` does) and nothing that concerns two keys at once (`references`, `ambiguity` and `safety` do).

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::suggest::any_of;
use super::units::{format_duration, format_size};

/// What stands behind a key.
pub(super) enum Schema {
    /// A map with known keys; with `one_of`, exactly one of them.
    Section { keys: Vec<Key>, one_of: bool },
    /// A map from names that the operator chooses. A wrong entry is left out, the others go on.
    Named(Box<Schema>),
    /// A list; with `each_alone` a wrong item is left out and the others go on, else the list counts as wrong.
    List { of: Box<Schema>, at_least_one: bool, each_alone: bool },
    /// One item or a list of them; it always arrives as a list.
    OneOrList(Box<Schema>),
    /// A scalar.
    Leaf(Leaf),
    /// A key that is known, and refused in this file for this reason.
    Elsewhere(&'static str),
    /// Told apart by shape; of several scalars, words first.
    Shapes(Vec<Schema>),
}

/// What a scalar may be.
pub(super) enum Leaf {
    Flag,
    Number {
        min: u64,
        max: u64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    Size {
        min: u64,
        max: u64,
    },
    Share,
    /// One of these words.
    Words(&'static [&'static str]),
    /// The word for "not there": it arrives as null.
    Absent(&'static str),
    /// Text with a form of its own.
    Text {
        what: &'static str,
        check: fn(&str) -> Result<(), String>,
    },
    /// An address; with `dialled` its port is not 0. Relative socket paths start at the file's folder.
    Address {
        dialled: bool,
    },
    /// A path, made absolute from the file's folder.
    Path,
    /// A file that must be there and pass the check, its path made absolute.
    File {
        what: &'static str,
        check: fn(&Path) -> Result<(), String>,
    },
}

/// One key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// One line for who reads the JSON schema.
    pub(super) about: &'static str,
    pub(super) required: bool,
    pub(super) schema: Schema,
}

impl Key {
    /// Without it there is no sense to be made of the section.
    pub(super) fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

pub(super) fn key(name: &'static str, about: &'static str, schema: Schema) -> Key {
    Key { name, about, required: false, schema }
}

pub(super) fn section(keys: impl Into<Vec<Key>>) -> Schema {
    Schema::Section { keys: keys.into(), one_of: false }
}

pub(super) fn one_of(keys: impl Into<Vec<Key>>) -> Schema {
    Schema::Section { keys: keys.into(), one_of: true }
}

pub(super) fn named(each: Schema) -> Schema {
    Schema::Named(Box::new(each))
}

pub(super) fn list(of: Schema) -> Schema {
    Schema::List { of: Box::new(of), at_least_one: false, each_alone: false }
}

pub(super) fn list_of_some(of: Schema) -> Schema {
    Schema::List { of: Box::new(of), at_least_one: true, each_alone: false }
}

/// A list whose items are things of their own, such as routes.
pub(super) fn items(of: Schema, at_least_one: bool) -> Schema {
    Schema::List { of: Box::new(of), at_least_one, each_alone: true }
}

pub(super) fn one_or_list(of: Schema) -> Schema {
    Schema::OneOrList(Box::new(of))
}

pub(super) fn flag() -> Schema {
    Schema::Leaf(Leaf::Flag)
}

pub(super) fn number(min: u64, max: u64) -> Schema {
    Schema::Leaf(Leaf::Number { min, max })
}

pub(super) fn duration(min: Duration, max: Duration) -> Schema {
    Schema::Leaf(Leaf::Duration { min, max })
}

pub(super) fn size(min: u64, max: u64) -> Schema {
    Schema::Leaf(Leaf::Size { min, max })
}

pub(super) fn share() -> Schema {
    Schema::Leaf(Leaf::Share)
}

pub(super) fn words(words: &'static [&'static str]) -> Schema {
    Schema::Leaf(Leaf::Words(words))
}

/// `word` for "not there", else what `schema` says.
pub(super) fn absent_or(word: &'static str, schema: Schema) -> Schema {
    Schema::Shapes(vec![Schema::Leaf(Leaf::Absent(word)), schema])
}

pub(super) fn shapes(shapes: impl Into<Vec<Schema>>) -> Schema {
    Schema::Shapes(shapes.into())
}

/// Text that `T` reads; `what` completes "write …".
pub(super) fn text<T: FromStr<Err = String>>(what: &'static str) -> Schema {
    Schema::Leaf(Leaf::Text { what, check: |text| text.parse::<T>().map(drop) })
}

pub(super) fn address() -> Schema {
    Schema::Leaf(Leaf::Address { dialled: false })
}

pub(super) fn dialled_address() -> Schema {
    Schema::Leaf(Leaf::Address { dialled: true })
}

pub(super) fn path() -> Schema {
    Schema::Leaf(Leaf::Path)
}

pub(super) fn file(what: &'static str, check: fn(&Path) -> Result<(), String>) -> Schema {
    Schema::Leaf(Leaf::File { what, check })
}

impl Schema {
    /// Completes "write …".
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Section { keys, one_of } => {
                let keys: Vec<_> = keys.iter().map(|k| k.name).collect();
                match (one_of, keys.as_slice()) {
                    (true, keys) => format!("a map with the key {}", any_of(keys)),
                    (false, keys) => format!("a map with the keys {}", keys.join(", ")),
                }
            }
            Self::Named(_) => "a map from names to their settings".to_owned(),
            Self::List { of, .. } => format!("a list, each item {}", of.describe()),
            Self::OneOrList(of) => format!("{}, or a list of such", of.describe()),
            Self::Leaf(leaf) => leaf.describe(),
            Self::Elsewhere(why) => (*why).to_owned(),
            Self::Shapes(shapes) => shapes.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
        }
    }
}

impl Leaf {
    fn describe(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration { min, max } => {
                format!("a duration from {} to {}", format_duration(*min), format_duration(*max))
            }
            Self::Size { min, max } => format!("a size from {} to {}", format_size(*min), format_size(*max)),
            Self::Share => "a share such as 20%".to_owned(),
            Self::Words(words) => any_of(words),
            Self::Absent(word) => (*word).to_owned(),
            Self::Text { what, .. } | Self::File { what, .. } => (*what).to_owned(),
            Self::Address { .. } => "HOST:PORT, [IPV6]:PORT or unix:/path".to_owned(),
            Self::Path => "a path".to_owned(),
        }
    }
}
