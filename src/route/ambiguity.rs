//! Two rules that could take the same request, neither being the more special one.

use super::paths::{is_variable, segments};
use super::{Path, Rule};

/// Whether some request fits both rules and [`Table`](super::Table) has no better reason to prefer one than that it
/// came first. Where no two rules are ambiguous, their order means nothing.
pub fn ambiguous<A, B>(a: &Rule<A>, b: &Rule<B>) -> bool {
    let same_path = match (&a.path, &b.path) {
        (Some(Path::Template(a)), Some(Path::Template(b))) => rivals(a, b),
        (a, b) => a == b,
    };
    let same_host = (a.hosts.is_empty() && b.hosts.is_empty()) || share_one(&a.hosts, &b.hosts);
    let same_method = (a.methods.is_empty() && b.methods.is_empty()) || share_one(&a.methods, &b.methods);
    let same_listener =
        a.listeners.is_empty() || b.listeners.is_empty() || share_one(&a.listeners, &b.listeners);
    same_path && same_host && same_method && same_listener
}

fn share_one(a: &[String], b: &[String]) -> bool {
    a.iter().any(|item| b.contains(item))
}

/// Two templates take the same path, and neither takes only what the other takes too.
fn rivals(a: &str, b: &str) -> bool {
    if segments(a).count() != segments(b).count() {
        return false;
    }
    let (mut a_is_more_special, mut b_is_more_special) = (false, false);
    for (a, b) in segments(a).zip(segments(b)) {
        match (is_variable(a), is_variable(b)) {
            (true, true) => {}
            // An empty segment fits no variable.
            (false, true) if a.is_empty() => return false,
            (true, false) if b.is_empty() => return false,
            (false, true) => a_is_more_special = true,
            (true, false) => b_is_more_special = true,
            (false, false) if a != b => return false,
            (false, false) => {}
        }
    }
    a_is_more_special == b_is_more_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_rivals_when_neither_is_the_more_special_one() {
        for (a, b, want) in [
            ("/a/{x}", "/a/{y}", true),
            ("/a/{x}/c/{z}", "/a/b/{y}/{z}", true),
            ("/a/{x}/c", "/a/{y}/{z}", false),
            ("/a/{x}", "/b/{x}", false),
            ("/a/{x}", "/a/{x}/{y}", false),
            ("/{x}//{z}", "/a/{y}/{z}", false),
        ] {
            assert_eq!(rivals(a, b), want, "{a} {b}");
            assert_eq!(rivals(b, a), want, "{b} {a}");
        }
    }
}
