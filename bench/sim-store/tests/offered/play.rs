//! Taking what is offered, and asking for what is not.

use std::time::Duration;

use agentcal_engine::calendar::request::{
    ChangedBy, Choice, CommitAnswer, CommitKind, HoldSelection, Intent, Made, Meeting, Refusal, Rejection,
};
use agentcal_engine::decision::{Slot, decide};
use agentcal_engine::ids::UserId;
use agentcal_engine::invariants::no_double_booking;
use agentcal_engine::model::SchedulingMode;
use agentcal_engine::time::{MINUTE_US, SECOND_US, Timestamp};

use crate::dice::Dice;
use crate::scene::{Look, Scene};

/// What was done, to know that the cases were worth something.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    without_slots: u64,
    booked: u64,
    held: u64,
    confirmed: u64,
    confirmed_late: u64,
    given_back: u64,
    cancelled: u64,
    collectives: u64,
    dry_runs: u64,
    refused: u64,
    alternatives_booked: u64,
    strict_refusals: u64,
    forged: u64,
}

impl Tally {
    /// In many cases everything must have happened now and then.
    pub(crate) fn assert_telling(&self, cases: u64) {
        if cases < 500 {
            return;
        }
        let Self { booked, held, confirmed, confirmed_late, given_back, cancelled, collectives, .. } = *self;
        let Self { dry_runs, refused, alternatives_booked, strict_refusals, forged, .. } = *self;
        let kinds = [
            (booked, 2),
            (held, 5),
            (confirmed, 10),
            (confirmed_late, 200),
            (given_back, 40),
            (cancelled, 40),
            (collectives, 30),
            (dry_runs, 20),
            (refused, 5),
            (alternatives_booked, 50),
            (strict_refusals, 50),
            (forged, 30),
        ];
        assert!(kinds.iter().all(|&(count, once_in)| count >= cases / once_in), "{self:?} of {cases} cases");
    }
}

/// A few rounds of asking and taking.
pub(crate) async fn play(dice: &mut Dice, scene: &mut Scene, tally: &mut Tally) {
    for _ in 0..=dice.below(2) {
        let mut look = scene.look().await;
        if look.search.slots.is_empty() {
            scene.widen();
            look = scene.look().await;
        }
        if look.search.slots.is_empty() {
            tally.without_slots += 1;
        } else {
            let slot = dice.pick(&look.search.slots);
            take(dice, scene, &look, &slot, tally).await;
        }
        if dice.percent(40) {
            let look = scene.look().await;
            ask_for_another(dice, scene, &look, tally).await;
        }
        assert_eq!(no_double_booking(&scene.disk.view().all_claims(), scene.disk.now()), Ok(()));
    }
}

/// Takes a slot in one of the ways there are, and looks whether it is gone.
async fn take(dice: &mut Dice, scene: &Scene, look: &Look, slot: &Slot, tally: &mut Tally) {
    let choice = choice(dice, scene, look, slot, tally).await;
    if dice.percent(10) {
        let answer = scene.commit(scene.booking(choice.clone(), slot.start), Intent::DryRun).await;
        assert!(matches!(answer, CommitAnswer::WouldCommit(_)), "{}", told(look, slot, &choice, &answer));
        tally.dry_runs += 1;
    }
    tally.collectives += u64::from(look.terms.scheduling_mode == SchedulingMode::Collective);
    if dice.percent(40) {
        return hold(dice, scene, look, slot, choice, tally).await;
    }
    let answer = scene.commit(scene.booking(choice.clone(), slot.start), Intent::Commit).await;
    let CommitAnswer::Committed(Made::Booking(booking)) = &answer else {
        panic!("{}", told(look, slot, &choice, &answer));
    };
    tally.booked += 1;
    let taken: Vec<UserId> = booking.hosts.iter().map(|host| host.user_id).collect();
    assert_is_gone(scene, look, slot, &taken).await;
    if dice.percent(15) {
        let cancel = CommitKind::Cancel { booking_id: booking.id, reason: None, by: ChangedBy::Key };
        assert!(matches!(scene.commit(cancel, Intent::Commit).await, CommitAnswer::Committed(_)));
        tally.cancelled += 1;
        assert_is_back(scene, look).await;
    }
}

/// Who to take: what a verified slot id says; or, with a bare start, anybody or somebody by name.
async fn choice(dice: &mut Dice, scene: &Scene, look: &Look, slot: &Slot, tally: &mut Tally) -> Choice {
    if scene.is_strict && dice.percent(20) {
        let answer = scene.commit(scene.booking(Choice::Any, slot.start), Intent::Commit).await;
        assert_eq!(answer, CommitAnswer::Rejected(Rejection::SlotIdRequired));
        tally.strict_refusals += 1;
    }
    if scene.is_strict || dice.percent(70) {
        let slot_id = scene.slot_id(look, slot);
        let offer = scene.verified(&slot_id).await.expect("what was just offered counts");
        assert_eq!((offer.start, offer.hosts), (slot.start, slot.hosts));
        if dice.percent(10) {
            assert_eq!(scene.verified(&forged(dice, &slot_id)).await, None, "forged from {slot_id}");
            tally.forged += 1;
        }
        return Choice::Offered(offer.hosts.iter().map(|index| look.user_ids[index]).collect());
    }
    let may_name = look.terms.scheduling_mode != SchedulingMode::Collective;
    if may_name && matches!(scene.meeting, Meeting::EventType(_)) && dice.percent(40) {
        return Choice::Named(dice.pick(&look.users_of(slot)));
    }
    Choice::Any
}

