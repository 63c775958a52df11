//! `include`: patterns → files. `*` and `?` in any part of the path, sorted by name.
//!
//! A pattern without wildcards names one file, which must be there; one with wildcards may find none.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::Serializer;

use super::files::reason;
use super::finding::quoted;
use super::text::text_newtype;

/// More files than anyone includes by design.
const MAX_FILES: usize = 1000;

text_newtype! {
    /// A path in which `*` and `?` stand for any characters and any one.
    pub struct Pattern;
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty, write a pattern such as conf.d/*.yaml".to_owned());
        }
        match ["[", "]", "{", "}", "**"].into_iter().find(|sign| text.contains(sign)) {
            Some(sign) => {
                Err(format!("{} has `{sign}`, patterns have `*` and `?` only: conf.d/*.yaml", quoted(text)))
            }
            None => Ok(Self(text.into())),
        }
    }
}

/// Writes an empty list: what was included is part of the configuration by then.
pub(super) fn write_none<S: Serializer>(_: &[Pattern], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(std::iter::empty::<&str>())
}

/// The files that `pattern`, which starts at `folder`, finds.
pub(super) fn find(folder: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>, String> {
    let pattern = pattern.as_str();
    let wrong = quoted(pattern);
    // An absolute pattern begins with the root, which replaces the folder when it is pushed.
    let mut found = vec![folder.to_owned()];
    for part in Path::new(pattern).components() {
        let part_text = part.as_os_str().to_string_lossy().into_owned();
        if matches!(part, Component::Normal(_)) && has_wildcard(&part_text) {
            let mut deeper = Vec::new();
            for place in &found {
                deeper.extend(matching(place, &part_text).map_err(|e| {
                    format!(
                        "{wrong}: `{}` cannot be listed ({}), name a folder that is there",
                        place.display(),
                        reason(&e)
                    )
                })?);
            }
            found = deeper;
        } else {
            for place in &mut found {
                place.push(part);
            }
        }
        if found.len() > MAX_FILES {
            return Err(format!("{wrong} finds more than {MAX_FILES} files, write a narrower pattern"));
        }
    }
    if has_wildcard(pattern) {
        found.retain(|path| path.is_file());
    } else if let Some(path) = found.iter().find(|path| !path.is_file()) {
        return Err(format!(
            "there is no file `{}`, name one or write a pattern such as conf.d/*.yaml",
            path.display()
        ));
    }
    found.sort();
    Ok(found)
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn matching(folder: &Path, pattern: &str) -> std::io::Result<Vec<PathBuf>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if !folder.is_dir() && folder.exists() {
        return Ok(Vec::new());
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name: Vec<char> = entry.file_name().to_string_lossy().chars().collect();
        // As in a shell: hidden files only by their dot.
        let hidden = name.first() == Some(&'.') && pattern.first() != Some(&'.');
        if !hidden && fits(&pattern, &name) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// `*` any characters, `?` one. Linear in the product of the lengths.
fn fits(pattern: &[char], name: &[char]) -> bool {
    // reached[n]: the pattern so far fits the first n characters.
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for p in pattern {
        let mut next = Vec::with_capacity(reached.len());
        let mut before = false;
        for (n, here) in reached.iter().enumerate() {
            let last = n.checked_sub(1).and_then(|n| name.get(n));
            let fits = match p {
                '*' => *here || next.last() == Some(&true),
                '?' => before,
                c => before && last == Some(c),
            };
            next.push(fits);
            before = *here;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn wildcards_fit_as_in_a_shell() {
        let fits = |pattern: &str, name: &str| {
            super::fits(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
        };
        assert!(fits("*.yaml", "a.yaml") && fits("*", "") && fits("a?c", "abc") && fits("*a*b*", "xxaxxbxx"));
        assert!(!fits("*.yaml", "a.yml") && !fits("a?c", "ac") && !fits("", "a") && !fits("*a*b", "ba"));
    }

    #[test]
    fn files_are_found_sorted_and_hidden_ones_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", ".hidden.yaml", "c.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("d.yaml")).unwrap();
        let found = find(folder.path(), &"*.yaml".parse().unwrap()).unwrap();
        assert_eq!(found, [folder.path().join("a.yaml"), folder.path().join("b.yaml")]);
        assert_eq!(find(folder.path(), &"none-*.yaml".parse().unwrap()).unwrap(), Vec::<PathBuf>::new());
        assert_eq!(find(folder.path(), &"c.txt".parse().unwrap()).unwrap(), [folder.path().join("c.txt")]);
    }
}
