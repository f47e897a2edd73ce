//! Somebody who only asks, and much.

use std::sync::Arc;
use std::time::Duration;

use agentcal_history::{Event, Operation};
use reqwest::Method;
use tokio::sync::watch;

use crate::draw::Draw;
use crate::wire::{Api, Request, Seen};
use crate::world::World;

/// Oldest facts that are fine, in milliseconds; what is called complete shall rest on none that are older.
const STALENESS_MAX_MS: i64 = 30_000;

/// Least time between two questions, so that a long run leaves a history that can be kept.
const PACE: Duration = Duration::from_millis(200);

/// Asks for slots, of one person or of all.
pub(crate) struct Asker {
    name: String,
    draw: Draw,
    api: Api,
    world: Arc<World>,
}

impl Asker {
    pub(crate) fn new(number: usize, draw: Draw, api: Api, world: Arc<World>) -> Self {
        Self { name: format!("a{number}"), draw, api, world }
    }

    /// Asks until told to stop, and returns what it was told.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) -> Vec<Event> {
        let mut history = Vec::new();
        let mut pace = tokio::time::interval(PACE);
        while !*stop.borrow() {
            pace.tick().await;
            let request = self.next();
            if let Some(Seen { event, .. }) = self.api.perform(&self.name, &request).await {
                history.push(event);
            }
        }
        history
    }

    fn next(&mut self) -> Request {
        let (from, to) = self.world.dates();
        let solo = &self.world.solo;
        let mut query = format!("event_type_id={solo}&start_date={from}&end_date={to}&timezone=UTC&limit=60");
        let mut user_ids = self.world.people.clone();
        if self.draw.percent(70) {
            user_ids = vec![*self.draw.pick(&self.world.people).expect("there are people")];
            query += &format!("&user_id={}", user_ids[0]);
        }
        query += &format!("&max_staleness_ms={STALENESS_MAX_MS}");
        let operation = Operation::Ask { user_ids, max_staleness_us: Some(STALENESS_MAX_MS * 1000) };
        let path = self.world.at(&format!("/availability?{query}"));
        Request { operation, method: Method::GET, path, body: None, key: None }
    }
}
