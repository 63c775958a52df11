//! "Did you mean": the known word that is nearest to an unknown one.
//!
//! Nothing is ever corrected silently; this only words the error.

/// The nearest of `known`, if it is near enough that a slip of the fingers explains the difference.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = word;
    let word: Vec<char> = word.chars().take(64).map(unified).collect();
    known
        .into_iter()
        .map(|candidate| {
            let candidate_chars: Vec<char> = candidate.chars().map(unified).collect();
            (distance(&word, &candidate_chars), candidate_chars.len(), candidate)
        })
        .filter(|(distance, len, _)| *distance <= (*len.max(&word.len()) / 3).max(1) && *distance < *len)
        // Of two equally near, what was begun and not finished.
        .min_by_key(|(distance, _, candidate)| (*distance, !candidate.starts_with(typed)))
        .map(|(_, _, candidate)| candidate)
}

/// Names in a message; a file may have thousands.
const MOST_LISTED: usize = 20;

/// `, did you mean …?` or, without a near miss, `, known here: …`.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if known.is_empty() => ", nothing is known here".to_owned(),
        None => match known.split_at_checked(MOST_LISTED) {
            Some((some, [_, ..])) => {
                format!(", known here: {} and {} more", some.join(", "), known.len() - some.len())
            }
            _ => format!(", known here: {}", known.join(", ")),
        },
    }
}

/// `a, b or c`.
pub(super) fn any_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn unified(c: char) -> char {
    if c == '-' { '_' } else { c.to_ascii_lowercase() }
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        let mut cb_before = None;
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&last, j) + usize::from(ca != cb)).min(at(&last, j + 1) + 1).min(left + 1);
            let swapped = i > 0 && cb_before == Some(ca) && a.get(i - 1) == Some(cb);
            if swapped {
                best = best.min(at(&before, j.saturating_sub(1)) + 1);
            }
            row.push(best);
            left = best;
            cb_before = Some(cb);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        let known = ["timeout", "idle", "head", "workers", "drain"];
        for (word, meant) in [
            ("timout", "timeout"),
            ("tiemout", "timeout"),
            ("Timeout", "timeout"),
            ("time-out", "timeout"),
            ("wrokers", "workers"),
            ("drian", "drain"),
        ] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
    }

    #[test]
    fn of_two_equally_near_words_the_one_that_was_begun_is_meant() {
        assert_eq!(nearest("h2", ["h1", "h2c"]), Some("h2c"));
    }

    #[test]
    fn a_different_word_is_not_guessed_at() {
        assert_eq!(nearest("rate", ["timeout", "idle", "head"]), None);
        assert_eq!(nearest("x", ["h1", "to"]), None);
        assert_eq!(hint("rate", &["timeout", "idle"]), ", known here: timeout, idle");
        assert_eq!(hint("rate", &["x"; 20]), format!(", known here: {}", ["x"; 20].join(", ")));
        assert_eq!(hint("rate", &["x"; 99]), format!(", known here: {} and 79 more", ["x"; 20].join(", ")));
    }

    #[test]
    fn distances_are_those_of_the_textbook() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(of("", ""), 0);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("abc", ""), 3);
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("ab", "ba"), 1);
        assert_eq!(of("abcd", "acbd"), 1);
    }
}
