//! What is wrong, or risky, in a configuration, and where it stands.
//!
//! A finding knows its file, line, column and key path. It does not know whether it stops the start:
//! [`Errors`] do, warnings are plain lists of findings.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One line of `svc-gateway check`: `FILE:LINE:COLUMN: key.path: what is wrong, what would be right`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file as it was named (or as the glob found it).
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key's path, such as `clusters.objects.retry.attempts`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, sorted by file and position; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(Vec<Finding>);

impl Errors {
    /// Sorted by file and position; the caller found at least one.
    pub(super) fn sorted(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        Self(findings)
    }

    /// The findings in the order of the text.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, finding) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Text of a file, quoted for a message: control characters escaped, at most 60 characters.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut out = String::from("`");
    for (n, c) in text.chars().enumerate() {
        if n == MOST {
            out.push('…');
            break;
        }
        // Backslashes and quotes may stand; what could steer a terminal may not.
        if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}
