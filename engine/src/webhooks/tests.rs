use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::ids::{OrganizationId, WebhookId};
use crate::model::Mode;

struct Always(u8);

impl Entropy for Always {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0);
    }
}

fn status(status: u16) -> Tried {
    Tried { status: Some(status), retry_after: None }
}

const NO_ANSWER: Tried = Tried { status: None, retry_after: None };

#[test]
fn a_try_is_followed_by_what_it_came_to() {
    let check = |tried: Tried, tries: u32, expected: Next| {
        assert_eq!(next(&tried, tries, &RETRY_WAITS, &Always(0)), expected, "{tried:?} after {tries}");
    };
    let after = |seconds: u64| Next::Retry(Duration::from_secs(seconds));
    check(status(200), 1, Next::Delivered);
    check(status(204), 10, Next::Delivered);
    check(status(299), 1, Next::Delivered);
    for refused in [status(199), status(300), status(302), status(404), status(500), NO_ANSWER] {
        check(refused, 1, after(5));
    }
    for (tries, minutes) in (2..).zip([5, 30, 120, 300, 600, 840, 1_200, 1_440]) {
        check(status(500), tries, after(minutes * 60));
    }
    check(status(500), 10, Next::GiveUp);
    check(NO_ANSWER, u32::MAX, Next::GiveUp);
    check(status(410), 1, Next::GiveUp);
}

#[test]
fn retry_after_is_heeded_within_bounds() {
    let check = |asked: u64, expected: u64| {
        let tried = Tried { status: Some(503), retry_after: Some(Duration::from_secs(asked)) };
        let wait = next(&tried, 2, &RETRY_WAITS, &Always(0));
        assert_eq!(wait, Next::Retry(Duration::from_secs(expected)), "{asked}");
    };
    check(0, 300);
    check(299, 300);
    check(3_600, 3_600);
    check(u64::MAX, 24 * 3_600);
}

#[test]
fn chance_only_lengthens_and_by_a_tenth_at_most() {
    let longest = next(&status(500), 2, &RETRY_WAITS, &Always(255));
    assert_eq!(longest, Next::Retry(Duration::from_secs(330)));
    let in_all: Duration = RETRY_WAITS.iter().sum();
    assert_eq!(in_all.as_secs() / 3_600, 75);
}

#[test]
fn an_endpoint_ends_when_it_says_so_or_fails_for_days() {
    let start = Timestamp::from_seconds(1_000_000);
    let days = |days: i64| start.plus_micros(days * crate::time::DAY_US);
    let failing = WebhookHealth { failures: 3, failing_since: Some(start) };
    let check = |health, tried: Tried, now, failures, ends| {
        let after = endpoint_after(health, &tried, now);
        assert_eq!((after.health.failures, after.ends), (failures, ends), "{tried:?}");
    };
    check(WebhookHealth::default(), status(500), start, 1, None);
    check(WebhookHealth::default(), status(410), start, 1, Some(WebhookStanding::Gone));
    check(failing, status(500), days(5).plus_micros(-1), 4, None);
    check(failing, NO_ANSWER, days(5), 4, Some(WebhookStanding::Failing));
    check(failing, status(200), days(9), 0, None);
    assert_eq!(endpoint_after(failing, &status(500), days(1)).health.failing_since, Some(start));
    assert_eq!(endpoint_after(failing, &status(204), days(1)).health, WebhookHealth::default());
}

#[test]
fn who_fails_again_and_again_is_asked_one_by_one() {
    let check = |failures, expected| {
        let health = WebhookHealth { failures, failing_since: None };
        assert_eq!(tries_at_once(health), expected, "{failures}");
    };
    check(0, 8);
    check(9, 8);
    check(10, 1);
    check(u32::MAX, 1);
}

#[test]
fn as_much_waits_as_an_endpoint_will_take_soon() {
    let check = |failures: u32, answered: u32, expected: u32| {
        let health = WebhookHealth { failures, failing_since: None };
        assert_eq!(waiting_at_most(health, answered), expected, "{failures} failures, {answered} answered");
    };
    check(0, 0, 0);
    check(0, 1, 2);
    check(0, 8, 16);
    check(0, 28, WAITING_PER_ENDPOINT_MAX);
    check(0, u32::MAX, WAITING_PER_ENDPOINT_MAX);
    check(1, 28, 0);
}

#[test]
fn an_endpoint_hears_what_it_asked_for() {
    let account = |n: u128| AccountId::from_uuid(Uuid::from_u128(n));
    let made = Timestamp::from_seconds(100);
    let endpoint = WebhookEndpoint {
        id: WebhookId::from_uuid(Uuid::from_u128(1)),
        organization_id: OrganizationId::from_uuid(Uuid::from_u128(2)),
        mode: Mode::Live,
        url: "https://example.com/hook".into(),
        events: BTreeSet::from([EventKind::BookingCreated]),
        account_ids: None,
        standing: WebhookStanding::Enabled,
        health: WebhookHealth::default(),
        created_at: made,
    };
    let only_first = WebhookEndpoint { account_ids: Some(BTreeSet::from([account(1)])), ..endpoint.clone() };
    let off = WebhookEndpoint { standing: WebhookStanding::SwitchedOff, ..endpoint.clone() };
    let check = |endpoint: &WebhookEndpoint, account_id, kind, at: i64, expected| {
        assert_eq!(hears(endpoint, account_id, kind, Timestamp::from_seconds(at)), expected);
    };
    check(&endpoint, account(1), EventKind::BookingCreated, 100, true);
    check(&endpoint, account(1), EventKind::BookingCreated, 99, false);
    check(&endpoint, account(1), EventKind::BookingCancelled, 100, false);
    check(&only_first, account(1), EventKind::BookingCreated, 100, true);
    check(&only_first, account(2), EventKind::BookingCreated, 100, false);
    check(&off, account(1), EventKind::BookingCreated, 100, false);
}

#[test]
fn a_notice_of_an_end_keeps_no_secret() {
    let check = |url: &str, expected: &str| {
        let endpoint_id = WebhookId::from_uuid(Uuid::from_u128(7));
        let at = Timestamp::from_seconds(1_000);
        let ended = WebhookDisabled {
            endpoint_id,
            url: url.to_owned(),
            standing: WebhookStanding::Gone,
            failing_since: at,
            last_status: Some(410),
            at,
        };
        let job = notice_of_end(ended.clone());
        assert_eq!((job.name, job.due_at), (format!("notice/webhook/{endpoint_id}/1000000000"), at));
        let told = NoticeWork::WebhookDisabled(WebhookDisabled { url: expected.to_owned(), ..ended });
        assert_eq!(job.work, JobWork::Notice(told), "{url}");
    };
    check("https://example.com/hook", "https://example.com/hook");
    check("https://example.com/hook?token=a/b@c", "https://example.com/hook");
    check("https://example.com/hook#part", "https://example.com/hook");
    check("https://example.com?token=1", "https://example.com");
    check("https://me:secret@example.com:8443/a@b", "https://example.com:8443/a@b");
}
