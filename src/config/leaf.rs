//! Scalars: text → a value of the kind that the schema asks for, or a message that says what would be right.
//!
//! Variables are filled in here. Files are looked at (a secret's mode, for one), nothing is kept of them.

use std::path::{Path, PathBuf};

use serde_yaml::Value;

use super::address::{Address, MAX_SOCKET_PATH};
use super::expand::{Environment, expand};
use super::finding::quoted;
use super::schema::Leaf;
use super::suggest::{any_of, nearest};
use super::units::{Share, format_duration, format_size, parse_duration, parse_size};

/// The value of the first leaf that takes the text; else the message of the last, with the words of the others.
pub(super) fn read_any(
    leaves: &[&Leaf],
    text: &str,
    plain: bool,
    folder: &Path,
    environment: Environment<'_>,
) -> Result<Value, String> {
    let expanded = expand(text, environment)?;
    // What comes from a variable may stand in quotes, as one does in a shell.
    let plain = plain || expanded != text;
    let mut words = Vec::new();
    let mut message = String::new();
    for leaf in leaves {
        match (leaf, read(leaf, &expanded, plain, folder)) {
            (_, Ok(value)) => return Ok(value),
            (Leaf::Absent(word), Err(_)) => words.push(*word),
            (Leaf::Words(more), Err(_)) => words.extend_from_slice(more),
            (_, Err(wrong)) => message = wrong,
        }
    }
    Err(match (message.is_empty(), nearest(&expanded, words.iter().copied())) {
        (_, Some(near)) => format!("{} is not known here, did you mean `{near}`?", quoted(&expanded)),
        (true, None) => format!("{} is not known here, write {}", quoted(&expanded), any_of(&words)),
        (false, None) if words.is_empty() => message,
        (false, None) => format!("{message}, or {}", any_of(&words)),
    })
}

fn read(leaf: &Leaf, text: &str, plain: bool, folder: &Path) -> Result<Value, String> {
    match leaf {
        Leaf::Flag => match text {
            "true" if plain => Ok(Value::Bool(true)),
            "false" if plain => Ok(Value::Bool(false)),
            _ => Err(format!("{} is no flag, write true or false", in_quotes(text, plain))),
        },
        Leaf::Number { min, max } => {
            let number = text.parse::<u64>().ok().filter(|_| plain);
            let right = format!("a whole number from {min} to {max}");
            let Some(number) = number else {
                return Err(format!("{} is no such number, write {right}", in_quotes(text, plain)));
            };
            in_range(&number, min, max, text, |n| n.to_string())?;
            Ok(number.into())
        }
        Leaf::Duration { min, max } => {
            in_range(&parse_duration(text)?, min, max, text, |d| format_duration(*d))?;
            Ok(text.into())
        }
        Leaf::Size { min, max } => {
            in_range(&parse_size(text)?, min, max, text, |b| format_size(*b))?;
            Ok(text.into())
        }
        Leaf::Share => text.parse::<Share>().map(|_| text.into()),
        Leaf::Words(words) if words.contains(&text) => Ok(text.into()),
        Leaf::Absent(word) if *word == text => Ok(Value::Null),
        Leaf::Words(_) | Leaf::Absent(_) => Err(String::new()),
        Leaf::Text { check, .. } => check(text).map(|()| text.into()),
        Leaf::Address { dialled } => address(text, *dialled, folder),
        Leaf::Path => Ok(path_text(&absolute(folder, text)?)?.into()),
        Leaf::File { check, .. } => {
            let path = absolute(folder, text)?;
            check(&path)?;
            Ok(path_text(&path)?.into())
        }
    }
}

fn in_quotes(text: &str, plain: bool) -> String {
    if plain { quoted(text) } else { format!("{} in quotes", quoted(text)) }
}

fn in_range<T: PartialOrd>(
    value: &T,
    min: &T,
    max: &T,
    text: &str,
    show: impl Fn(&T) -> String,
) -> Result<(), String> {
    if value >= min && value <= max {
        Ok(())
    } else {
        Err(format!("{} is out of range, write {} to {}", quoted(text), show(min), show(max)))
    }
}

fn address(text: &str, dialled: bool, folder: &Path) -> Result<Value, String> {
    match text.parse::<Address>()? {
        Address::Tcp(address) if dialled && address.port() == 0 => {
            Err(format!("{} has port 0, write the port on which the service listens", quoted(text)))
        }
        Address::Tcp(address) => Ok(address.to_string().into()),
        Address::Unix(path) => {
            let path = absolute(folder, path_text(&path)?)?;
            let path = path_text(&path)?;
            if path.len() > MAX_SOCKET_PATH {
                let len = path.len();
                return Err(format!(
                    "the path {} has {len} bytes and a Unix socket's at most {MAX_SOCKET_PATH}, write a shorter one",
                    quoted(path)
                ));
            }
            Ok(format!("unix:{path}").into())
        }
    }
}

fn absolute(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("is empty, write a path".to_owned());
    }
    std::path::absolute(folder.join(text)).map_err(|e| format!("{} is no path ({e})", quoted(text)))
}

fn path_text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("the path {} is not UTF-8, rename it", path.display()))
}
