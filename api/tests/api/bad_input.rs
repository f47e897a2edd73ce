//! Whatever is sent: a problem that names the field, nothing stored, nothing broken. Generated from the document, so that
//! a new route is put to the test by being described.

mod bodies;
mod paths;
mod queries;
mod raw;

use http::Method;
use serde_json::Value;

use crate::support::{Operation, Reply, TestApp, Things};

/// An api with one of everything, and what it says of itself.
struct Desk {
    app: TestApp,
    things: Things,
    operations: Vec<Operation>,
    before: Vec<Value>,
}

impl Desk {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let things = Things::made(&app, &app.key).await;
        let before = things.picture(&app, &app.key).await;
        Self { operations: Operation::all(), app, things, before }
    }

    async fn ask(&self, operation: &Operation, address: &str, body: Option<Value>) -> Reply {
        self.app.ask(operation.method.clone(), address, body).await
    }

    /// Nothing that was refused was done.
    async fn assert_untouched(&self, case: &str) {
        assert_eq!(self.things.picture(&self.app, &self.app.key).await, self.before, "{case}");
        let accounts = self.app.ask(Method::GET, "/v1/accounts", None).await.expect(200);
        assert_eq!(accounts.at("/data").as_array().map(Vec::len), Some(1), "{case}");
    }
}

/// A refusal that tells the caller which field to change, and that the document tells of.
#[track_caller]
fn assert_names(operation: &Operation, reply: &Reply, field: &str, case: &str) {
    let case = format!("{} {field} = {case}: {}", operation.id, reply.shown());
    assert!(matches!(reply.status, 400 | 422), "{case}");
    assert!(operation.statuses.contains(&reply.status), "not documented: {case}");
    assert!(reply.names(field), "{case}");
}

fn shown(value: &impl ToString) -> String {
    value.to_string().chars().take(60).collect()
}
