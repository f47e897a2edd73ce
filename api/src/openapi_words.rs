//! What the document says of fields and parameters by their names alone: an id has its form, and a zone its bound, wherever
//! it stands.

use utoipa::openapi::RefOr;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ArrayItems, Object, Schema, SchemaType, Type};

/// Longest zone name that is read, in characters.
const ZONE_LEN_MAX: usize = 64;
/// Longest `slot_id`, in characters.
const SLOT_ID_LEN_MAX: usize = 200;

/// Names of ids, with the prefix of what they name.
const IDS: &[(&str, &str)] = &[
    ("account_id", "acct"),
    ("booking_id", "book"),
    ("calendar_id", "cal"),
    ("connection_id", "conn"),
    ("decision_id", "dec"),
    ("delivery_id", "msg"),
    ("event_type_id", "evt"),
    ("hold_id", "hold"),
    ("job_id", "job"),
    ("request_id", "req"),
    ("user_id", "user"),
    ("webhook_id", "hook"),
];

/// Completes the fields of a schema, those of schemas inside it too.
pub(crate) fn describe_schema(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            for (name, property) in &mut object.properties {
                describe_named(name, property);
                describe_schema(property);
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                describe_schema(items);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(describe_schema),
        Schema::AllOf(all) => all.items.iter_mut().for_each(describe_schema),
        _ => {}
    }
}

/// Completes a parameter.
pub(crate) fn describe_parameter(parameter: &mut Parameter) {
    let name = parameter.name.clone();
    if let Some(schema) = &mut parameter.schema {
        describe_named(&name, schema);
    }
}

fn describe_named(name: &str, schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Array(array) => {
            if let (Some(stem), ArrayItems::RefOrSchema(items)) = (name.strip_suffix('s'), &mut array.items) {
                describe_named(stem, items);
            }
        }
        Schema::Object(object) if is_text(object) => describe_text(name, object),
        _ => {}
    }
}

fn describe_text(name: &str, text: &mut Object) {
    match name {
        "timezone" => text.max_length = Some(ZONE_LEN_MAX),
        "cursor" | "next_cursor" => text.pattern = Some("^[0-9A-Za-z_-]{32}$".to_owned()),
        "slot_id" => text.max_length = Some(SLOT_ID_LEN_MAX),
        _ => {
            let pattern = id_pattern(name.strip_prefix("busy_").unwrap_or(name));
            text.pattern = pattern.or_else(|| text.pattern.take());
        }
    }
}

/// The form of the ids a field of this name holds; `None` where it holds none.
pub(crate) fn id_pattern(name: &str) -> Option<String> {
    let (_, prefix) = IDS.iter().find(|(id, _)| *id == name)?;
    Some(format!("^{prefix}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$"))
}

fn is_text(object: &Object) -> bool {
    match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::String,
        SchemaType::Array(kinds) => kinds.contains(&Type::String),
        SchemaType::AnyValue => false,
    }
}
