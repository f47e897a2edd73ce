//! What others wrote into an account's configuration, as a node hears of it that did not.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::town::{Node, Person, Town};

/// Changed rules are in force everywhere after this time.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(5);

async fn knows(node: &Node, person: &Person) -> bool {
    let config = node.scheduler.config(person.tenant.account_id).await.unwrap().unwrap();
    config.users[0].0.home_calendar_id == person.calendar_id
}

/// A connection to the store that holds a question back holds nothing up that is asked over others.
#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_keeps_no_node_on_old_rules() {
    let town = Town::found().await;
    let (_, other) = town.two_nodes().await;
    let person = town.people[0];
    assert!(knows(&other, &person).await);
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::millis(13_000, 13_000));
    sleep(Duration::from_millis(1_500)).await;
    town.disk.adjust(|settings| settings.latency = agentcal_sim_store::Span::ZERO);
    let moved = town.rehome(&person).await;
    let began = Instant::now();
    while !knows(&other, &moved).await {
        assert!(began.elapsed() < IN_FORCE_WITHIN, "it still answers by the old ones");
        sleep(Duration::from_millis(50)).await;
    }
}
