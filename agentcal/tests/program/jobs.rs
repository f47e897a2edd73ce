//! `agentcal job`, beside a running program.

use agentcal_testkit::{Dev, WAIT_MAX, wait_for};
use reqwest::StatusCode;

use crate::support::{Caller, PROGRAM, run_beside};

#[tokio::test]
async fn jobs_are_listed_and_cancelled_beside_a_server() {
    let dev = Dev::start(PROGRAM);
    let (caller, info) = (Caller::of(&dev), dev.info());
    let slots = caller.demo_slots(info).await;
    let (status, booked) = caller.book(info, &slots[0]["start_time"]).await;
    assert_eq!(status, StatusCode::CREATED, "{booked}");
    let organizations = run_beside(&["org", "list"], dev.data_dir()).out;
    let organization = organizations.split_whitespace().next().expect("an organization").to_owned();
    let list = |state: &str| {
        let arguments =
            ["job", "list", "--organization", &organization, "--mode", "test", "--kind", "completed", "--state", state];
        let said = run_beside(&arguments, dev.data_dir());
        assert!(said.success, "{}", said.err);
        said.out
    };
    let line =
        wait_for("the end of the booking to be a job", WAIT_MAX, || list("pending").lines().next().map(str::to_owned));
    let id = line.split_whitespace().next().expect("an id").to_owned();
    assert!(id.starts_with("job_") && line.contains(booked["id"].as_str().expect("an id")), "{line}");
    let refused = run_beside(&["job", "retry", &id], dev.data_dir());
    assert!(!refused.success && refused.err.contains("was not given up"), "{}", refused.err);
    let cancelled = run_beside(&["job", "cancel", &id], dev.data_dir());
    assert!(cancelled.success, "{}", cancelled.err);
    assert_eq!(list("pending"), "");
    assert!(list("done").starts_with(&id) && list("done").ends_with("cancelled"), "{}", list("done"));
    let nowhere = run_beside(&["job", "cancel", "job_01kaj2wz5rfv8t6xg3m9c1nq4d"], dev.data_dir());
    assert!(!nowhere.success && nowhere.err.contains("there is no job"), "{}", nowhere.err);
}
