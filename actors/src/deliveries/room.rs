//! How much of what is due is taken in hand. An endpoint that hangs keeps what it has until time is up; however much that is,
//! those that answer find room.

use std::collections::BTreeMap;

use agentcal_engine::ids::WebhookId;
use agentcal_engine::ports::DueEndpoint;
use agentcal_engine::webhooks::{TRIES_PER_ENDPOINT_MAX, tries_at_once, waiting_at_most};

use super::Endpoint;

/// The part of what may be under way that is kept for endpoints of which nothing is in hand, one message of each.
const RESERVED_PART: u32 = 8;

/// How many more messages of each endpoint there is room for, the most overdue first, where `most` may be under way at once.
///
/// All have one under way before any has more, and as many as they may be sent at once before any has something waiting
/// besides. What waits takes no room from what may be under way: it was taken for endpoints that answered quickly, and those may
/// hang by now. More waits only while less than `most` is in hand.
pub(super) fn room(due: &[DueEndpoint], endpoints: &BTreeMap<WebhookId, Endpoint>, most: u32) -> Vec<(WebhookId, u32)> {
    let in_hand: u32 = endpoints.values().map(|endpoint| endpoint.in_hand).sum();
    let under_way: u32 = endpoints.values().map(|endpoint| endpoint.in_hand.min(TRIES_PER_ENDPOINT_MAX)).sum();
    let mut shares: Vec<Share> = due.iter().map(|due| Share::new(due, endpoints.get(&due.id))).collect();
    let first = hand_out(&mut shares, most.saturating_sub(under_way), |_| 1);
    let unreserved = most - most / RESERVED_PART;
    let others = hand_out(&mut shares, unreserved.saturating_sub(under_way + first), |share| share.places);
    hand_out(&mut shares, most.saturating_sub(in_hand + first + others), |share| {
        // What is taken while a place is free would be sent, and not wait.
        if share.in_hand < share.places { 0 } else { share.places + share.waiting }
    });
    shares.into_iter().filter(|share| share.more > 0).map(|share| (share.id, share.more)).collect()
}

/// What there is for an endpoint.
struct Share {
    id: WebhookId,
    /// How many it may be sent at once.
    places: u32,
    /// How many may wait besides.
    waiting: u32,
    /// How many are in hand, with those that are added.
    in_hand: u32,
    /// How many are added.
    more: u32,
}

impl Share {
    fn new(due: &DueEndpoint, own: Option<&Endpoint>) -> Self {
        let (in_hand, answered) = own.map(|own| (own.in_hand, own.answered)).unwrap_or_default();
        let (places, waiting) = (tries_at_once(due.health), waiting_at_most(due.health, answered));
        Self { id: due.id, places, waiting, in_hand, more: 0 }
    }
}

/// Adds to shares, first to last, until each is as large as it may be or nothing is left; says how much.
fn hand_out(shares: &mut [Share], left: u32, up_to: impl Fn(&Share) -> u32) -> u32 {
    let mut added = 0;
    for share in shares {
        let more = up_to(share).saturating_sub(share.in_hand).min(left - added);
        share.in_hand += more;
        share.more += more;
        added += more;
    }
    added
}

#[cfg(test)]
mod tests {
    use agentcal_engine::ids::OrganizationId;
    use agentcal_engine::model::WebhookHealth;
    use agentcal_engine::time::Timestamp;
    use agentcal_engine::webhooks::WAITING_PER_ENDPOINT_MAX;
    use uuid::Uuid;

    use super::*;

    const MOST: u32 = 1_024;
    const ALL: u32 = TRIES_PER_ENDPOINT_MAX + WAITING_PER_ENDPOINT_MAX;

    fn id(number: u32) -> WebhookId {
        WebhookId::from_uuid(Uuid::from_u128(u128::from(number)))
    }

