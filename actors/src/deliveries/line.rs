//! What is in hand for one endpoint: tries under way, no more than it has places for, and behind them messages that wait for a
//! place. When one is answered the next goes out at once, without the store or the task that asks it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentcal_engine::ids::WebhookId;
use agentcal_engine::ports::{Told, UntriedDelivery};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A message that was taken in hand.
pub(super) struct InHand {
    pub(super) endpoint_id: WebhookId,
    pub(super) url: Arc<str>,
    pub(super) secrets: Arc<[Zeroizing<Vec<u8>>]>,
    pub(super) delivery: UntriedDelivery,
    /// The number of its try since it was last asked for.
    pub(super) tries: u32,
    pub(super) told: Arc<Told>,
    /// A try that began later might outlast its lease.
    pub(super) begin_before: Instant,
}

/// An endpoint's line. Whoever sends takes one message after the other from its head.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<InHand>,
    /// How many tasks send.
    senders: u32,
    /// How many may.
    places: u32,
}

impl Line {
    /// Puts messages at the end, and says how many more tasks are to send now.
    pub(super) fn extend(&self, places: u32, more: Vec<InHand>) -> u32 {
        let mut state = self.state();
        state.places = places;
        state.waiting.extend(more);
        let free = places.saturating_sub(state.senders);
        let begun = free.min(u32::try_from(state.waiting.len()).unwrap_or(u32::MAX));
        state.senders += begun;
        begun
    }

    /// The next message, for a task that sends; `None`: that task is done.
    pub(super) fn next(&self) -> Option<InHand> {
        let mut state = self.state();
        let next = if state.senders > state.places { None } else { state.waiting.pop_front() };
        if next.is_none() {
            state.senders -= 1;
        }
        next
    }

    /// Takes out what waits.
    pub(super) fn clear(&self) -> Vec<InHand> {
        self.state().waiting.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use agentcal_engine::ids::{AccountId, DeliveryId};
    use agentcal_engine::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn messages(numbers: std::ops::Range<u32>) -> Vec<InHand> {
        let account_id = AccountId::from_uuid(Uuid::nil());
        let message = |number| InHand {
            endpoint_id: WebhookId::from_uuid(Uuid::nil()),
            url: "https://example.com/".into(),
            secrets: Vec::new().into(),
            delivery: UntriedDelivery { account_id, id: DeliveryId::from_uuid(Uuid::nil()), number },
            tries: 1,
            told: Arc::new(Told::new(account_id, Timestamp::from_seconds(0), None)),
            begin_before: Instant::now(),
        };
        numbers.map(message).collect()
    }

    fn numbers(messages: impl IntoIterator<Item = InHand>) -> Vec<u32> {
        messages.into_iter().map(|message| message.delivery.number).collect()
    }

    #[test]
    fn as_many_send_as_there_are_places_and_messages() {
        let line = Line::default();
        assert_eq!(line.extend(8, messages(0..3)), 3);
        assert_eq!(numbers((0..2).filter_map(|_| line.next())), [0, 1]);
        assert_eq!(line.extend(8, messages(3..20)), 5, "three send already");
        assert_eq!(line.extend(8, messages(20..21)), 0);
        assert_eq!(numbers(std::iter::from_fn(|| line.next())), (2..21).collect::<Vec<_>>(), "in their order");
        assert_eq!(line.extend(8, messages(0..9)), 1, "one found nothing to send and ended; seven have not looked");
    }

    #[test]
    fn who_loses_its_place_sends_no_more() {
        let line = Line::default();
        assert_eq!(line.extend(8, messages(0..8)), 8);
        assert_eq!(line.extend(1, messages(8..9)), 0);
        assert_eq!((0..7).filter_map(|_| line.next()).count(), 0);
        assert_eq!(
            numbers(std::iter::from_fn(|| line.next())),
            (0..9).collect::<Vec<_>>(),
            "one is left, and sends all"
        );
    }

    #[test]
    fn what_waits_can_be_taken_out() {
        let line = Line::default();
        assert_eq!(line.extend(1, messages(0..4)), 1);
        assert_eq!(numbers(line.next()), [0]);
        assert_eq!(numbers(line.clear()), [1, 2, 3]);
        assert!(line.next().is_none());
        assert_eq!(line.extend(1, messages(4..5)), 1);
    }
}
