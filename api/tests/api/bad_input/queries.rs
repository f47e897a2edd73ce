//! Every parameter of every query and every header, wrong in turn.

use super::{Desk, assert_names, shown};
use crate::support::{Example, Operation, address, examples};

#[tokio::test]
async fn every_parameter_wrong_in_turn_is_named() {
    let desk = Desk::open().await;
    for (operation, example) in &questions(&desk) {
        for parameter in &operation.query {
            for text in parameter.schema.wrong_texts() {
                let mut wrong: Vec<_> = without(example, &parameter.name);
                wrong.push((parameter.name.clone(), text.clone()));
                let reply = ask(&desk, operation, example, &wrong).await;
                assert_names(operation, &reply, &parameter.name, &shown(&text));
            }
        }
        desk.assert_untouched(&operation.id).await;
    }
}

#[tokio::test]
async fn parameters_missing_given_twice_or_unknown_are_named() {
    let desk = Desk::open().await;
    for (operation, example) in &questions(&desk) {
        for (name, value) in &example.query {
            let mut twice = example.query.clone();
            twice.push((name.clone(), value.clone()));
            let reply = ask(&desk, operation, example, &twice).await;
            assert_eq!(reply.problem(), format!("400 invalid_request {name}:duplicate"), "{}", operation.id);
        }
        for parameter in operation.query.iter().filter(|parameter| parameter.required) {
            let reply = ask(&desk, operation, example, &without(example, &parameter.name)).await;
            let expected = format!("422 validation_failed {}:required", parameter.name);
            assert_eq!(reply.problem(), expected, "{}", operation.id);
        }
        let mut more = example.query.clone();
        more.push(("colour".to_owned(), "red".to_owned()));
        let reply = ask(&desk, operation, example, &more).await;
        assert_eq!(reply.problem(), "400 invalid_request colour:unknown_field", "{}", operation.id);
        desk.assert_untouched(&operation.id).await;
    }
}

#[tokio::test]
async fn headers_that_cannot_be_meant_are_named() {
    let desk = Desk::open().await;
    let bearer = format!("Bearer {}", desk.app.key);
    let long = "k".repeat(256);
    for (operation, example) in &questions(&desk) {
        let address = example.address(operation, &desk.things);
        let check = async |headers: &[(&str, &str)], problem: &str| {
            let headers = [&[("authorization", bearer.as_str())], headers].concat();
            let reply = desk.app.ask_with(&headers, operation.method.clone(), &address, example.body.clone()).await;
            assert_eq!(reply.problem(), problem, "{} {headers:?}", operation.id);
        };
        for name in &operation.headers {
            match name.as_str() {
                "Idempotency-Key" => {
                    for key in ["", "a\tb", long.as_str()] {
                        let problem = "400 invalid_request Idempotency-Key:invalid_format";
                        check(&[("idempotency-key", key)], problem).await;
                    }
                    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
                    check(&twice, "400 invalid_request Idempotency-Key:invalid_format").await;
                }
                "X-Account-ID" => {
                    for account in ["", "acct_x", desk.things.id("user_id")] {
                        check(&[("x-account-id", account)], "400 account_mismatch X-Account-ID:not_together").await;
                    }
                }
                other => panic!("no test knows the header {other}"),
            }
        }
        desk.assert_untouched(&operation.id).await;
    }
}

/// Every example with its operation, those without parameters too.
fn questions(desk: &Desk) -> Vec<(&Operation, Example)> {
    let of = |operation| examples(operation, &desk.things).into_iter().map(move |example| (operation, example));
    desk.operations.iter().flat_map(of).collect()
}

async fn ask(
    desk: &Desk,
    operation: &Operation,
    example: &Example,
    query: &[(String, String)],
) -> crate::support::Reply {
    let address = address(query, operation, |name| desk.things.id(name).to_owned());
    desk.ask(operation, &address, example.body.clone()).await
}

fn without(example: &Example, name: &str) -> Vec<(String, String)> {
    example.query.iter().filter(|(other, _)| other != name).cloned().collect()
}
