//! Every answer of every test is held against the document: its status, and the shape of its body, with no member that is
//! not described.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::{HeaderMap, Method};
use serde_json::Value;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&agentcal_api::openapi_json()).expect("the document is JSON"));

/// Panics where an answer of an operation is not what the document says of it. Other routes answer as they like.
pub(crate) fn assert_conforms(method: &Method, path: &str, status: u16, headers: &HeaderMap, text: &str) {
    let Some(operation) = operation(method, path) else { return };
    let response = &operation["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path}: {status} is not documented: {text}");
    let Some((media_type, content)) = response["content"].as_object().and_then(|content| content.iter().next()) else {
        assert!(text.is_empty(), "{method} {path}: {status} has no body in the document, but {text}");
        return;
    };
    let sent = headers.get("content-type").and_then(|value| value.to_str().ok());
    assert_eq!(sent, Some(media_type.as_str()), "{method} {path}: {status}");
    let body = serde_json::from_str(text).expect("a body of JSON");
    if let Err(fault) = check(&body, &content["schema"], "body") {
        panic!("{method} {path}: {status} is not as documented: {fault}: {text}");
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let segments: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same =
            |(wanted, segment): (&&str, &&str)| wanted == segment || wanted.starts_with('{') && !segment.is_empty();
        wanted.len() == segments.len() && wanted.iter().zip(&segments).all(same)
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let (_, item) = paths.iter().find(|(template, _)| fits(template))?;
    item.get(method.as_str().to_lowercase())
}

fn check(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let mut known = BTreeSet::new();
    names(schema, &mut known);
    if let (Some(members), false) = (value.as_object(), known.is_empty()) {
        let unknown = members.keys().find(|name| !known.contains(name.as_str()));
        unknown.map_or(Ok(()), |name| Err(format!("{at}.{name} is not described")))?;
    }
    check_shape(value, schema, at)
}

/// Every member a schema describes, in whichever of its shapes.
fn names<'a>(schema: &'a Value, known: &mut BTreeSet<&'a str>) {
    for part in flattened(schema) {
        known.extend(part["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
        part["oneOf"].as_array().into_iter().flatten().for_each(|variant| names(variant, known));
    }
}

fn check_shape(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    flattened(schema).into_iter().try_for_each(|part| match part["oneOf"].as_array() {
        Some(variants) if variants.iter().any(|variant| check_shape(value, variant, at).is_ok()) => Ok(()),
        Some(_) => Err(format!("{at} is none of {part}")),
        None => check_part(value, part, at),
    })
}

/// A schema's parts, references followed.
fn flattened(schema: &Value) -> Vec<&Value> {
    if let Some(name) = schema["$ref"].as_str() {
        return flattened(&DOCUMENT["components"]["schemas"][name.trim_start_matches("#/components/schemas/")]);
    }
    match schema["allOf"].as_array() {
        Some(all) => all.iter().flat_map(flattened).collect(),
        None => vec![schema],
    }
}

fn check_part(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let kind = kind_of(value);
    let is_number = kind == "integer" && kinds.contains(&"number");
    if !(kinds.is_empty() || kinds.contains(&kind) || is_number) {
        return Err(format!("{at} is {kind}, not {kinds:?}"));
    }
    match value {
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                members.get(name).ok_or_else(|| format!("{at}.{name} is missing"))?;
            }
            let described =
                members.iter().filter_map(|(name, member)| Some((name, member, schema["properties"].get(name)?)));
            described.into_iter().try_for_each(|(name, member, schema)| check(member, schema, &format!("{at}.{name}")))
        }
        Value::Array(values) => values
            .iter()
            .enumerate()
            .try_for_each(|(index, value)| check(value, &schema["items"], &format!("{at}[{index}]"))),
        Value::String(text) => check_text(text, schema, at),
        _ => Ok(()),
    }
}

fn check_text(text: &str, schema: &Value, at: &str) -> Result<(), String> {
    let words = schema["enum"].as_array();
    if words.is_some_and(|words| !words.iter().any(|word| word == text)) {
        return Err(format!("{at} is `{text}`, none of {words:?}"));
    }
    if schema["format"] == "date-time" && chrono::DateTime::parse_from_rfc3339(text).is_err() {
        return Err(format!("{at} is `{text}`, no instant"));
    }
    let len_max = schema["maxLength"].as_u64().and_then(|len| usize::try_from(len).ok());
    if len_max.is_some_and(|len_max| text.chars().count() > len_max) {
        return Err(format!("{at} is too long"));
    }
    // Ids, the only patterns of answers besides cursors, begin with their prefix.
    let prefix = schema["pattern"].as_str().and_then(|pattern| pattern.strip_prefix('^')?.split_once("_["));
    match prefix {
        Some((prefix, _)) if !text.starts_with(&format!("{prefix}_")) => {
            Err(format!("{at} is `{text}`, no {prefix}_ id"))
        }
        _ => Ok(()),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
