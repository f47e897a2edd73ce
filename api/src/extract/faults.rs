//! From serde's errors to fields and codes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ApiError, Code, FieldCode, FieldError};

/// Reads a JSON document into a wire type, naming the field that does not fit.
///
/// Serde's structs take arrays for objects, and its enums objects for words. What was read is therefore written again, and
/// must be of the same kinds.
pub(super) fn read_json<T: DeserializeOwned + Serialize>(text: &str) -> Result<T, ApiError> {
    let sent: Value = serde_json::from_str(text)
        .map_err(|error| ApiError::new(Code::MalformedBody, format!("the body must be one JSON document: {error}")))?;
    let mut document = serde_json::Deserializer::from_str(text);
    let read: T = serde_path_to_error::deserialize(&mut document)
        .map_err(|error| field_fault(&error.path().to_string(), &error.into_inner().to_string()))?;
    let understood = serde_json::to_value(&read).map_err(|error| ApiError::internal(&error))?;
    match other_kind(&sent, &understood, "") {
        None => Ok(read),
        Some(path) => Err(field_fault(&path, "invalid type")),
    }
}

/// Where a value was taken for one of another kind.
fn other_kind(sent: &Value, understood: &Value, path: &str) -> Option<String> {
    let at = |tail: String| if path.is_empty() { tail } else { format!("{path}.{tail}") };
    match (sent, understood) {
        (Value::Object(sent), Value::Object(understood)) => {
            let both = sent.iter().filter_map(|(name, value)| Some((name, value, understood.get(name)?)));
            both.into_iter().find_map(|(name, value, other)| other_kind(value, other, &at(name.clone())))
        }
        (Value::Array(sent), Value::Array(understood)) => {
            let pairs = sent.iter().zip(understood).enumerate();
            pairs.into_iter().find_map(|(index, (value, other))| other_kind(value, other, &format!("{path}[{index}]")))
        }
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Some(if path.is_empty() { ".".to_owned() } else { path.to_owned() })
        }
        _ => None,
    }
}

/// Turns serde's message about the value at `path` into a field error. Serde has no codes; the beginnings of its messages
/// are fixed, and a test holds this function to them.
pub(super) fn field_fault(path: &str, message: &str) -> ApiError {
    let message = without_position(message);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let known = rest.split_once("`, ").map_or("", |(_, known)| known);
        return unreadable(member(path, quoted), FieldCode::Unknown, format!("is not known here ({known})"));
    }
    if message.starts_with("missing field") {
        return ApiError::field(member(path, quoted), FieldCode::Required, "must be sent");
    }
    if message.starts_with("duplicate field") {
        return unreadable(member(path, quoted), FieldCode::Duplicate, "is given twice".to_owned());
    }
    if message.starts_with("unknown variant") {
        let known = message.split_once("expected ").map_or("", |(_, known)| known);
        return ApiError::field(whole(path), FieldCode::UnknownValue, format!("must be {known}"));
    }
    if message.starts_with("invalid value") {
        return ApiError::field(whole(path), FieldCode::OutOfRange, format!("is not acceptable: {message}"));
    }
    unreadable(whole(path), FieldCode::WrongType, wrong_type(message))
}

/// Serde calls values by the names of Rust's types.
fn wrong_type(message: &str) -> String {
    let Some((given, wanted)) = message.split_once(", expected ") else { return "has the wrong type".to_owned() };
    let wanted = match wanted.split(' ').next().unwrap_or_default() {
        "struct" | "map" => "an object",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        _ => match wanted {
            "a map" => "an object",
            "a sequence" => "a list",
            other => other,
        },
    };
    let given = match given.split_once(": ").map_or(given, |(_, given)| given) {
        "map" => "an object",
        "sequence" => "a list",
        given if given.starts_with("invalid length") => "a list",
        given => given,
    };
    format!("must be {wanted}, and is {given}")
}

fn unreadable(field: String, code: FieldCode, detail: String) -> ApiError {
    ApiError::of_fields(Code::InvalidRequest, vec![FieldError::new(field, code, detail)])
}

