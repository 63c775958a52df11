//! `${NAME}`, `${NAME:-default}` and `$$` in the scalars of a configuration.
//!
//! Only values are expanded, never keys, and what a variable holds is not expanded again or read as YAML.

use std::borrow::Cow;

use super::finding::quoted;

/// Where variables are looked up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text with its variables filled in, or what is wrong with it.
///
/// As in a shell, `:-` also covers a variable that is set to nothing.
pub(super) fn expand<'t>(text: &'t str, environment: Environment<'_>) -> Result<Cow<'t, str>, String> {
    if !text.contains('$') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                return Err("`${` is not closed, write ${NAME} or ${NAME:-default}".to_owned());
            };
            out.push_str(&variable(inside, environment)?);
            rest = after;
        } else {
            return Err("a lone `$`, write $$ for a dollar or ${NAME} for a variable".to_owned());
        }
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The other way: text that [`expand`] turns back into `text`.
pub(super) fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

fn variable(inside: &str, environment: Environment<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "{} is no variable name, write ${{NAME}} or ${{NAME:-default}} (letters, digits, _)",
            quoted(name)
        ));
    }
    match (environment(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the environment has no `{name}`, set it or write ${{{name}:-default}}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("10.0.0.1".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${HOST} $$".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_dollars_are_filled_in() {
        for (text, expanded) in [
            ("plain", "plain"),
            ("${HOST}:9401", "10.0.0.1:9401"),
            ("${ABSENT:-5s}", "5s"),
            ("${EMPTY:-5s}", "5s"),
            ("${EMPTY}", ""),
            ("${ABSENT:-}", ""),
            ("$$HOST costs $$5", "$HOST costs $5"),
            ("${TRICKY}", "${HOST} $$"),
        ] {
            assert_eq!(expand(text, &environment).unwrap(), expanded, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for (text, message) in [
            ("${ABSENT}", "the environment has no `ABSENT`, set it or write ${ABSENT:-default}"),
            ("$HOST", "a lone `$`, write $$ for a dollar or ${NAME} for a variable"),
            ("5$", "a lone `$`, write $$ for a dollar or ${NAME} for a variable"),
            ("${HOST", "`${` is not closed, write ${NAME} or ${NAME:-default}"),
            ("${A B}", "`A B` is no variable name, write ${NAME} or ${NAME:-default} (letters, digits, _)"),
            ("${}", "`` is no variable name, write ${NAME} or ${NAME:-default} (letters, digits, _)"),
        ] {
            assert_eq!(expand(text, &environment).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn escaped_text_comes_back_as_it_was() {
        for text in ["", "a", "$", "$$", "${HOST}", "a$b${c}$"] {
            assert_eq!(expand(&escape(text), &environment).unwrap(), text);
        }
    }
}
