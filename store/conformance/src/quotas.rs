//! Buckets of cells. Cases look at what is given over time that passes by itself, or by a test's clock where the
//! implementation has one; their rates are so slow, or so fast, that a busy machine makes no difference.

use std::time::Duration;

use agentcal_engine::limits::{LimitKey, LimitKind, Rate};
use agentcal_engine::ports::{CellsGiven, CellsWanted, Quotas};

/// Lets time pass: by a clock that is moved, or by waiting.
pub trait Passing: Sync {
    /// Returns when so much time has passed for the buckets.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

const HOUR: Duration = Duration::from_secs(3_600);

fn key(id: u128) -> LimitKey {
    LimitKey { kind: LimitKind::Mailbox, id }
}

/// So slow that no cell comes back while a test runs.
fn slow(burst: u32) -> Rate {
    Rate::per(HOUR, 1, burst)
}

async fn take(quotas: &impl Quotas, rate: Rate, most: u32) -> CellsGiven {
    quotas.take(&CellsWanted { key: key(1), rate, most, spare: 0 }).await
}

fn is_about(time: Duration, expected: Duration) -> bool {
    // A minute of a test's own time: more than any of them takes.
    time <= expected && time + Duration::from_secs(60) >= expected
}

/// A bucket is full at first, gives what it holds, and then says how long to wait.
pub async fn a_bucket_gives_what_it_holds(quotas: impl Quotas, _passing: impl Passing) {
    for left in (0..5).rev() {
        let given = take(&quotas, slow(5), 1).await;
        assert_eq!((given.cells, given.wait), (1, Duration::ZERO), "{left} left");
        assert!(is_about(given.full_after, HOUR * (5 - left)), "{given:?}");
        assert_eq!(slow(5).left(given.full_after), left);
    }
    let refused = take(&quotas, slow(5), 1).await;
    assert_eq!(refused.cells, 0);
    assert!(is_about(refused.wait, HOUR), "{refused:?}");
    assert!(is_about(refused.full_after, HOUR * 5), "a refusal costs nothing: {refused:?}");
}

/// Many cells come at once, and as many as there are where there are fewer.
pub async fn many_cells_are_taken_at_once(quotas: impl Quotas, _passing: impl Passing) {
    assert_eq!(take(&quotas, slow(10), 4).await.cells, 4);
    assert_eq!(take(&quotas, slow(10), 9).await.cells, 6);
    assert_eq!(take(&quotas, slow(10), 9).await.cells, 0);
}

/// Cells come back at the rate, one by one, up to the burst and no further.
pub async fn cells_come_back_at_the_rate(quotas: impl Quotas, passing: impl Passing) {
    let rate = Rate::per(Duration::from_secs(1), 20, 10);
    assert_eq!(take(&quotas, rate, 100).await.cells, 10);
    passing.pass(Duration::from_millis(220)).await;
    let back = take(&quotas, rate, 100).await.cells;
    // By a clock of its own just four; by another's at least as many.
    assert!((4..=10).contains(&back), "{back}");
    passing.pass(Duration::from_secs(2)).await;
    assert_eq!(take(&quotas, rate, 100).await.cells, 10, "never more than the burst");
}

/// The wait that is told suffices.
pub async fn after_the_wait_there_is_a_cell(quotas: impl Quotas, passing: impl Passing) {
    let rate = Rate::per(Duration::from_secs(1), 5, 1);
    for _ in 0..3 {
        assert_eq!(take(&quotas, rate, 1).await.cells, 1);
        let refused = take(&quotas, rate, 1).await;
        assert!(refused.wait <= Duration::from_millis(200), "{refused:?}");
        // On a machine that slept the cell was back already, and is taken.
        passing.pass(refused.wait + if refused.cells == 0 { Duration::ZERO } else { rate.time_of(1) }).await;
    }
}

/// What is spared is left for those who spare nothing.
pub async fn spared_cells_are_left_for_others(quotas: impl Quotas, _passing: impl Passing) {
    let sparing = |most, spare| CellsWanted { key: key(1), rate: slow(8), most, spare };
    assert_eq!(quotas.take(&sparing(100, 3)).await.cells, 5);
    let refused = quotas.take(&sparing(1, 3)).await;
    assert!(refused.cells == 0 && is_about(refused.wait, HOUR), "{refused:?}");
    let refused = quotas.take(&sparing(1, 5)).await;
    assert!(refused.cells == 0 && is_about(refused.wait, HOUR * 3), "{refused:?}");
    assert_eq!(quotas.take(&sparing(100, 0)).await.cells, 3);
    let all_but_one = CellsWanted { key: key(2), rate: slow(8), most: 100, spare: u32::MAX };
    assert_eq!(quotas.take(&all_but_one).await.cells, 1, "whoever spares everything has one of a full bucket");
}

/// Buckets know nothing of each other.
pub async fn every_key_has_its_bucket(quotas: impl Quotas, _passing: impl Passing) {
    let of = |kind, id| CellsWanted { key: LimitKey { kind, id }, rate: slow(1), most: 1, spare: 0 };
    for kind in [LimitKind::ApiKey, LimitKind::Client, LimitKind::Mailbox] {
        for id in [0, 1, u128::MAX] {
            assert_eq!(quotas.take(&of(kind, id)).await.cells, 1, "{kind:?} {id}");
            assert_eq!(quotas.take(&of(kind, id)).await.cells, 0, "{kind:?} {id}");
        }
    }
}

/// Pauses, each of which is over by itself. A machine that slept over one finds nothing paused, and tries a longer one.
const PAUSES: [Duration; 3] = [Duration::from_millis(400), Duration::from_secs(4), Duration::from_secs(40)];

/// A bucket that was found paused, for so long at most; none is where the machine slept over the pause.
async fn paused(quotas: &impl Quotas, key: LimitKey, pause: Duration) -> Option<CellsGiven> {
    quotas.pause(key, pause).await;
    quotas.pause(key, Duration::from_millis(1)).await;
    let refused = quotas.take(&CellsWanted { key, rate: slow(5), most: 1, spare: 0 }).await;
    if refused.cells > 0 {
        return None;
    }
    assert!(refused.wait > Duration::ZERO && refused.wait <= pause, "{refused:?}");
    Some(refused)
}

/// A paused bucket gives nothing, whatever is in it; others do.
pub async fn a_pause_holds_everybody_off(quotas: impl Quotas, passing: impl Passing) {
    for (id, pause) in (1..).zip(PAUSES) {
        let all = CellsWanted { key: key(id), rate: slow(5), most: 9, spare: 0 };
        assert_eq!(quotas.take(&CellsWanted { most: 1, ..all }).await.cells, 1);
        let Some(refused) = paused(&quotas, key(id), pause).await else { continue };
        assert_eq!(quotas.take(&CellsWanted { key: key(100), ..all }).await.cells, 5);
        passing.pass(refused.wait).await;
        assert_eq!(quotas.take(&all).await.cells, 4, "the pause cost no cell");
        return;
    }
    panic!("nothing was ever paused");
}

/// A bucket may be paused before anybody took of it.
pub async fn an_unknown_bucket_is_paused(quotas: impl Quotas, passing: impl Passing) {
    for (id, pause) in (1..).zip(PAUSES) {
        let Some(refused) = paused(&quotas, key(id), pause).await else { continue };
        passing.pass(refused.wait).await;
        let all = CellsWanted { key: key(id), rate: slow(5), most: 9, spare: 0 };
        assert_eq!(quotas.take(&all).await.cells, 5);
        return;
    }
    panic!("nothing was ever paused");
}

/// Racers take no more together than the bucket holds.
pub async fn racers_share_a_bucket(quotas: impl Quotas, _passing: impl Passing) {
    let takes = (0..50).map(|n| take(&quotas, slow(60), 1 + n % 3));
    let given: u32 = futures::future::join_all(takes).await.iter().map(|given| given.cells).sum();
    assert_eq!(given, 60);
}

/// A rate of millions is no trouble.
pub async fn a_fast_bucket_is_soon_full(quotas: impl Quotas, passing: impl Passing) {
    let rate = Rate::per_minute(60_000_000, 1_000_000);
    assert_eq!(take(&quotas, rate, 1_000_000).await.cells, 1_000_000);
    passing.pass(Duration::from_millis(1_100)).await;
    assert_eq!(take(&quotas, rate, 1_000_000).await.cells, 1_000_000);
}

/// Every case of the [`agentcal_engine::ports::Quotas`] port, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! each_quota_case {
    ($then:ident, $make:path) => {
        $crate::$then! { $make;
            a_bucket_gives_what_it_holds
            many_cells_are_taken_at_once
            cells_come_back_at_the_rate
            after_the_wait_there_is_a_cell
            spared_cells_are_left_for_others
            every_key_has_its_bucket
            a_pause_holds_everybody_off
            an_unknown_bucket_is_paused
            racers_share_a_bucket
            a_fast_bucket_is_soon_full
        }
    };
}

/// Makes a test of every case of the quotas port. `$make` is an async function to full buckets and what lets their time
/// pass, or to `None` where there is nothing to keep them in.
#[macro_export]
macro_rules! quota_suite {
    ($make:path) => {
        $crate::each_quota_case! { quota_suite, $make }
    };
    ($make:path; $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() {
            if let Some((quotas, passing)) = $make().await {
                $crate::quotas::$case(quotas, passing).await;
            }
        }
    )*};
}
