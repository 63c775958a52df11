//! YAML text → a small tree in which every key and value knows its line and column.
//!
//! Bounded before it is built: depth, nodes, and what aliases multiply. It knows nothing of the gateway's keys,
//! resolves no types (`5` and `"5"` are told apart, nothing more) and fills in no variables.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Nesting that no honest configuration needs.
const MAX_DEPTH: usize = 32;
/// Nodes of one file, aliases counted as often as they are used.
const MAX_NODES: usize = 50_000;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) kind: Kind,
    /// Nodes in here, this one included.
    nodes: usize,
    /// Levels below this one.
    height: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing after the colon, `~` or `null`.
    Null,
    /// `plain`: written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) value: Node,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct Tree {
    /// `None` when there is nothing but comments.
    pub(super) root: Option<Node>,
    /// Keys that stand twice in their map; the first is in the tree.
    pub(super) duplicates: Vec<TreeError>,
}

/// What is wrong with a text, and in which key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TreeError {
    pub(super) at: Position,
    pub(super) path: String,
    pub(super) message: String,
}

/// The tree of a text.
pub(super) fn parse(text: &str) -> Result<Tree, TreeError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (at, step) = match event {
            Ok((event, span)) => {
                let at = Position::from(&span.start);
                (at, builder.handle_event(event, at))
            }
            Err(e) => (Position::from(e.marker()), Err(not_yaml(text, e.marker(), e.info()))),
        };
        step.map_err(|message| TreeError { at, path: builder.path(), message })?;
    }
    Ok(Tree { root: builder.root, duplicates: builder.duplicates })
}

fn not_yaml(text: &str, marker: &Marker, info: &str) -> String {
    let at = Position::from(marker);
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let fix = if indent.contains('\t') {
        "indent with spaces instead of tabs"
    } else if info.contains("unknown anchor") {
        "define the anchor with `&name` above its first use"
    } else if info.contains("quoted scalar") {
        "close the quotes"
    } else if info.contains("unexpected character") {
        "put the value in quotes"
    } else {
        "check the indentation of this line, the colons, brackets and quotes here and above"
    };
    format!("not valid YAML ({info}), {fix}")
}

/// A collection whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Position)>,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    documents: usize,
    nodes: usize,
    duplicates: Vec<TreeError>,
}

impl Builder {
    fn handle_event(&mut self, event: Event<'_>, at: Position) -> Result<(), String> {
        let fail = |message: &str| Err(message.to_owned());
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return fail(
                        "a second document begins here, write one document without `---` in between",
                    );
                }
                Ok(())
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                fail("YAML tags (`!…`) have no meaning here, remove the tag or put the value in quotes")
            }
            Event::Scalar(text, style, anchor, None) => {
                let plain = style == ScalarStyle::Plain;
                let kind = match text.as_ref() {
                    "" | "~" | "null" if plain => Kind::Null,
                    _ => Kind::Scalar { text: text.into_owned(), plain },
                };
                self.count(1)?;
                self.close(Node { at, kind, nodes: 1, height: 0 }, anchor)
            }
            Event::SequenceStart(anchor, None) => self.begin(Kind::List(Vec::new()), anchor, at),
            Event::MappingStart(anchor, None) => self.begin(Kind::Map(Vec::new()), anchor, at),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open.node, open.anchor),
                None => fail("a list or map ends here that never began, check the brackets"),
            },
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return fail("an anchor that contains itself, write the value out");
                };
                let (nodes, height) = (node.nodes, node.height);
                self.count(nodes)?;
                if self.open.len() + height > MAX_DEPTH {
                    return fail(&too_deep());
                }
                let node = self.anchors.get(&anchor).cloned();
                node.map_or(Ok(()), |node| self.close(node, 0))
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Where the text has got to, as a key path.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match (&open.node.kind, &open.key) {
                (Kind::List(items), _) => path.push_str(&format!("[{}]", items.len())),
                (_, Some((key, _))) if path.is_empty() => path.push_str(key),
                (_, Some((key, _))) => path.extend([".", key.as_str()]),
                (_, None) => {}
            }
        }
        path
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(format!(
                "more than {MAX_NODES} values (aliases counted as often as used), write less or split the file"
            ));
        }
        Ok(())
    }

    fn begin(&mut self, kind: Kind, anchor: usize, at: Position) -> Result<(), String> {
        self.count(1)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        self.open.push(Open { node: Node { at, kind, nodes: 1, height: 0 }, anchor, key: None });
        Ok(())
    }

    /// A value is whole: it goes to its anchor and into its parent.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.node.nodes = parent.node.nodes.saturating_add(node.nodes);
        parent.node.height = parent.node.height.max(node.height + 1);
        match &mut parent.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match parent.key.take() {
                None => parent.key = Some(key_of(node)?),
                Some((key, at)) => match entries.iter().find(|e| e.key == key) {
                    Some(first) => {
                        let Position { line, column } = first.at;
                        let message = format!(
                            "duplicate key, it stands at {line}:{column} already, remove one of them"
                        );
                        self.duplicates.push(TreeError { at, path, message });
                    }
                    None => entries.push(Entry { key, at, value: node }),
                },
            },
            Kind::Null | Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} levels deep, check the indentation and the aliases")
}

