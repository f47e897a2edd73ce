//! Deadlines between nodes whose clocks disagree.

use std::time::Duration;

use agentcal_engine::ports::Peers;

use crate::bed::{Bed, Behaviour, FakeOwner, LONG, Setup};
use crate::samples::{NOW, release, released};

#[tokio::test]
async fn a_deadline_is_as_far_away_for_the_owner_as_for_the_caller() {
    let check = async |owner_ahead_s: i64, left_ms: u64, expected_ms: u64| {
        let owner_now = NOW.plus_micros(owner_ahead_s * 1_000_000);
        let setup = Setup { owner_now, ..Setup::default() };
        let bed = Bed::start(FakeOwner::new(Behaviour::Answers(released())), setup).await;
        let heard = bed.peers.commit(&bed.node, &release(Duration::from_millis(left_ms)), LONG).await;
        assert_eq!(heard, Ok(released()));
        let taken = bed.owner.commits.lock().unwrap().pop().unwrap();
        assert_eq!(taken.deadline, owner_now + Duration::from_millis(expected_ms), "{owner_ahead_s} s, {left_ms} ms");
    };
    for owner_ahead_s in [0, 600, -600, 86_400, -86_400] {
        check(owner_ahead_s, 20_000, 19_980).await;
        check(owner_ahead_s, 3_000_000, 60_000).await;
    }
}
