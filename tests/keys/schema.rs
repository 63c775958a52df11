//! The keys that a JSON schema of the configuration has values for.

use serde_json::Value;

/// Each key that may hold a scalar, in the order of the schema. `*` is a name that the operator chooses, `[]` an item of a list
/// of maps: `clusters.*.health.interval`, `routes[].match.path.exact`. A key that may hold a scalar or a map is one as well.
pub fn keys(schema: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    collect(schema, "", &mut keys);
    keys
}

fn collect(schema: &Value, path: &str, keys: &mut Vec<String>) {
    if let Some(shapes) = schema["anyOf"].as_array() {
        return shapes.iter().for_each(|shape| collect(shape, path, keys));
    }
    match schema["type"].as_str() {
        Some("object") => {
            for (name, below) in schema["properties"].as_object().into_iter().flatten() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(below, &path, keys);
            }
            collect(&schema["additionalProperties"], &format!("{path}.*"), keys);
        }
        Some("array") => {
            let item = if is_map(&schema["items"]) { "[]" } else { "" };
            collect(&schema["items"], &format!("{path}{item}"), keys);
        }
        // `false` stands for a key that is refused, `null` for a section without names of the operator's.
        _ if !schema.is_object() => {}
        _ if keys.iter().any(|key| key == path) => {}
        _ => keys.push(path.to_owned()),
    }
}

fn is_map(schema: &Value) -> bool {
    schema["type"] == "object" || schema["anyOf"].as_array().is_some_and(|shapes| shapes.iter().any(is_map))
}

#[test]
fn keys_of_maps_lists_and_alternatives_are_found() {
    let text = serde_json::json!({ "type": "string" });
    let schema = serde_json::json!({ "type": "object", "additionalProperties": false, "properties": {
        "a": text,
        "b": { "type": "object", "additionalProperties": { "type": "object", "properties": {
            "c": { "anyOf": [text, { "type": "object", "properties": { "d": text } }] } } } },
        "e": { "type": "array", "items": { "type": "object", "properties": { "f": text, "gone": false } } },
        "g": { "anyOf": [text, { "type": "array", "items": text }] },
    } });
    assert_eq!(keys(&schema), ["a", "b.*.c", "b.*.c.d", "e[].f", "g"]);
}