fn key_of(node: Node) -> Result<(String, Position), String> {
    let message = match node.kind {
        Kind::Scalar { text, plain: true } if text == "<<" => {
            "merge keys (`<<`) are not read here, write the keys out or alias whole values"
        }
        Kind::Scalar { text, .. } => return Ok((text, node.at)),
        Kind::Null => "a key is missing before the colon, write `key: value`",
        Kind::List(_) | Kind::Map(_) => "a key must be a word, not a list or map, write `key: value`",
    };
    Err(message.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first_error(text: &str) -> String {
        let e = parse(text).unwrap_err();
        format!("{}:{}: {}", e.at.line, e.at.column, e.message)
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let root = parse("# first\nserver:\n  drain: 30s # wait\n").unwrap().root.unwrap();
        let Kind::Map(entries) = &root.kind else { panic!("{root:?}") };
        let server = entries.first().unwrap();
        assert_eq!((server.key.as_str(), server.at), ("server", Position { line: 2, column: 1 }));
        let Kind::Map(entries) = &server.value.kind else { panic!("{server:?}") };
        let drain = entries.first().unwrap();
        assert_eq!(drain.at, Position { line: 3, column: 3 });
        assert_eq!(drain.value.at, Position { line: 3, column: 10 });
    }

    #[test]
    fn a_text_of_comments_is_no_tree_and_no_error() {
        assert!(parse("").unwrap().root.is_none());
        assert!(parse("# nothing\n\n").unwrap().root.is_none());
    }

    #[test]
    fn a_bomb_of_aliases_is_an_error_before_it_is_built() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let last = format!("*a{}", n - 1);
            bomb.push_str(&format!("a{n}: &a{n} [{}]\n", [last.as_str(); 10].join(", ")));
        }
        assert_eq!(
            first_error(&bomb),
            "5:25: more than 50000 values (aliases counted as often as used), write less or split the file"
        );
    }

    #[test]
    fn a_chain_of_aliases_cannot_hide_depth() {
        let mut text = String::from("a0: &a0 [x]\n");
        for n in 1..40 {
            text.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
        }
        assert!(first_error(&text).contains("nested more than 32 levels deep"));
        let brackets = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        assert!(first_error(&brackets).contains("nested more than 32 levels deep"));
    }

    #[test]
    fn all_duplicate_keys_are_reported_at_once() {
        let tree = parse("a: 1\na: 2\nb:\n  - x: 1\n    x: 2\n").unwrap();
        let paths: Vec<_> = tree.duplicates.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["a", "b[0].x"]);
    }

    #[test]
    fn what_is_not_a_plain_tree_is_refused() {
        for (text, message) in [
            ("a: &a [*a]", "1:8: an anchor that contains itself, write the value out"),
            (
                "a: !x 1",
                "1:4: YAML tags (`!…`) have no meaning here, remove the tag or put the value in quotes",
            ),
            (
                "a: 1\n---\nb: 1",
                "2:1: a second document begins here, write one document without `---` in between",
            ),
            (
                "<<: {a: 1}",
                "1:1: merge keys (`<<`) are not read here, write the keys out or alias whole values",
            ),
            ("[a]: 1", "1:3: a key must be a word, not a list or map, write `key: value`"),
        ] {
            assert_eq!(first_error(text), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_whatever_makes_the_parser_panic(text in "[ -~\n\t{}\\[\\]:,&*!|>'\"#-]{0,200}") {
            drop(parse(&text));
        }
    }
}
