//! Query strings: unknown, repeated and undecodable parameters are refused by name.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::value::{Error as NotRead, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::faults::field_fault;
use crate::error::{ApiError, Code, FieldCode, FieldError};

/// Most parameters of one query.
const PARAMETERS_MAX: usize = 50;

/// The parameters of a query as texts; each operation reads them with [`crate::checks::Checks`].
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        read_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let mut members: Vec<(Cow<'_, str>, Text<'_>)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()).take(PARAMETERS_MAX) {
        if value.contains('\u{fffd}') || value.contains('\0') {
            return Err(refusal(&name, FieldCode::WrongType, "must be UTF-8 text, percent-encoded"));
        }
        if members.iter().any(|(known, _)| *known == name) {
            return Err(refusal(&name, FieldCode::Duplicate, "is given twice"));
        }
        members.push((name, Text(value)));
    }
    let members = MapDeserializer::new(members.into_iter());
    T::deserialize(members).map_err(|error: NotRead| field_fault(".", &error.to_string()))
}

/// A parameter's text, which is there and therefore what an optional field takes.
struct Text<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de, NotRead> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = NotRead;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        visitor.visit_string(self.0.into_owned())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn refusal(name: &str, code: FieldCode, detail: &'static str) -> ApiError {
    ApiError::of_fields(Code::InvalidRequest, vec![FieldError::new(name, code, detail)])
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Params {
        limit: Option<String>,
    }

    #[test]
    fn parameters_are_read_once_each_and_by_name() {
        let check = |query: &str, expected: Result<Option<&str>, (&str, FieldCode)>| {
            let read = read_query::<Params>(query).map(|params| params.limit).map_err(|error| {
                let problem = error.into_problem();
                assert_eq!(problem.code, Code::InvalidRequest);
                (problem.errors[0].field.clone(), problem.errors[0].code)
            });
            let expected = expected.map(|limit| limit.map(str::to_owned));
            assert_eq!(read, expected.map_err(|(field, code)| (field.to_owned(), code)), "{query}");
        };
        check("", Ok(None));
        check("limit=5", Ok(Some("5")));
        check("limit=", Ok(Some("")));
        check("limit=5&limit=6", Err(("limit", FieldCode::Duplicate)));
        check("limits=5", Err(("limits", FieldCode::Unknown)));
        check("limit=%ff", Err(("limit", FieldCode::WrongType)));
        check("limit=%00", Err(("limit", FieldCode::WrongType)));
    }
}
