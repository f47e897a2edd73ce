//! Every field of every body, wrong in turn.

use serde_json::{Value, json};

use super::{Desk, assert_names, shown};
use crate::support::{Kind, Operation, Schema, examples};

/// A field of an example, nested ones too.
struct Field<'a> {
    pointer: String,
    /// As problems name it.
    name: String,
    schema: &'a Schema,
}

#[tokio::test]
async fn every_field_wrong_in_turn_is_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        for field in fields(schema, body) {
            for value in field.schema.wrong_values() {
                let mut wrong = body.clone();
                *wrong.pointer_mut(&field.pointer).expect("a field of the body") = value.clone();
                let reply = send(&desk, operation, wrong).await;
                assert_names(operation, &reply, &field.name, &shown(&value));
            }
        }
        desk.assert_untouched(&operation.id).await;
    }
}

/// What fits the document may still be nonsense: it is taken, in conflict with what is there, or named.
#[tokio::test]
async fn strange_values_are_taken_or_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        for field in fields(schema, body) {
            for value in strange() {
                let mut wrong = body.clone();
                *wrong.pointer_mut(&field.pointer).expect("a field of the body") = value.clone();
                let reply = send(&desk, operation, wrong).await;
                let is_named = matches!(reply.status, 400 | 422) && !reply.at("/errors/0/field").is_null();
                let case = format!("{} {} = {}: {}", operation.id, field.name, shown(&value), reply.shown());
                assert!(reply.status < 300 || reply.status == 409 || is_named, "{case}");
                assert!(operation.statuses.contains(&reply.status), "not documented: {case}");
            }
        }
    }
}

/// SQLite keeps the character U+0000 in texts, and PostgreSQL does not: no field takes it, and both say so in the same words.
#[tokio::test]
async fn a_character_that_not_every_store_keeps_is_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        for field in fields(schema, body) {
            let mut wrong = body.clone();
            let place = wrong.pointer_mut(&field.pointer).expect("a field of the body");
            match &field.schema.kind {
                Kind::Text { .. } => *place = json!(format!("{}\0", place.as_str().unwrap_or("x"))),
                Kind::Open => *place = json!({"a": ["b\0"]}),
                _ => continue,
            }
            let reply = send(&desk, operation, wrong).await;
            assert_names(operation, &reply, &field.name, "U+0000");
        }
        desk.assert_untouched(&operation.id).await;
    }
}

/// Values that fit almost nowhere.
fn strange() -> Vec<Value> {
    vec![
        json!(null),
        json!(-1),
        json!(1_000_000_000),
        json!(" "),
        json!("x\ny"),
        json!("\u{202e}\u{1f600}"),
        json!("1969-12-31T23:59:59Z"),
        json!("2199-12-31T23:59:59Z"),
        json!("2026-11-24T10:00:00.123456789+01:00"),
        json!("user_00000000000000000000000000"),
        json!([]),
        json!({}),
    ]
}

#[tokio::test]
async fn a_value_twice_in_a_list_is_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        for field in fields(schema, body) {
            let Kind::List { items, .. } = &field.schema.kind else { continue };
            let Kind::Text { .. } = items.kind else { continue };
            let mut wrong = body.clone();
            let list = wrong.pointer_mut(&field.pointer).and_then(Value::as_array_mut).expect("a list");
            list.push(list[0].clone());
            let reply = send(&desk, operation, wrong).await;
            assert_names(operation, &reply, &format!("{}[1]", field.name), "the same again");
        }
    }
}

#[tokio::test]
async fn missing_and_unknown_fields_are_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        let whole = Field { pointer: String::new(), name: String::new(), schema };
        for object in std::iter::once(whole).chain(fields(schema, body)) {
            let Kind::Closed { required, .. } = &object.schema.kind else { continue };
            let mut more = body.clone();
            more.pointer_mut(&object.pointer).expect("an object")["colour"] = json!("red");
            let reply = send(&desk, operation, more).await;
            let name = inside(&object.name, "colour");
            assert_eq!(reply.problem(), format!("400 invalid_request {name}:unknown_field"), "{}", operation.id);
            for field in required {
                let mut less = body.clone();
                let members = less.pointer_mut(&object.pointer).and_then(Value::as_object_mut).expect("an object");
                members.remove(field);
                let reply = send(&desk, operation, less).await;
                let name = inside(&object.name, field);
                assert_eq!(reply.problem(), format!("422 validation_failed {name}:required"), "{}", operation.id);
            }
        }
        desk.assert_untouched(&operation.id).await;
    }
}

#[tokio::test]
async fn a_field_given_twice_is_named() {
    let desk = Desk::open().await;
    for (operation, schema, body) in &bodies(&desk) {
        for field in fields(schema, body).into_iter().filter(|field| !field.name.ends_with(']')) {
            let (_, name) = field.pointer.rsplit_once('/').expect("a field of an object");
            let member = format!("\"{name}\":{}", body.pointer(&field.pointer).expect("a field of the body"));
            let mut marked = body.clone();
            *marked.pointer_mut(&field.pointer).expect("a field of the body") = json!("@@");
            let text = marked.to_string().replace(&format!("\"{name}\":\"@@\""), &format!("{member},{member}"));
            let reply = super::raw::send(&desk, operation, "application/json", text.into_bytes()).await;
            assert_eq!(reply.problem(), format!("400 invalid_request {}:duplicate", field.name), "{}", operation.id);
        }
        desk.assert_untouched(&operation.id).await;
    }
}

/// Every body of an example, with its operation and what the document says of it.
pub(super) fn bodies(desk: &Desk) -> Vec<(&Operation, &Schema, Value)> {
    let mut all = Vec::new();
    for operation in &desk.operations {
        let Some(schema) = &operation.body else { continue };
        let bodies = examples(operation, &desk.things).into_iter().filter_map(|example| example.body);
        all.extend(bodies.map(|body| (operation, schema, body)));
    }
    all
}

async fn send(desk: &Desk, operation: &Operation, body: Value) -> crate::support::Reply {
    let address = crate::support::address(&[], operation, |name| desk.things.id(name).to_owned());
    desk.ask(operation, &address, Some(body)).await
}

fn fields<'a>(schema: &'a Schema, body: &Value) -> Vec<Field<'a>> {
    let mut found = Vec::new();
    collect(schema, body, "", "", &mut found);
    found
}

fn collect<'a>(schema: &'a Schema, body: &Value, pointer: &str, name: &str, found: &mut Vec<Field<'a>>) {
    let mut enter = |schema: &'a Schema, value: &Value, pointer: String, name: String| {
        found.push(Field { pointer: pointer.clone(), name: name.clone(), schema });
        collect(schema, value, &pointer, &name, found);
    };
    match (&schema.kind, body) {
        (Kind::Closed { members, .. }, Value::Object(values)) => {
            for (key, value) in values {
                let member = members.get(key).unwrap_or_else(|| panic!("`{key}` is not in the document"));
                enter(member, value, format!("{pointer}/{key}"), inside(name, key));
            }
        }
        (Kind::List { items, .. }, Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                enter(items, value, format!("{pointer}/{index}"), format!("{name}[{index}]"));
            }
        }
        _ => {}
    }
}

fn inside(object: &str, member: &str) -> String {
    if object.is_empty() { member.to_owned() } else { format!("{object}.{member}") }
}
