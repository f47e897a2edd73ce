//! Commits of which nobody knows whether they were made.

use std::time::Duration;

use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, Made, UnavailableReason};
use agentcal_sim_store::{Fate, Span};

use crate::links::Way;
use crate::town::{Node, Person, Town};

/// An extension that changes nothing reads as made before it is.
#[tokio::test(start_paused = true)]
async fn an_extension_in_doubt_is_no_success_unless_its_answer_is_kept() {
    for (fate, is_made) in [(Fate::DoubtLost, false), (Fate::DoubtPerformed, true)] {
        let town = Town::found().await;
        let (one, _other) = town.two_nodes().await;
        let person = town.person_of(&one);
        let placed = one.commit(town.hold(&person, 9, 600)).await;
        let CommitAnswer::Committed(Made::Hold(hold)) = placed else { panic!("not held: {placed:?}") };
        town.disk.next_write(fate);
        let extended = one.commit(town.extension(&person, hold.id, 60)).await;
        match is_made {
            true => assert_eq!(extended, CommitAnswer::Committed(Made::Hold(hold.clone()))),
            false => assert_eq!(extended, CommitAnswer::Unavailable(UnavailableReason::StoreUnavailable)),
        }
        let again = one.commit(town.extension(&person, hold.id, 60)).await;
        assert_eq!(matches!(again, CommitAnswer::Replayed(_)), is_made, "{again:?}");
        let once_more = one.commit(town.extension(&person, hold.id, 60)).await;
        assert!(matches!(once_more, CommitAnswer::Replayed(_)), "{once_more:?}");
    }
}

/// A node that goes past a silent owner, and is about to say no, finds that the owner has made the commit meanwhile: a hold that
/// was in the way ran out in between. Whenever that is, records say what callers heard.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_came_to_nothing_leaves_no_record() {
    let mut race = Race::new().await;
    // So early that the hold is still there as it decides, and hardly earlier.
    let mut early_ms = 0;
    while !matches!(race.run(early_ms, 0).await.0, CommitAnswer::Refused(_)) {
        early_ms += 20;
    }
    let mut made = 0;
    for owner_early_ms in (0..early_ms).step_by(20) {
        let (past, by_owner) = race.run(early_ms, owner_early_ms).await;
        made += u32::from([past, by_owner].iter().all(|answer| matches!(answer, CommitAnswer::Committed(_))));
    }
    assert!(made > 0, "the owner was never in time");
    // Records of refusals follow by themselves.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let records = race.town.disk.view().decisions(race.person.tenant.account_id);
    assert_eq!(records.iter().filter(|record| !record.is_accepted()).count(), race.refusals);
}

/// An owner that cannot say that it has a commit in hand, and a node that goes past it with the same one, for the time of a
/// hold that is about to run out.
struct Race {
    town: Town,
    owner: Node,
    other: Node,
    person: Person,
    hour: i64,
    refusals: usize,
}

impl Race {
    const TTL: Duration = Duration::from_secs(60);

    async fn new() -> Self {
        let town = Town::found().await;
        let (owner, other) = town.two_nodes().await;
        let person = town.person_of(&owner);
        town.links.set(&owner.scheduler, Way::Cut);
        Self { town, owner, other, person, hour: 0, refusals: 0 }
    }

    /// What both say who begin so long before the hold has run out, for an hour nobody asked for yet. Whatever either asks of
    /// the store takes a tenth of a second.
    async fn run(&mut self, other_early_ms: u64, owner_early_ms: u64) -> (CommitAnswer, CommitAnswer) {
        self.hour += 1;
        let Self { town, owner, other, person, .. } = &*self;
        let held = owner.commit(town.hold(person, self.hour, 60)).await;
        assert!(matches!(held, CommitAnswer::Committed(_)), "{held:?}");
        let request = town.booking(person, self.hour);
        let request = CommitRequest { deadline: request.deadline + Self::TTL, ..request };
        town.disk.adjust(|settings| settings.latency = Span::millis(100, 100));
        let so_early = |early_ms| tokio::time::sleep(Self::TTL - Duration::from_millis(early_ms));
        let past = async {
            so_early(other_early_ms).await;
            other.commit(request.clone()).await
        };
        let by_owner = async {
            so_early(owner_early_ms).await;
            owner.scheduler.commit_for_peer(request.clone()).expect("it owns the shard").await
        };
        let (past, by_owner) = tokio::join!(past, by_owner);
        town.disk.adjust(|settings| settings.latency = Span::ZERO);
        let is_refusal = |answer: &&CommitAnswer| matches!(answer, CommitAnswer::Refused(_));
        self.refusals += [&past, &by_owner].into_iter().filter(is_refusal).count();
        (past, by_owner)
    }
}
