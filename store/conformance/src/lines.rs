//! Commits that are made together: as if each had been made alone, from the beginning of the line on.

use agentcal_engine::commit::{CommitPlan, Outcome, RevisionKey};
use agentcal_engine::ids::CalendarId;
use agentcal_engine::model::{Booking, User};

use crate::World;

/// A line of bookings of one person, each decided on what those before it will have left.
async fn line(world: &World, user: &User, starts: &[i64]) -> Vec<(Booking, CommitPlan)> {
    let revision = world.facts(user.home_calendar_id).await.revision;
    let plan = |(start, ahead): (&i64, u64)| {
        let (booking, mut plan) = world.booking_plan(&[user], world.minutes(*start, *start + 30));
        expect(&mut plan, user.home_calendar_id, revision + ahead);
        (booking, plan)
    };
    starts.iter().zip(0..).map(plan).collect()
}

fn expect(plan: &mut CommitPlan, calendar_id: CalendarId, revision: u64) {
    let rests_on = RevisionKey::Calendar(calendar_id);
    let expected = plan.expected_revisions.iter_mut().find(|expected| expected.key == rests_on);
    expected.expect("a booking raises the home of its host").revision = Some(revision);
}

/// Performs a line and says what became of each plan, and which bookings there are.
async fn made(world: &World, line: &[(Booking, CommitPlan)]) -> (Vec<Outcome>, Vec<bool>) {
    let plans: Vec<&CommitPlan> = line.iter().map(|(_, plan)| plan).collect();
    let outcomes = world.store.commit_together(&plans).await.expect("the store answers");
    let mut there = Vec::new();
    for (booking, _) in line {
        let found = world.store.booking(world.tenant.account_id, booking.id).await.expect("readable");
        there.push(found.is_some());
    }
    (outcomes, there)
}

fn is_committed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Committed { .. })
}

/// Each is decided on the revisions that those before it leave, and what the store says of it is what it left.
pub async fn a_line_is_made_whole(world: World) {
    let (_, calendars) = world.connect(1).await;
    let user = world.user_on(calendars[0].id).await;
    let before = world.facts(user.home_calendar_id).await.revision;
    let line = line(&world, &user, &[0, 30, 90]).await;
    let (outcomes, there) = made(&world, &line).await;
    assert_eq!(there, [true; 3]);
    for (outcome, ahead) in outcomes.iter().zip(1..) {
        let Outcome::Committed { revisions } = outcome else { panic!("{outcome:?}") };
        assert!(revisions.contains(&(RevisionKey::Calendar(calendars[0].id), before + ahead)), "{revisions:?}");
    }
    let facts = world.facts(user.home_calendar_id).await;
    assert_eq!((facts.revision, facts.claims.len()), (before + 3, 3));
    let pending = world.store.pending_writebacks(world.tenant.account_id, calendars[0].id, 10).await;
    assert_eq!(pending.expect("readable").len(), 3, "what follows from each is there");
}

/// What cannot be performed ends the line: what came before it is made, and nothing after it is tried, even where it could
/// be performed.
pub async fn a_line_is_made_from_its_beginning(world: World) {
    let user = world.user().await;
    let neighbour = world.user().await;
    world.book(&[&user], world.minutes(600, 630)).await;
    let overlap = Outcome::Overlap { user_id: user.id };
    let check = async |starts: &[i64], spoilt: Option<usize>, made_until: usize, last: &Outcome| {
        let mut line = line(&world, &user, starts).await;
        // Nothing that is in this one's way: it stands behind one that fails.
        line.push(world.booking_plan(&[&neighbour], world.minutes(starts[0], starts[0] + 30)));
        if let Some(place) = spoilt {
            expect(&mut line[place].1, user.home_calendar_id, 1_000);
        }
        let (outcomes, there) = made(&world, &line).await;
        assert_eq!(outcomes.len(), made_until + 1, "{outcomes:?}");
        assert!(outcomes[..made_until].iter().all(is_committed), "{outcomes:?}");
        assert_eq!(&outcomes[made_until], last);
        let expected: Vec<bool> = (0..line.len()).map(|place| place < made_until).collect();
        assert_eq!(there, expected, "{starts:?}");
    };
    check(&[610, 0], None, 0, &overlap).await;
    check(&[0, 30, 610, 60], None, 2, &overlap).await;
    check(&[100, 130], Some(1), 1, &Outcome::Stale).await;
    check(&[200, 230], Some(0), 0, &Outcome::Stale).await;
    let newer = world.store.raise_epoch().await.expect("raised");
    check(&[300, 330], None, 0, &Outcome::Fenced).await;
    assert!(newer > world.epoch);
}

/// A line may hold whatever a plan may say, and one plan, and none.
pub async fn a_line_is_of_any_kind(world: World) {
    let user = world.user().await;
    let booking = world.book(&[&user], world.minutes(0, 30)).await;
    let cancel = (booking.clone(), world.cancel_plan(&booking, &[&user]));
    let again = world.booking_plan(&[&user], world.minutes(0, 30));
    let (outcomes, there) = made(&world, &[cancel, again]).await;
    assert!(outcomes.iter().all(is_committed), "the second takes what the first gave back: {outcomes:?}");
    assert_eq!(there, [true, true]);
    let one = world.booking_plan(&[&user], world.minutes(60, 90));
    assert!(made(&world, &[one]).await.0.iter().all(is_committed));
    assert_eq!(made(&world, &[]).await, (Vec::new(), Vec::new()));
}