/// The same slot id with one character changed. The last one says fewer bits than it could, so it is left alone.
fn forged(dice: &mut Dice, slot_id: &str) -> String {
    let mut bytes = slot_id.as_bytes().to_vec();
    let place = "slot_".len() + dice.below(bytes.len() - "slot_".len() - 1);
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// Holds a slot, and then confirms it or gives it back.
async fn hold(dice: &mut Dice, scene: &Scene, look: &Look, slot: &Slot, choice: Choice, tally: &mut Tally) {
    let ttl_seconds = u32::try_from(dice.between(30, 900)).unwrap();
    let answer = scene.commit(scene.hold(choice.clone(), slot.start, ttl_seconds), Intent::Commit).await;
    let CommitAnswer::Committed(Made::Hold(hold)) = &answer else {
        panic!("{}", told(look, slot, &choice, &answer));
    };
    tally.held += 1;
    assert_is_gone(scene, look, slot, &hold.user_ids).await;
    if dice.percent(20) {
        let all = HoldSelection::Session("call".into());
        let selection = if dice.percent(50) { HoldSelection::One(hold.id) } else { all };
        let answer = scene.commit(CommitKind::Release(selection), Intent::Commit).await;
        assert_eq!(answer, CommitAnswer::Committed(Made::Released(vec![hold.id])));
        tally.given_back += 1;
        return assert_is_back(scene, look).await;
    }
    if dice.percent(8) {
        // To the last second of it the hold is a promise.
        let seconds = u64::from(ttl_seconds.min(40)) - 1;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        tally.confirmed_late += 1;
    }
    let answer = scene.commit(scene.confirmation(hold.id), Intent::Commit).await;
    let CommitAnswer::Committed(Made::Booking(booking)) = &answer else {
        panic!("{}", told(look, slot, &choice, &answer));
    };
    tally.confirmed += 1;
    let taken: Vec<UserId> = booking.hosts.iter().map(|host| host.user_id).collect();
    assert_eq!(taken, hold.user_ids);
    assert_is_gone(scene, look, slot, &taken).await;
}

/// Nobody who was taken is offered at that time any more.
async fn assert_is_gone(scene: &Scene, look: &Look, slot: &Slot, taken: &[UserId]) {
    let offered = look.users_of(slot);
    assert!(!taken.is_empty() && taken.iter().all(|user_id| offered.contains(user_id)), "{taken:?} of {offered:?}");
    let still = scene.look().await.offered_at(slot.start);
    assert!(!still.iter().any(|user_id| taken.contains(user_id)), "{taken:?} are offered again at {:?}", slot.start);
}

/// What is given back is offered again, and everything is as it was.
async fn assert_is_back(scene: &Scene, look: &Look) {
    assert_eq!(scene.look().await.search.slots, look.search.slots, "not as it was before");
}

/// A start that is not among the slots must be refused, and what is offered instead must be had.
async fn ask_for_another(dice: &mut Dice, scene: &Scene, look: &Look, tally: &mut Tally) {
    // Who is unknown somewhere in the range is left out whole, yet may be bookable at one start of it.
    if !look.search.unknown.is_empty() || scene.is_strict {
        return;
    }
    let start = any_start(dice, scene, look);
    if !look.covered(scene.range()).contains(start) || !look.offered_at(start).is_empty() {
        return;
    }
    let answer = scene.commit(scene.booking(Choice::Any, start), Intent::Commit).await;
    let CommitAnswer::Refused(Refusal { alternatives, decision_id, .. }) = &answer else {
        panic!("{start:?} was not offered: {answer:?}\n{:?}", decide(&look.question(), start));
    };
    assert!(decision_id.is_some(), "a refusal leaves a record");
    tally.refused += 1;
    if !alternatives.is_empty() && dice.percent(50) {
        let instead = dice.pick(alternatives);
        let answer =
            scene.commit(scene.booking(Choice::Offered(instead.user_ids.clone()), instead.start), Intent::Commit);
        let answer = answer.await;
        assert!(matches!(answer, CommitAnswer::Committed(_)), "{instead:?} was offered instead: {answer:?}");
        tally.alternatives_booked += 1;
    }
}

/// Near a slot, or anywhere.
fn any_start(dice: &mut Dice, scene: &Scene, look: &Look) -> Timestamp {
    if !look.search.slots.is_empty() && dice.percent(60) {
        let near = dice.pick(&look.search.slots).start;
        return near.plus_micros(dice.pick(&[-SECOND_US, SECOND_US, -MINUTE_US, MINUTE_US, 15 * MINUTE_US, 1]));
    }
    let range = scene.range();
    let minutes = range.len_micros() / MINUTE_US;
    let even = Timestamp::from_micros(range.start.as_micros().div_euclid(MINUTE_US) * MINUTE_US);
    even.plus_micros(dice.between(0, minutes) * MINUTE_US)
}

fn told(look: &Look, slot: &Slot, choice: &Choice, answer: &CommitAnswer) -> String {
    let verdict = decide(&look.question(), slot.start);
    format!("{slot:?} was offered, and asked for as {choice:?}: {answer:?}\nwhen it was offered: {verdict:?}")
}
