//! The schema table as a JSON schema (draft 2020-12), for editors and other machines.
//!
//! It says what a file may hold, not everything that is refused: names that must exist and the like are `check`'s.

use serde_json::{Map, Value, json};

use super::schema::{Key, Leaf, Schema};

/// The JSON schema of a configuration file; `defaults` is the default configuration as JSON.
pub(super) fn document(schema: &Schema, defaults: &Value) -> Value {
    let mut document = of(schema, Some(defaults));
    if let Value::Object(map) = &mut document {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!("svc-gateway configuration"));
    }
    document
}

fn of(schema: &Schema, default: Option<&Value>) -> Value {
    match schema {
        Schema::Section { keys, one_of } => section(keys, *one_of, default),
        Schema::Named(each) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9_-]{1,64}$" },
            "additionalProperties": of(each, None),
        }),
        Schema::List { of: item, at_least_one, .. } => json!({
            "type": "array",
            "items": of(item, None),
            "minItems": u8::from(*at_least_one),
        }),
        Schema::OneOrList(item) => {
            let one = of(item, None);
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        Schema::Leaf(leaf) => scalar(leaf),
        Schema::Elsewhere(_) => json!(false),
        Schema::Shapes(shapes) => json!({ "anyOf": shapes.iter().map(|s| of(s, None)).collect::<Vec<_>>() }),
    }
}

fn section(keys: &[Key], one_of: bool, default: Option<&Value>) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let default = default.and_then(|d| d.get(key.name));
        let mut property = of(&key.schema, default);
        if let Value::Object(map) = &mut property {
            map.insert("description".to_owned(), json!(key.about));
            if let Some(default) = default {
                map.insert("default".to_owned(), default.clone());
            }
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<_> = keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    let mut out = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let Value::Object(map) = &mut out {
        if !required.is_empty() {
            map.insert("required".to_owned(), json!(required));
        }
        if one_of {
            map.insert("minProperties".to_owned(), json!(1));
            map.insert("maxProperties".to_owned(), json!(1));
        }
    }
    out
}

/// A scalar may also be a variable, which is text whatever comes of it.
fn scalar(leaf: &Leaf) -> Value {
    let variable = json!({ "type": "string", "pattern": "\\$\\{" });
    match leaf {
        Leaf::Flag => json!({ "anyOf": [{ "type": "boolean" }, variable] }),
        Leaf::Number { min, max } => {
            json!({ "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, variable] })
        }
        Leaf::Duration { .. } => with_pattern("^[0-9]+(us|ms|s|min|h)$", variable),
        Leaf::Size { .. } => with_pattern("^[0-9]+(B|KiB|MiB|GiB)$", variable),
        Leaf::Share => with_pattern("^[0-9]+(\\.[0-9])?%$", variable),
        Leaf::Words(words) => json!({ "anyOf": [{ "enum": words }, variable] }),
        Leaf::Absent(word) => json!({ "enum": [word] }),
        Leaf::Text { what, .. } | Leaf::File { what, .. } => json!({ "type": "string", "$comment": what }),
        Leaf::Address { .. } => {
            json!({ "type": "string", "$comment": "HOST:PORT, [IPV6]:PORT or unix:/path" })
        }
        Leaf::Path => json!({ "type": "string", "$comment": "a path, relative to the file's folder" }),
    }
}

fn with_pattern(pattern: &str, variable: Value) -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": pattern }, variable] })
}
