//! Bookings of one person, one after the other.

use std::time::Duration;

use tokio::time::Instant;

use crate::town::{Town, at, standing, until};

/// The next booking is decided on the one before as soon as that is made; the cache takes them side by side. Nobody hears
/// before it has theirs.
#[tokio::test(start_paused = true)]
async fn bookings_do_not_wait_for_each_others_publication() {
    const LAG: Duration = Duration::from_millis(80);
    let town = Town::found().await;
    let node = town.join("alone").await;
    let person = town.people[0];
    until("the node owns the shard", || node.owns(&person)).await;
    assert!(!node.sees_taken(&person, 9).await);
    town.cache.set_lag(LAG);
    let began = Instant::now();
    let heard = async |hour| {
        node.booked(town.booking(&person, hour)).await;
        began.elapsed()
    };
    let heard: [Duration; 4] = tokio::join!(heard(9), heard(10), heard(11), heard(12)).into();
    for took in heard {
        assert!(took >= LAG, "one was heard of after {took:?}, before the cache had it");
        assert!(took < 2 * LAG, "one was heard of after {took:?}: it waited for another's publication");
    }
    assert_eq!(standing(&town, &person), [at(9), at(10), at(11), at(12)].into());
}
