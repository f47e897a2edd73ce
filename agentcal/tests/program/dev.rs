//! `agentcal dev`, as a process: what it offers, and what survives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{Caller, PROGRAM, booking, bookings_path, run_beside, shell};
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

/// The lines of the banner, pasted into a shell as they are.
#[tokio::test]
async fn the_banner_can_be_copied() {
    let dev = Dev::start(PROGRAM);
    let lines = wait_for("the banner", WAIT_MAX, || banner(&dev.said()));
    let Some(said) = shell(&format!("set -eu\n{lines}"), dev.data_dir()) else { return };
    assert!(said.contains("\"freshness\":{\"state\":\"complete\""), "{said}");
    assert_eq!(said.matches("\"slot_id\":\"slot_").count(), 3, "{said}");
    assert_eq!(said.matches("\"status\":\"confirmed\"").count(), 2, "{said}");
    let (caller, info) = (Caller::of(&dev), dev.info());
    let booked = caller.get_ok(&bookings_path(info)).await;
    let booked = booked["data"].as_array().expect("a list").clone();
    assert_eq!(booked.len(), 2);
    assert_ne!(booked[0]["start_time"], booked[1]["start_time"]);
}

/// From the first question to the body of the second booking; log lines may stand around it.
fn banner(said: &str) -> Option<String> {
    let from = said.find("# When")?;
    let confirm = from + said[from..].find("hold_id")?;
    let end = confirm + said[confirm..].find("}}'")? + "}}'".len();
    Some(said[from..end].to_owned())
}

/// A limit of holds that was configured is kept to.
#[tokio::test]
async fn limits_of_holds_can_be_set() {
    let dev = Dev::start_with(PROGRAM, &[("AGENTCAL_HOLDS_PER_SESSION_MAX", "1")]);
    let (caller, info) = (Caller::of(&dev), dev.info());
    let slots = caller.demo_slots(info).await;
    let mut statuses = Vec::new();
    for slot in &slots[..2] {
        let body = serde_json::json!({
            "event_type_id": info.event_type_id, "start_time": slot["start_time"], "session_id": "call",
        });
        let (status, answer) = caller.post(&format!("/v1/accounts/{}/holds", info.account_id), body).await;
        statuses.push((status.as_u16(), answer["code"].as_str().map(str::to_owned)));
    }
    assert_eq!(statuses, [(201, None), (429, Some("hold_limit_reached".to_owned()))]);
}

/// The page a booking's `manage_url` leads to is served beside the api, and its head is nobody else's business.
#[tokio::test]
async fn attendees_find_their_page() {
    let dev = Dev::start(PROGRAM);
    let (caller, info) = (Caller::of(&dev), dev.info());
    let slots = caller.demo_slots(info).await;
    let (status, booked) = caller.book(info, &slots[3]["start_time"]).await;
    assert_eq!(status, StatusCode::CREATED, "{booked}");
    let link = booked["manage_url"].as_str().expect("a link");
    let path = link.strip_prefix(dev.base_url()).expect("a link to this program");
    let (status, page) = caller.get(path).await;
    let page = page.as_str().expect("text");
    assert!(status == StatusCode::OK && page.contains("<html") && page.contains("Ada Lovelace"), "{status} {page}");
    assert_eq!(status_of(address(&dev), "/manage/nonsense"), Some(404));
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

/// What a server says that waits for a body.
const CONTINUE: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        bookings_path(&info),
        info.secret_key,
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("the head of a request");
    // Said when somebody begins to read the body: the request was taken.
    let mut said = [0; CONTINUE.len()];
    stream.read_exact(&mut said).expect("a word that it goes on");
    assert_eq!(said, *CONTINUE, "{}", String::from_utf8_lossy(&said));
    stream.write_all(first_half.as_bytes()).expect("half a body");
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
    let path = format!("/v1/accounts/{}", dev.info().account_id);
    // A machine that stands still for seconds may do so once, and not each time.
    let mut revoked = None;
    for _ in 0..5 {
        let key = beside(&[&["key", "create", "--mode", "test"], &of_organization[..]].concat());
        assert!(key.starts_with("sk_test_"), "{key}");
        let listed = beside(&[&["key", "list"], &of_organization[..]].concat());
        assert!(!listed.contains(&key), "a list shows no key");
        let id = listed.lines().find(|line| line.contains(&key[..12])).and_then(|line| line.split(' ').next());
        let id = id.expect("the new key is listed").to_owned();

        let caller = Caller::new(dev.base_url(), &key);
        assert_eq!(caller.get(&path).await.0, StatusCode::OK);
        beside(&["key", "revoke", &id]);
        let began = Instant::now();
        while caller.get(&path).await.0 != StatusCode::UNAUTHORIZED && began.elapsed() < Duration::from_secs(60) {}
        if began.elapsed() < Duration::from_secs(5) {
            revoked = Some(id);
            break;
        }
    }
    let id = revoked.expect("a key is dead within five seconds");
    assert_eq!(Caller::of(&dev).get(&path).await.0, StatusCode::OK, "other keys live on");
    assert!(!run_beside(&["key", "revoke", &id], dev.data_dir()).success, "it cannot be revoked twice");
}
