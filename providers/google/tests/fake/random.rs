//! People edit a calendar at random; what is known of it stays the truth.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{SARAH, Stage, busy, event, id_of, noon, series};

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn time(&mut self) -> i64 {
        self.roll(40 * 1_440 / 15) as i64 * 15
    }
}

/// One edit by hand, of one of the events there are.
fn edit(stage: &Stage, dice: &mut Dice) {
    let google = &stage.google;
    let there = google.events(SARAH);
    let target = there.get(dice.roll(there.len().max(1) as u64) as usize).cloned();
    let (at, length) = (dice.time(), 15 * (1 + dice.roll(8) as i64));
    let times = |change: Value| json!({"start": change["start"], "end": change["end"]});
    match (dice.roll(10), target) {
        (0..=2, _) | (_, None) => drop(google.insert(SARAH, event(at, length))),
        (3, _) => {
            let rules = ["RRULE:FREQ=DAILY;COUNT=12", "RRULE:FREQ=WEEKLY;BYDAY=TU,TH", "RRULE:FREQ=MONTHLY;COUNT=3"];
            drop(google.insert(SARAH, series(at, length, rules[dice.roll(3) as usize])));
        }
        (4 | 5, Some(target)) => drop(google.patch(SARAH, id_of(&target), times(event(at, length)))),
        (6, Some(target)) => google.delete(SARAH, id_of(&target)),
        (7, Some(target)) => {
            let free = if dice.roll(2) == 0 { "transparent" } else { "opaque" };
            drop(google.patch(SARAH, id_of(&target), json!({"transparency": free})));
        }
        (8, Some(target)) if target.get("recurrence").is_some() => {
            drop(google.patch(SARAH, id_of(&target), json!({"recurrence": ["RRULE:FREQ=DAILY;COUNT=9"]})));
        }
        (_, Some(target)) => edit_instance(stage, dice, &target, times(event(at, length))),
    }
}

/// Moves or deletes the first instance of a series, where it is one and has one.
fn edit_instance(stage: &Stage, dice: &mut Dice, series: &Value, times: Value) {
    if series.get("recurrence").is_none() {
        return;
    }
    let start = series["start"]["dateTime"].as_str().unwrap();
    let start = chrono::DateTime::parse_from_rfc3339(start).unwrap().to_utc();
    let instance = format!("{}_{}", id_of(series), start.format("%Y%m%dT%H%M%SZ"));
    let is_there = stage.google.event(SARAH, &instance).is_some_and(|instance| instance["status"] != "cancelled");
    match dice.roll(2) {
        _ if !is_there => {}
        0 => stage.google.delete(SARAH, &instance),
        _ => drop(stage.google.patch(SARAH, &instance, times)),
    }
}

#[tokio::test]
async fn what_is_known_stays_the_truth() {
    for seed in 1..=3 {
        let stage = Stage::new().await;
        stage.google.set_page_len_max(50);
        let mut dice = Dice(seed);
        let (mut facts, mut cursor) = stage.full().await;
        let mut read_anew = 0;
        for step in 0..60 {
            for _ in 0..=dice.roll(3) {
                edit(&stage, &mut dice);
            }
            stage.google.clock().set(noon() + TimeDelta::minutes(step));
            if dice.roll(20) == 0 {
                stage.google.forget_sync_tokens(SARAH);
            }
            read_anew += usize::from(stage.follow(&mut facts, &mut cursor).await);
            assert_eq!(busy(&facts), stage.truth(), "seed {seed}, step {step}");
        }
        assert!((1..50).contains(&read_anew), "seed {seed}: {read_anew} of 60 syncs read all");
    }
}
