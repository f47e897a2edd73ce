//! `agentcal dev`, as a process: what it offers, and what survives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Caller, PROGRAM, booking, bookings_path, run_beside};
use agentcal_testkit::{Dev, WAIT_MAX, status_of, wait_for};
use reqwest::StatusCode;
use serde_json::Value;

fn address(dev: &Dev) -> SocketAddr {
    dev.base_url().strip_prefix("http://").and_then(|host| host.parse().ok()).expect("an address")
}

#[tokio::test]
async fn the_demo_has_enough_to_book() {
    let dev = Dev::start(PROGRAM);
    let (caller, info) = (Caller::of(&dev), dev.info());
    assert_eq!(info.user_ids.len(), 3);
    assert!(info.secret_key.starts_with("sk_test_") && info.publishable_key.starts_with("pk_test_"));
    for user_id in &info.user_ids {
        let slots = caller.slots(info, 14, &format!("user_id={user_id}&duration_minutes=30")).await;
        assert!(slots.len() >= 40, "{user_id} has {} slots", slots.len());
    }
    let slots = caller.slots(info, 30, &format!("event_type_id={}", info.event_type_id)).await;
    let shared = slots.iter().filter(|slot| slot["user_ids"].as_array().is_some_and(|ids| ids.len() == 3)).count();
    assert!(shared >= 60, "all three share {shared} slots");

    let event_type =
        caller.get_ok(&format!("/v1/accounts/{}/event-types/{}", info.account_id, info.event_type_id)).await;
    for (field, expected) in [
        ("duration_minutes", Value::from(30)),
        ("slot_interval_minutes", Value::from(30)),
        ("buffer_before", Value::from(0)),
        ("buffer_after", Value::from(0)),
        ("min_notice_hours", Value::from(0)),
        ("max_bookings_per_day", Value::Null),
        ("public", Value::from(true)),
        ("scheduling_mode", Value::from("individual")),
        ("user_ids", Value::from(info.user_ids.clone())),
    ] {
        assert_eq!(event_type[field], expected, "{field}: {event_type}");
    }
}

#[tokio::test]
async fn every_node_answers_about_itself() {
    let dev = Dev::start(PROGRAM);
    let caller = Caller::of(&dev);
    for path in ["/healthz", "/readyz", "/v1/openapi.json", "/docs/", "/metrics"] {
        assert_eq!(status_of(address(&dev), path), Some(200), "{path}");
    }
    caller.demo_slots(dev.info()).await;
    let (_, metrics) = caller.get("/metrics").await;
    let metrics = metrics.as_str().expect("text").to_owned();
    for name in ["agentcal_availability_latency_seconds_bucket", "agentcal_syncs_total", "agentcal_awake_calendars"] {
        assert!(metrics.contains(name), "/metrics does not have {name}:\n{metrics}");
    }
}

#[tokio::test]
async fn the_banner_can_be_copied() {
    let dev = Dev::start(PROGRAM);
    let said = wait_for("the banner", WAIT_MAX, || Some(dev.said()).filter(|said| said.contains("# Book it")));
    let quoted: Vec<&str> = said.split('\'').skip(1).step_by(2).collect();
    let question = quoted.iter().find(|text| text.contains("/availability?")).expect("a question");
    let body = quoted.iter().find(|text| text.starts_with('{')).expect("a body");
    assert!(quoted.contains(&format!("Authorization: Bearer {}", dev.info().secret_key).as_str()));
    let caller = Caller::of(&dev);
    let path = question.strip_prefix(dev.base_url()).expect("an address of this program");
    let answer = caller.get_ok(path).await;
    assert_eq!(answer["slots"].as_array().map(Vec::len), Some(3), "{answer}");
    let body = serde_json::from_str(body).expect("JSON");
    let (status, booked) = caller.post(&bookings_path(dev.info()), body).await;
    assert_eq!(status, StatusCode::CREATED, "{booked}");
}

