//! From serde's errors to fields and codes.

use serde::de::DeserializeOwned;

use crate::error::{ApiError, Code, FieldCode, FieldError};

/// Reads a JSON document into a wire type, naming the field that does not fit.
pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let mut document = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut document).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_data() { field_fault(&path, &cause.to_string()) } else { malformed(&cause) }
    })?;
    document.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::new(Code::MalformedBody, format!("the body must be one JSON document: {error}"))
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
    unreadable(whole(path), FieldCode::WrongType, format!("has the wrong type: {message}"))
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
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        number: i64,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
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
        check("[]", Code::InvalidRequest, "body", FieldCode::WrongType);
        check("null", Code::InvalidRequest, "body", FieldCode::WrongType);
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", "{\"list\":[]}x", "{'list':[]}", "{\"list\":[]", "\u{feff}{}", &"[".repeat(10_000)] {
            let problem = read_json::<Outer>(text).expect_err("no document").into_problem();
            assert!(matches!(problem.code, Code::MalformedBody | Code::InvalidRequest), "{text}");
        }
    }
}
