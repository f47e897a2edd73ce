//! Full and incremental syncs.

use agentcal_engine::facts::ExternalInstance;
use agentcal_engine::ports::{Provider, ProviderError, SyncMode, SyncNext};
use serde_json::json;

use crate::support::{Facts, SARAH, Stage, busy, event, id_of, range, series, write};

/// A lifelike calendar.
fn fill(stage: &Stage) {
    let google = &stage.google;
    for day in 0..40 {
        google.insert(SARAH, event(day * 1_440 + 60, 45));
    }
    google.insert(SARAH, series(200, 30, "RRULE:FREQ=DAILY;COUNT=30"));
    let weekly = google.insert(SARAH, series(400, 60, "RRULE:FREQ=WEEKLY;BYDAY=MO,WE"));
    let instance = |suffix: &str| format!("{}_{suffix}", id_of(&weekly));
    // 18:40 in UTC is 19:40 in Berlin.
    google.delete(SARAH, &instance("20261130T184000Z"));
    google.patch(
        SARAH,
        &instance("20261202T184000Z"),
        json!({
            "start": {"dateTime": "2026-12-02T09:00:00Z"}, "end": {"dateTime": "2026-12-02T10:00:00Z"},
        }),
    );
    google.insert(SARAH, json!({"start": {"date": "2026-12-24"}, "end": {"date": "2026-12-27"}}));
    let mut free = event(5_000, 60);
    free["transparency"] = "transparent".into();
    google.insert(SARAH, free);
    let mut home = event(6_000, 600);
    home["eventType"] = "workingLocation".into();
    google.insert(SARAH, home);
    let mut declined = event(7_000, 60);
    declined["attendees"] = json!([{"email": SARAH, "responseStatus": "declined"}, {"email": "tom@example.com"}]);
    google.insert(SARAH, declined);
    // Over long ago, and in years: neither concerns us.
    google.insert(SARAH, event(-50_000, 60));
    google.insert(SARAH, event(1_440 * 600, 60));
}

#[tokio::test]
async fn a_full_sync_is_the_truth_however_long_its_pages_are() {
    let stage = Stage::new().await;
    fill(&stage);
    let (whole, pages, _) = stage.run(SyncMode::Full).await.unwrap();
    assert_eq!(pages, 1);
    assert_eq!(busy(&whole), stage.truth());
    assert!(whole.len() > 100, "{}", whole.len());
    for len in [1, 7, 100] {
        stage.google.set_page_len_max(len);
        let (facts, pages, _) = stage.run(SyncMode::Full).await.unwrap();
        assert_eq!(facts, whole, "{len}");
        assert_eq!(pages, whole.len().div_ceil(len), "{len}");
    }
}

/// What an edit is called, the edit, and whether everything is read anew after it.
type Step<'a> = (&'a str, Box<dyn Fn() + 'a>, bool);

#[tokio::test]
async fn each_edit_is_one_small_answer() {
    let stage = Stage::new().await;
    fill(&stage);
    let (mut facts, mut cursor) = stage.full().await;
    let one = stage.google.insert(SARAH, event(10_000, 30));
    let lunch = stage.google.insert(SARAH, series(10_100, 30, "RRULE:FREQ=DAILY;COUNT=5"));
    let google = &stage.google;
    let (one, lunch) = (id_of(&one).to_owned(), id_of(&lunch).to_owned());
    // 10,100 minutes after noon it is 12:20 in UTC, a week later.
    let instance = format!("{lunch}_20261130T122000Z");
    let moved = |minutes: i64| {
        let mut moved = event(minutes, 30);
        moved.as_object_mut().unwrap().remove("summary");
        moved
    };
    let nothing = || {};
    let steps: Vec<Step<'_>> = vec![
        ("both are new", Box::new(nothing), false),
        ("nothing changed", Box::new(nothing), false),
        ("moved", Box::new(|| drop(google.patch(SARAH, &one, moved(10_030)))), false),
        ("moved beyond the window", Box::new(|| drop(google.patch(SARAH, &one, moved(1_440 * 500)))), false),
        ("moved back", Box::new(|| drop(google.patch(SARAH, &one, moved(10_030)))), false),
        ("free", Box::new(|| drop(google.patch(SARAH, &one, json!({"transparency": "transparent"})))), false),
        ("deleted", Box::new(|| google.delete(SARAH, &one)), false),
        ("an instance moved", Box::new(|| drop(google.patch(SARAH, &instance, moved(10_300)))), false),
        ("an instance deleted", Box::new(|| google.delete(SARAH, &instance)), false),
        (
            "a series shortened a little",
            Box::new(|| drop(google.patch(SARAH, &lunch, json!({"recurrence": ["RRULE:FREQ=DAILY;COUNT=4"]})))),
            false,
        ),
        ("a series moved", Box::new(|| drop(google.patch(SARAH, &lunch, moved(10_110)))), true),
        (
            "a series for ever",
            Box::new(|| drop(google.patch(SARAH, &lunch, json!({"recurrence": ["RRULE:FREQ=DAILY"]})))),
            false,
        ),
        ("a series deleted", Box::new(|| google.delete(SARAH, &lunch)), true),
        ("the tokens died", Box::new(|| google.forget_sync_tokens(SARAH)), true),
    ];
    for (what, edit, reads_all) in steps {
        edit();
        assert_eq!(stage.follow(&mut facts, &mut cursor).await, reads_all, "{what}");
        assert_eq!(busy(&facts), stage.truth(), "{what}");
    }
}

