//! Commits of which nobody knows whether they were made.

use agentcal_engine::calendar::request::{CommitAnswer, Made, UnavailableReason};
use agentcal_sim_store::Fate;

use crate::town::Town;

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
