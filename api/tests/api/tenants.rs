//! Every tenant alone: what belongs to somebody else looks like what is nowhere. Lesson: another tenant's key reads slots
//! and free-busy. Generated from the document, so that a new route is put to the test by being described.

use std::collections::BTreeSet;

use agentcal_engine::model::{KeyKind, Mode};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Example, Operation, Reply, TestApp, Things, address, examples};

/// An account, and everything that must look to its key as if it were not there.
struct Street {
    app: TestApp,
    own: Things,
    /// Of another organization.
    stranger: Things,
    /// Of the same organization in the other mode.
    live: Things,
    /// Of another account of the same organization and mode.
    sibling: Things,
    nowhere: Things,
    operations: Vec<Operation>,
}

impl Street {
    async fn build() -> Self {
        let app = TestApp::start().await;
        let own = Things::made(&app, &app.key).await;
        let stranger = Things::made(&app, &app.stranger().await).await;
        let (live, _) = app.new_key(app.organization_id, KeyKind::Secret, Mode::Live, &[]).await;
        let live = Things::made(&app, &live).await;
        let sibling = Things::made(&app, &app.key).await;
        let nowhere = Things::nowhere(&app, &own);
        Self { own, stranger, live, sibling, nowhere, operations: Operation::all(), app }
    }

    /// Every example with its operation.
    fn examples(&self) -> Vec<(&Operation, Example)> {
        let of = |operation| examples(operation, &self.own).into_iter().map(move |example| (operation, example));
        self.operations.iter().flat_map(of).collect()
    }