    fn due(numbers: std::ops::Range<u32>) -> Vec<DueEndpoint> {
        let endpoint = |number| DueEndpoint {
            id: id(number),
            organization_id: OrganizationId::from_uuid(Uuid::nil()),
            url: "https://example.com/".into(),
            health: WebhookHealth::default(),
            first_due_at: Timestamp::from_seconds(0),
        };
        numbers.map(endpoint).collect()
    }

    /// So many endpoints of which as much is in hand, and that took as many messages of late.
    fn endpoints(count: u32, in_hand: u32, answered: u32) -> BTreeMap<WebhookId, Endpoint> {
        let endpoint = |number| (id(number), Endpoint { in_hand, answered, ..Endpoint::default() });
        (0..count).map(endpoint).collect()
    }

    fn take(endpoints: &mut BTreeMap<WebhookId, Endpoint>, room: Vec<(WebhookId, u32)>) {
        for (id, more) in room {
            endpoints.entry(id).or_default().in_hand += more;
        }
    }

    #[test]
    fn one_that_answers_quickly_has_more_waiting() {
        assert_eq!(room(&due(0..1), &endpoints(0, 0, 0), MOST), [(id(0), 8)]);
        assert_eq!(room(&due(0..1), &endpoints(1, 5, 3), MOST), [(id(0), 9)], "up to eight, and twice three");
        assert_eq!(room(&due(0..1), &endpoints(1, 0, 100), MOST), [(id(0), ALL)]);
        assert_eq!(room(&due(0..1), &endpoints(1, ALL, 100), MOST), []);
    }

    #[test]
    fn one_that_fails_has_nothing_waiting() {
        let mut failing = due(0..1);
        failing[0].health.failures = 1;
        assert_eq!(room(&failing, &endpoints(1, 5, 3), MOST), [(id(0), 3)]);
        failing[0].health.failures = 100;
        assert_eq!(room(&failing, &endpoints(1, 8, 0), MOST), [], "it has one place, and seven under way too many");
        assert_eq!(room(&failing, &endpoints(0, 0, 0), MOST), [(id(0), 1)]);
    }

    #[test]
    fn what_waits_at_endpoints_that_hang_takes_nobodys_place() {
        let hanging = endpoints(16, ALL, 0);
        assert_eq!(hanging.values().map(|endpoint| endpoint.in_hand).sum::<u32>(), MOST);
        assert_eq!(room(&due(0..17), &hanging, MOST), [(id(16), 8)]);
    }

    #[test]
    fn where_many_hang_another_has_one_message_under_way() {
        let hanging = endpoints(112, 8, 0);
        assert_eq!(room(&due(0..114), &hanging, MOST), [(id(112), 1), (id(113), 1)]);
        assert_eq!(room(&due(112..113), &endpoints(113, 1, 9), 112), [], "and there is an end to it");
    }

    #[test]
    fn all_have_one_before_any_has_more() {
        let room = room(&due(0..1_000), &endpoints(0, 0, 0), MOST);
        assert_eq!(room.len(), 1_000);
        assert!(room.iter().all(|&(_, more)| more == 1), "what is left is for those that come");
    }

    #[test]
    fn no_more_is_under_way_than_may_be_and_no_more_waits() {
        for count in (0..1_000).step_by(7) {
            let mut endpoints = endpoints(count / 2, 0, 100);
            // The first round after quick answers, and those after none.
            for _ in 0..3 {
                let room = room(&due(0..count), &endpoints, MOST);
                take(&mut endpoints, room);
                let under_way: u32 = endpoints.values().map(|endpoint| endpoint.in_hand.min(8)).sum();
                let waiting: u32 = endpoints.values().map(|endpoint| endpoint.in_hand.saturating_sub(8)).sum();
                assert!(under_way <= MOST && waiting <= MOST, "{count}: {under_way} and {waiting}");
                assert_eq!(endpoints.len(), count as usize, "each has something");
                endpoints.values_mut().for_each(|endpoint| endpoint.answered = 0);
            }
        }
    }
}
