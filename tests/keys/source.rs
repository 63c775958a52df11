//! What a test sets, by the text of its function and of what that names.
//!
//! It knows just enough of Rust as rustfmt writes it: a function ends at the first brace of its own indentation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What `conf::minimal` and the other words of configurations set.
const CONF: &str = "testing/src/conf.rs";

/// The files of the `it` binary by module, and [`CONF`] as `conf`.
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(files.into_iter().map(|(module, text)| (module.to_owned(), text.to_owned())).collect())
    }

    pub fn read(root: &str) -> Self {
        let mut files = BTreeMap::new();
        read_below(&Path::new(root).join("tests/it"), "", &mut files);
        files.insert("conf".to_owned(), std::fs::read_to_string(Path::new(root).join(CONF)).unwrap());
        Self(files)
    }

    /// Whether a test is there, is run, and sets the key with these names; else what is wrong.
    pub fn sets(&self, test: &str, names: &[&str]) -> Result<(), String> {
        let Some((module, function)) = test.rsplit_once("::") else {
            return Err(format!(
                "`{test}` is not MODULE::TEST, such as `sharing::a_small_body_takes_no_place`"
            ));
        };
        let file = format!("tests/it/{}.rs", module.replace("::", "/"));
        let text = self.0.get(module).filter(|_| module != "conf").ok_or(format!("there is no {file}"))?;
        let (above, name) = module.rsplit_once("::").unwrap_or(("main", module));
        let declares = |text: &String| text.lines().any(|line| line == format!("mod {name};"));
        if !self.0.get(above).is_some_and(declares) {
            let above = above.replace("::", "/");
            return Err(format!("{file} is never run: tests/it/{above}.rs does not name it"));
        }
        let all = items(text);
        let found = all.iter().find(|item| item.name == function);
        let found = found.ok_or(format!("{file} has no function `{function}`"))?;
        if !found.attributes.iter().any(|line| *line == "#[test]" || line.starts_with("#[tokio::test")) {
            return Err(format!("`{function}` is no test: it has neither #[test] nor #[tokio::test]"));
        }
        if found.attributes.iter().any(|line| line.starts_with("#[ignore")) {
            return Err(format!("`{function}` is never run: it is ignored"));
        }
        let above = self.0.get(above).map_or("", String::as_str);
        self.names(test, &[text, above], found, names)
    }

    fn names(&self, test: &str, texts: &[&str], found: &Item<'_>, names: &[&str]) -> Result<(), String> {
        let reached = self.reached(texts, found);
        let (last, before) = names.split_last().ok_or("the key has no name".to_owned())?;
        if !is_set(&reached, last) {
            return Err(format!("{test} does not set `{last}`, nor does what it calls"));
        }
        if let Some(name) = before.iter().find(|name| !words(&reached).any(|word| word == **name)) {
            return Err(format!(
                "{test} does not name `{name}`, of which the key is part, nor does what it calls"
            ));
        }
        Ok(())
    }

    /// The text of an item and of all that it names: in its own file, in the one above, in the modules that these use, in
    /// [`CONF`].
    fn reached(&self, texts: &[&str], found: &Item<'_>) -> String {
        let lines = texts.iter().flat_map(|text| text.lines());
        let used = lines.filter_map(|line| line.strip_prefix("use crate::"));
        let used = used.filter_map(|path| self.0.get(path.split([':', ';', ' ']).next()?));
        let known: Vec<_> = texts
            .iter()
            .copied()
            .chain(used.map(String::as_str))
            .chain(self.0.get("conf").map(String::as_str))
            .flat_map(items)
            .collect();
        let (mut reached, mut todo) = (String::new(), vec![found.text.clone()]);
        let mut seen = BTreeSet::from([found.name]);
        while let Some(text) = todo.pop() {
            let named: BTreeSet<_> = words(&text).collect();
            for item in known.iter().filter(|item| named.contains(item.name)) {
                // Two items may have one name: a method of each of two types.
                if !seen.contains(item.name) {
                    todo.extend(
                        known.iter().filter(|other| other.name == item.name).map(|other| other.text.clone()),
                    );
                    seen.insert(item.name);
                }
            }
            reached.push_str(&text);
        }
        reached
    }
}

fn read_below(folder: &Path, above: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{above}{}", path.file_stem().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_below(&path, &format!("{name}::"), files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// A function or a constant, with the attributes above it.
struct Item<'a> {
    name: &'a str,
    attributes: Vec<&'a str>,
    text: String,
}

fn items(text: &str) -> Vec<Item<'_>> {
    let lines: Vec<_> = text.lines().collect();
    let item = |(at, line): (usize, &&'_ str)| -> Option<Item<'_>> {
        let body = lines[at].trim_start();
        let indent = &line[..line.len() - body.len()];
        let mut rest = body;
        for word in ["pub ", "pub(crate) ", "pub(super) ", "async "] {
            rest = rest.strip_prefix(word).unwrap_or(rest);
        }
        let function = rest.strip_prefix("fn ");
        let rest =
            function.or_else(|| rest.strip_prefix("const ")).or_else(|| rest.strip_prefix("static "))?;
        let name = &rest[..rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len())];
        let brace = format!("{indent}}}");
        let ends = |line: &str| if function.is_some() { line == brace } else { line.ends_with(';') };
        let one_line = body.ends_with('}') && function.is_some();
        let length = if one_line { 1 } else { lines[at..].iter().position(|line| ends(line))? + 1 };
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with("#[")).copied();
        Some(Item {
            name,
            attributes: attributes.map(str::trim).collect(),
            text: lines[at..at + length].join("\n") + "\n",
        })
    };
    lines.iter().enumerate().filter_map(item).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty())
}

/// Whether a key with this name is set: `{ name: … }`, `section.name"` or `"name"`, but for `line["name"]`, which reads.
fn is_set(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        match after.chars().next() {
            Some(':') => !before.ends_with(is_of_word),
            Some('"') => {
                before.ends_with('.')
                    || (before.ends_with('"') && !(before.ends_with("[\"") && after.starts_with("\"]")))
            }
            _ => false,
        }
    })
}