/// Serde names the object; the message names its member. Some versions name the member already.
fn member(path: &str, name: &str) -> String {
    if path == "." {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn whole(path: &str) -> String {
    if path == "." { "body".to_owned() } else { path.to_owned() }
}

fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        number: i64,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        list: Vec<Inner>,
    }

    #[test]
    fn each_kind_of_fault_names_its_field() {
        let check = |text: &str, code: Code, field: &str, field_code: FieldCode| {
            let problem = read_json::<Outer>(text).expect_err("a fault").into_problem();
            let errors: Vec<_> = problem.errors.iter().map(|error| (error.field.as_str(), error.code)).collect();
            assert_eq!((problem.code, errors), (code, vec![(field, field_code)]), "{text}");
        };
        check(r#"{}"#, Code::ValidationFailed, "list", FieldCode::Required);
        check(r#"{"list":[{}]}"#, Code::ValidationFailed, "list[0].number", FieldCode::Required);
        check(r#"{"list":[],"lost":1}"#, Code::InvalidRequest, "lost", FieldCode::Unknown);
        check(r#"{"list":[{"number":1,"lost":1}]}"#, Code::InvalidRequest, "list[0].lost", FieldCode::Unknown);
        check(r#"{"list":[],"list":[]}"#, Code::InvalidRequest, "list", FieldCode::Duplicate);
        check(r#"{"list":{}}"#, Code::InvalidRequest, "list", FieldCode::WrongType);
        check(r#"{"list":[{"number":"1"}]}"#, Code::InvalidRequest, "list[0].number", FieldCode::WrongType);
        check(r#"{"list":[{"number":1.5}]}"#, Code::InvalidRequest, "list[0].number", FieldCode::WrongType);
        check(
            r#"{"list":[{"number":18446744073709551615}]}"#,
            Code::ValidationFailed,
            "list[0].number",
            FieldCode::OutOfRange,
        );
        check(
            r#"{"list":[{"number":1,"kind":"two"}]}"#,
            Code::ValidationFailed,
            "list[0].kind",
            FieldCode::UnknownValue,
        );
        check(r#"{"list":[{"number":1,"kind":1}]}"#, Code::InvalidRequest, "list[0].kind", FieldCode::WrongType);
        check(
            r#"{"list":[{"number":1,"kind":{"one":null}}]}"#,
            Code::InvalidRequest,
            "list[0].kind",
            FieldCode::WrongType,
        );
        check(r#"{"list":[[1]]}"#, Code::InvalidRequest, "list[0]", FieldCode::WrongType);
        check("[]", Code::InvalidRequest, "body", FieldCode::WrongType);
        check("[[]]", Code::InvalidRequest, "body", FieldCode::WrongType);
        check("null", Code::InvalidRequest, "body", FieldCode::WrongType);
    }

    #[test]
    fn faults_are_told_in_words_of_json() {
        let check = |text: &str, detail: &str| {
            let problem = read_json::<Outer>(text).expect_err("a fault").into_problem();
            assert_eq!(problem.errors[0].detail, detail, "{text}");
        };
        check("null", "must be an object, and is null");
        check("[]", "must be an object, and is a list");
        check("[[]]", "has the wrong type");
        check(r#"{"list":{}}"#, "must be a list, and is an object");
        check(r#"{"list":[{"number":"1"}]}"#, "must be a whole number, and is string \"1\"");
        check(r#"{"list":[{"number":1.5}]}"#, "must be a whole number, and is floating point `1.5`");
        check(r#"{"list":[{"number":[]}]}"#, "must be a whole number, and is a list");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", "{\"list\":[]}x", "{'list':[]}", "{\"list\":[]", "\u{feff}{}", &"[".repeat(10_000)] {
            let problem = read_json::<Outer>(text).expect_err("no document").into_problem();
            assert_eq!(problem.code, Code::MalformedBody, "{text}");
        }
    }
}
