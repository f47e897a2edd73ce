//! Ids in paths that are none.

use super::Desk;
use crate::support::{address, examples};

#[tokio::test]
async fn ids_in_paths_that_are_none_are_not_there() {
    let desk = Desk::open().await;
    let zeros = "0".repeat(26);
    let wrong = ["x", "user_", "user_8zzzzzzzzzzzzzzzzzzzzzzzzz", "%ff", "%00", "..%2f", "1", "-", "%F0%9F%98%80"];
    let wrong =
        wrong.into_iter().map(str::to_owned).chain(["acct", "user", "cal"].map(|kind| format!("{kind}_{zeros}")));
    for wrong in wrong {
        for operation in &desk.operations {
            let Some(example) = examples(operation, &desk.things).into_iter().next() else { continue };
            for parameter in operation.path_parameters() {
                let id = |name: &str| if name == parameter { wrong.clone() } else { desk.things.id(name).to_owned() };
                let address = address(&example.query, operation, id);
                let reply = desk.ask(operation, &address, example.body.clone()).await;
                assert_eq!(reply.problem(), "404 not_found", "{} {address}", operation.method);
            }
        }
    }
    desk.assert_untouched("ids that are none").await;
}
