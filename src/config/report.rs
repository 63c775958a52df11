//! The notebook of a load: where every key stands, and what was found.
//!
//! A key whose value was refused is *spoiled*: its default stands in so that the other checks can go on, and no check
//! that leans on it complains a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::tree::Position;

/// A key in one of the files: `routes[1].cluster` in file 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) file: usize,
    pub(super) path: String,
}

impl Spot {
    /// The whole file.
    pub(super) fn root(file: usize) -> Self {
        Self { file, path: String::new() }
    }

    /// The key below this one.
    pub(super) fn key(&self, key: &str) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { file: self.file, path }
    }

    /// An item of the list at this key.
    pub(super) fn item(&self, index: usize) -> Self {
        Self { file: self.file, path: format!("{}[{index}]", self.path) }
    }

    /// The key or item that holds this one.
    fn holder(&self) -> Option<Self> {
        let end = self.path.rfind(['.', '['])?;
        Some(Self { file: self.file, path: self.path.get(..end)?.to_owned() })
    }
}

#[derive(Default)]
pub(super) struct Report {
    files: Vec<PathBuf>,
    places: BTreeMap<Spot, Position>,
    spoiled: BTreeSet<Spot>,
    kept: BTreeMap<Spot, Vec<usize>>,
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
}

impl Report {
    /// Number of the file in [`Spot`]s.
    pub(super) fn add_file(&mut self, file: PathBuf) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The key stands here.
    pub(super) fn stands_at(&mut self, spot: &Spot, at: Position) {
        self.places.insert(spot.clone(), at);
    }

    /// Whether the key is written, rightly or wrongly.
    pub(super) fn is_written(&self, spot: &Spot) -> bool {
        self.places.contains_key(spot)
    }

    /// Whether the key's value was refused, so that what is in the configuration in its place was not meant.
    pub(super) fn is_spoiled(&self, spot: &Spot) -> bool {
        self.spoiled.contains(spot)
    }

    /// What is in the configuration at this key was not meant.
    pub(super) fn spoil(&mut self, spot: &Spot) {
        self.spoiled.insert(spot.clone());
    }

    /// These items of the list at `spot` were right.
    pub(super) fn keep(&mut self, spot: &Spot, items: Vec<usize>) {
        self.kept.insert(spot.clone(), items);
    }

    /// Which items of the list at `spot` were right.
    pub(super) fn kept(&self, spot: &Spot) -> &[usize] {
        self.kept.get(spot).map_or(&[], Vec::as_slice)
    }

    /// Where the key stands, or what holds it, or the file begins.
    pub(super) fn position(&self, spot: &Spot) -> Position {
        let mut spot = spot.clone();
        loop {
            if let Some(at) = self.places.get(&spot) {
                return *at;
            }
            match spot.holder() {
                Some(holder) => spot = holder,
                None => return Position::START,
            }
        }
    }

    /// The key's place for another's message: `12:3`, or `FILE:12:3` when seen from another file.
    pub(super) fn place(&self, of: &Spot, seen_from: &Spot) -> String {
        let Position { line, column } = self.position(of);
        if of.file == seen_from.file {
            format!("{line}:{column}")
        } else {
            format!("{}:{line}:{column}", self.file(of).display())
        }
    }

    /// The value at this key is refused.
    pub(super) fn refuse(&mut self, spot: &Spot, at: Position, message: impl Into<String>) {
        self.spoiled.insert(spot.clone());
        let finding = self.finding(spot, at, message.into());
        self.errors.push(finding);
    }

    /// Something is wrong with this key as the others are; said once, and not where the value itself was refused.
    pub(super) fn error(&mut self, spot: &Spot, message: impl Into<String>) {
        if !self.is_spoiled(spot) {
            let at = self.position(spot);
            let finding = self.finding(spot, at, message.into());
            self.errors.push(finding);
        }
    }

    /// Legal, and risky.
    pub(super) fn warn(&mut self, spot: &Spot, message: impl Into<String>) {
        let at = self.position(spot);
        let finding = self.finding(spot, at, message.into());
        self.warnings.push(finding);
    }

    fn finding(&self, spot: &Spot, at: Position, message: String) -> Finding {
        let Position { line, column } = at;
        Finding { file: self.file(spot).to_owned(), line, column, key: spot.path.clone(), message }
    }

    fn file(&self, spot: &Spot) -> &Path {
        self.files.get(spot.file).map_or(Path::new(""), PathBuf::as_path)
    }
}
