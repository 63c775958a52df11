//! Conditional requests (RFC 9110 §13) on something that has an entity tag and no date.

use crate::bhttp::Fields;

/// What the conditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Do what is asked.
    Go,
    /// The client has it already: 304 to GET and HEAD.
    NotModified,
    /// 412.
    Failed,
}

/// Whether there are conditions at all.
pub(super) fn any(fields: &Fields) -> bool {
    fields.iter().any(|(name, _)| matches!(name, b"if-match" | b"if-none-match"))
}

/// Evaluates the conditions where the object is there. `etag` is its strong tag, quotes included.
// RFC 9110 §13.2.2: If-Match first, then If-None-Match. The dated ones need a date.
pub(super) fn check(fields: &Fields, etag: &str) -> Verdict {
    if lists(fields, b"if-match", |tag| tag == etag.as_bytes()) == Some(false) {
        return Verdict::Failed;
    }
    // RFC 9110 §13.1.2: weak comparison.
    let same = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes();
    if lists(fields, b"if-none-match", same) == Some(true) { Verdict::NotModified } else { Verdict::Go }
}

/// Evaluates the conditions where there is no object: then nothing, not even `*`, matches.
pub(super) fn check_absent(fields: &Fields) -> Verdict {
    if fields.find(b"if-match").is_some() { Verdict::Failed } else { Verdict::Go }
}

/// Whether one of the tags of a field does, or `*`; `None` without the field, which may come in several lines.
fn lists(fields: &Fields, name: &[u8], does: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut values =
        fields.iter().filter(|(candidate, _)| *candidate == name).map(|(_, value)| value).peekable();
    values.peek()?;
    Some(values.any(|value| value.trim_ascii() == b"*" || tags(value).any(&does)))
}

/// The tags of a list, `W/` included. What is no tag ends it.
// RFC 9110 §8.8.3: a tag may hold commas, but no quote.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let (_, tag) = rest.split_at_checked(start)?;
        let opened = if tag.starts_with(b"W/\"") {
            3
        } else if tag.starts_with(b"\"") {
            1
        } else {
            return None;
        };
        let quote = tag.get(opened..)?.iter().position(|byte| *byte == b'"')?;
        let (tag, behind) = tag.split_at_checked(opened + quote + 1)?;
        rest = behind;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read_as_written() {
        let read = |list: &'static str| tags(list.as_bytes()).collect::<Vec<_>>();
        assert_eq!(read(r#""a", W/"b,c" ,,"d""#), [&b"\"a\""[..], b"W/\"b,c\"", b"\"d\""]);
        assert_eq!(read(r#""""#), [b"\"\""]);
        for (list, before) in
            [("", 0), ("a", 0), (r#""a", b"#, 1), (r#""a"#, 0), (r#"w/"a""#, 0), ("\"a\" *", 1)]
        {
            assert_eq!(read(list).len(), before, "{list}");
        }
    }
}