    fn foreign(&self) -> [(&'static str, &Things); 3] {
        [("a stranger's", &self.stranger), ("the other mode's", &self.live), ("another account's", &self.sibling)]
    }

    async fn ask(&self, operation: &Operation, address: &str, body: Option<&Value>) -> Reply {
        self.app.ask(operation.method.clone(), address, body.cloned()).await
    }

    async fn ask_with(&self, operation: &Operation, example: &Example, id: impl Fn(&str) -> String) -> Reply {
        let address = address(&example.query, operation, id);
        self.ask(operation, &address, example.body.as_ref()).await
    }

    async fn picture(&self) -> Vec<Value> {
        let mut all = self.own.picture(&self.app, &self.app.key).await;
        all.extend(self.sibling.picture(&self.app, &self.app.key).await);
        all
    }
}

#[tokio::test]
async fn another_tenants_ids_in_paths_look_like_missing_ones() {
    let street = Street::build().await;
    let before = street.picture().await;
    for (operation, example) in &street.examples() {
        for parameter in operation.path_parameters() {
            let with = |things: &Things| {
                let (things, own) = (things.clone(), street.own.clone());
                let parameter = parameter.to_owned();
                move |name: &str| if name == parameter { things.id(name).to_owned() } else { own.id(name).to_owned() }
            };
            let missing = street.ask_with(operation, example, with(&street.nowhere)).await;
            assert_eq!(missing.problem(), "404 not_found", "{} {parameter}", operation.id);
            assert!(operation.statuses.contains(&404), "{}", operation.id);
            for (whose, things) in street.foreign() {
                // Accounts, webhooks and jobs are the organization's, and kinds of mail everybody's.
                let is_shared =
                    ["account_id", "webhook_id", "job_id"].contains(&parameter) && whose == "another account's";
                if is_shared || parameter == "kind" {
                    continue;
                }
                let reply = street.ask_with(operation, example, with(things)).await;
                assert_eq!(
                    reply.without_request_id(),
                    missing.without_request_id(),
                    "{} {whose} {parameter}",
                    operation.id
                );
            }
        }
    }
    assert_eq!(street.picture().await, before);
}

/// Whole paths that are right, for others: with ids and bodies that the owner's key would be answered for.
#[tokio::test]
async fn another_tenants_whole_requests_are_asked_in_vain() {
    let street = Street::build().await;
    for operation in street.operations.iter().filter(|operation| operation.template.contains("{account_id}")) {
        for (whose, things) in [("a stranger's", &street.stranger), ("the other mode's", &street.live)] {
            for example in examples(operation, things) {
                let reply = street.ask_with(operation, &example, |name| things.id(name).to_owned()).await;
                assert_eq!(reply.problem(), "404 not_found", "{} {whose}", operation.id);
                let missing = street.ask_with(operation, &example, |name| street.nowhere.id(name).to_owned()).await;
                assert_eq!(reply.without_request_id(), missing.without_request_id(), "{} {whose}", operation.id);
            }
        }
    }
}

#[tokio::test]
async fn another_tenants_ids_in_bodies_look_like_missing_ones() {
    let street = Street::build().await;
    let before = street.picture().await;
    let mut tried = 0;
    for (operation, example) in &street.examples() {
        let address = example.address(operation, &street.own);
        let Some(body) = &example.body else { continue };
        for (field, name) in ids_in(body) {
            let with = |things: &Things| {
                let mut body = body.clone();
                *body.pointer_mut(&field.pointer).expect("a field of the body") = json!(things.id(name));
                body
            };
            let missing = street.ask(operation, &address, Some(&with(&street.nowhere))).await;
            assert_eq!(missing.status, 422, "{} {}: {}", operation.id, field.name, missing.shown());
            assert!(missing.names(&field.name), "{} {}: {}", operation.id, field.name, missing.shown());
            for (whose, things) in street.foreign() {
                if name == "account_id" && whose == "another account's" {
                    continue;
                }
                let reply = street.ask(operation, &address, Some(&with(things))).await;
                let case = format!("{} {whose} {}", operation.id, field.name);
                assert_eq!(reply.without_request_id(), missing.without_request_id(), "{case}");
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "only {tried} ids stand in bodies");
    assert_eq!(street.picture().await, before);
}

/// Questions are refused by the field's name; the filter of a list finds nothing, as it would for what was deleted since.
#[tokio::test]
async fn another_tenants_ids_in_queries_look_like_missing_ones() {
    let street = Street::build().await;
    let mut tried = 0;
    for (operation, example) in &street.examples() {
        for (place, (field, _)) in example.query.iter().enumerate() {
            let Some(name) = Things::name_of(field) else { continue };
            let with = |things: &Things| {
                let mut query = example.query.clone();
                query[place].1 = things.id(name).to_owned();
                address(&query, operation, |name| street.own.id(name).to_owned())
            };
            let missing = street.ask(operation, &with(&street.nowhere), None).await;
            let is_list = operation.id.starts_with("list_");
            let is_empty_page = missing.status == 200 && missing.at("/data") == json!([]);
            let is_named = missing.status == 422 && missing.names(field);
            assert!(if is_list { is_empty_page } else { is_named }, "{} {field}: {}", operation.id, missing.shown());
            for (whose, things) in street.foreign() {
                let reply = street.ask(operation, &with(things), None).await;
                let case = format!("{} {whose} {field}", operation.id);
                assert_eq!(reply.without_request_id(), missing.without_request_id(), "{case}");
                tried += 1;
            }
        }
    }
    assert!(tried > 15, "only {tried} ids stand in queries");
}

#[tokio::test]
async fn lists_hold_what_is_ones_own() {
    let street = Street::build().await;
    let accounts = street.app.get("/v1/accounts").await.expect(200);
    // Made at one instant of a clock that stands still, so their order is that of their ids, which chance decides.
    let rows = accounts.at("/data").as_array().expect("rows").clone();
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(ids, BTreeSet::from([street.sibling.id("account_id"), street.own.id("account_id")]));
    for operation in street.operations.iter().filter(|operation| operation.id.starts_with("list_")) {
        let address = address(&[], operation, |name| street.own.id(name).to_owned());
        let reply = street.app.ask(Method::GET, &address, None).await.expect(200);
        for things in [&street.stranger, &street.live] {
            assert!(!reply.text.contains(things.id("account_id")), "{}", operation.id);
            assert!(!reply.text.contains(things.id("user_id")), "{}", operation.id);
        }
    }
}

struct Field {
    pointer: String,
    name: String,
}

/// Every id in a body, with the name of the thing it is of.
fn ids_in(body: &Value) -> Vec<(Field, &'static str)> {
    let mut found = Vec::new();
    for (member, value) in body.as_object().into_iter().flatten() {
        let Some(name) = Things::name_of(member) else { continue };
        match value {
            Value::Array(values) => found.extend((0..values.len()).map(|index| {
                (Field { pointer: format!("/{member}/{index}"), name: format!("{member}[{index}]") }, name)
            })),
            _ => found.push((Field { pointer: format!("/{member}"), name: member.clone() }, name)),
        }
    }
    found
}