#[tokio::test]
async fn a_single_event_becomes_a_series_and_back() {
    let stage = Stage::new().await;
    let one = stage.google.insert(SARAH, event(60, 30));
    let (mut facts, mut cursor) = stage.full().await;
    for (rule, reads_all) in [(json!(["RRULE:FREQ=DAILY;COUNT=4"]), false), (json!(null), true)] {
        stage.google.patch(SARAH, id_of(&one), json!({"recurrence": rule}));
        assert_eq!(stage.follow(&mut facts, &mut cursor).await, reads_all, "{rule}");
        assert_eq!(busy(&facts), stage.truth(), "{rule}");
    }
}

#[tokio::test]
async fn what_changes_between_two_pages_is_told_afterwards() {
    let stage = Stage::new().await;
    for nth in 0..10 {
        stage.google.insert(SARAH, event(nth * 60, 30));
    }
    stage.google.set_page_len_max(4);
    let first = stage.page(SyncMode::Full, None).await.unwrap();
    let SyncNext::Page(next) = first.next else { panic!("one page is not enough") };
    let mut facts: Facts =
        first.changes.into_iter().map(|change| (change.provider_event_id, change.instances)).collect();
    let gone = facts.keys().next().unwrap().clone();
    stage.google.delete(SARAH, &gone);
    let late = stage.google.insert(SARAH, event(2_000, 30));
    let mut page = Some(next);
    let mut cursor = loop {
        let answer = stage.page(SyncMode::Full, page).await.unwrap();
        facts.extend(answer.changes.into_iter().map(|change| (change.provider_event_id, change.instances)));
        match answer.next {
            SyncNext::Page(next) => page = Some(next),
            SyncNext::Done { cursor } => break cursor,
        }
    };
    stage.follow(&mut facts, &mut cursor).await;
    assert!(facts[&gone].is_empty());
    assert_eq!(facts[id_of(&late)].len(), 1);
    assert_eq!(busy(&facts), stage.truth());
}

#[tokio::test]
async fn an_event_of_ours_is_known_as_ours() {
    let stage = Stage::new().await;
    let written = write(7, range(60, 30));
    stage.provider.write_event(&stage.calendar, &written).await.unwrap();
    let (facts, _) = stage.full().await;
    let instances: Vec<&ExternalInstance> = facts.values().flatten().collect();
    let ours = ExternalInstance { range: written.range, booking_id: Some(written.booking_id), blocks: true };
    assert_eq!(instances, [&ours]);
}

/// Ten thousand events arrive in pages, none of which holds more than a fortieth of them.
#[tokio::test]
async fn a_first_sync_of_ten_thousand_events_is_bounded_by_a_page() {
    let stage = Stage::new().await;
    for nth in 0..10_000 {
        stage.google.insert(SARAH, event(nth * 60, 30));
    }
    let (mut page, mut lens) = (None, Vec::new());
    loop {
        let answer = stage.page(SyncMode::Full, page).await.unwrap();
        lens.push(answer.changes.len());
        match answer.next {
            SyncNext::Page(next) => page = Some(next),
            SyncNext::Done { .. } => break,
        }
    }
    assert_eq!(lens, [250; 40]);
}

#[tokio::test]
async fn a_calendar_that_is_gone_says_so() {
    let stage = Stage::new().await;
    let (_, cursor) = stage.full().await;
    stage.google.remove_calendar(SARAH);
    for mode in [SyncMode::Full, SyncMode::Incremental { cursor }] {
        assert_eq!(stage.page(mode, None).await, Err(ProviderError::CalendarGone));
    }
}

/// Of other people's events nothing is asked for that we do not keep: the answers do not carry it.
#[tokio::test]
async fn titles_and_guests_are_not_even_asked_for() {
    let stage = Stage::new().await;
    let mut secret = event(60, 30);
    secret["attendees"] = json!([{"email": SARAH}, {"email": "lawyer@example.com"}]);
    stage.google.insert(SARAH, secret);
    // Were the words in the answer, this would break it.
    for word in ["Secret", "lawyer", "organizer"] {
        let fault = agentcal_fake_kit::Fault::Replace(word.to_owned(), "\"".to_owned());
        stage.google.faults().add(agentcal_fake_kit::Rule::new(
            "GET",
            "/events",
            agentcal_fake_kit::When::Nth(1),
            fault,
        ));
        stage.page(SyncMode::Full, None).await.unwrap();
        stage.google.faults().clear();
    }
}
