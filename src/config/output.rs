//! The effective configuration, defaults filled in, in words that [`Config::load`] reads back.

use serde_yaml::Value;

use super::Config;
use super::expand::escape;

/// How a configuration is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people, and for files.
    #[default]
    Yaml,
    /// For machines.
    Json,
}

/// The configuration as text, with a line break at the end.
pub fn effective(config: &Config, format: Format) -> String {
    let tree = tree(config);
    match format {
        Format::Yaml => serde_yaml::to_string(&tree).unwrap_or_default(),
        Format::Json => serde_json::to_string_pretty(&tree).map(|text| text + "\n").unwrap_or_default(),
    }
}

/// The same as JSON values.
pub(super) fn json(config: &Config) -> serde_json::Value {
    serde_json::to_value(tree(config)).unwrap_or_default()
}

/// Every key in the order of the structs, a dollar doubled so that it stays one.
fn tree(config: &Config) -> Value {
    let serializer = serde_yaml::value::Serializer;
    let mut tree =
        serde_yaml::with::singleton_map_recursive::serialize(config, serializer).unwrap_or_default();
    escape_all(&mut tree);
    tree
}

fn escape_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = escape(text),
        Value::Sequence(items) => items.iter_mut().for_each(escape_all),
        Value::Mapping(map) => map.values_mut().for_each(escape_all),
        _ => {}
    }
}