#[tokio::test]
async fn a_booking_survives_a_restart_and_a_power_cut() {
    let mut dev = Dev::start(PROGRAM);
    let first = dev.info().clone();
    let mut booked = Vec::new();
    for round in 0..3 {
        let (caller, info) = (Caller::of(&dev), dev.info().clone());
        assert_eq!((&info.secret_key, &info.publishable_key), (&first.secret_key, &first.publishable_key));
        assert_eq!((&info.account_id, &info.user_ids), (&first.account_id, &first.user_ids));
        for booking in &booked {
            let id = booking_id(booking);
            let found = caller.get_ok(&format!("{}/{id}", bookings_path(&info))).await;
            assert_eq!(found["start_time"], booking["start_time"], "round {round}");
            assert_eq!(found["status"], "confirmed");
        }
        let slots = caller.demo_slots(&info).await;
        let (status, answer) = caller.book(&info, &slots[slots.len() / 2]["start_time"]).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        booked.push(answer);
        if round == 0 {
            dev.stop();
        } else {
            dev.kill9();
        }
        dev.restart();
    }
    let listed = Caller::of(&dev).get_ok(&bookings_path(&first)).await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(booked.len()), "{listed}");
}

fn booking_id(booking: &Value) -> &str {
    booking["id"].as_str().expect("an id")
}

#[test]
fn one_program_at_a_time_serves_a_folder() {
    let dev = Dev::start(PROGRAM);
    let second = run_beside(&["dev", "--port", "0"], dev.data_dir());
    assert!(!second.success);
    assert!(second.err.contains("another agentcal already serves from"), "{}", second.err);
    assert_eq!(status_of(address(&dev), "/readyz"), Some(200), "the first one goes on");
}

#[cfg(unix)]
#[test]
fn files_with_keys_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dev = Dev::start(PROGRAM);
    for file in ["keys.json", "dev.json", "keyring"] {
        let mode = std::fs::metadata(dev.data_dir().join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// Half a request is accepted; the program is told to stop; the other half comes; the answer is a booking, and durable.
#[tokio::test]
async fn sigterm_finishes_what_was_accepted() {
    let mut dev = Dev::start(PROGRAM);
    let (caller, info) = (Caller::of(&dev), dev.info().clone());
    let slots = caller.demo_slots(&info).await;
    let body = booking(&info, &slots[5]["start_time"]).to_string();
    let (first_half, second_half) = body.split_at(body.len() / 2);
    let address = address(&dev);
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(WAIT_MAX)).expect("a time-out");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{first_half}",
        bookings_path(&info),
        info.secret_key,
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("half a request");
    // A second connection that is answered shows that the first one was taken before it.
    assert_eq!(status_of(address, "/readyz"), Some(200));
    let pid = dev.pid().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().is_ok_and(|status| status.success()));
    wait_for("new callers are refused", WAIT_MAX, || status_of(address, "/readyz").is_none().then_some(()));

    stream.write_all(second_half.as_bytes()).expect("the other half");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    let said =
        wait_for("the program's last words", WAIT_MAX, || Some(dev.said()).filter(|said| said.contains("stopped")));
    assert!(!said.contains("unanswered"), "{said}");
    dev.restart();
    let listed = Caller::of(&dev).get_ok(&bookings_path(&info)).await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
}

/// Beside the running program a key is made, used, revoked, and dead within five seconds.
#[tokio::test]
async fn a_revoked_key_is_dead_within_five_seconds() {
    let dev = Dev::start(PROGRAM);
    let beside = |arguments: &[&str]| {
        let said = run_beside(arguments, dev.data_dir());
        assert!(said.success, "{arguments:?}: {}", said.err);
        said.out
    };
    let organization = beside(&["org", "list"]).split_whitespace().next().expect("an organization").to_owned();
    let of_organization = ["--organization", &organization];
    let key = beside(&[&["key", "create", "--mode", "test"], &of_organization[..]].concat());
    assert!(key.starts_with("sk_test_"), "{key}");
    let listed = beside(&[&["key", "list"], &of_organization[..]].concat());
    assert!(!listed.contains(&key), "a list shows no key");
    let id = listed.lines().find(|line| line.contains(&key[..12])).and_then(|line| line.split(' ').next());
    let id = id.expect("the new key is listed").to_owned();

    let caller = Caller::new(dev.base_url(), &key);
    let path = format!("/v1/accounts/{}", dev.info().account_id);
    assert_eq!(caller.get(&path).await.0, StatusCode::OK);
    beside(&["key", "revoke", &id]);
    let revoked = Instant::now();
    while caller.get(&path).await.0 != StatusCode::UNAUTHORIZED {
        assert!(revoked.elapsed() < Duration::from_secs(5), "the key is still alive");
    }
    assert_eq!(Caller::of(&dev).get(&path).await.0, StatusCode::OK, "other keys live on");
    assert!(!run_beside(&["key", "revoke", &id], dev.data_dir()).success, "it cannot be revoked twice");
}
