//! Three nodes on one PostgreSQL and one Svix: an event is one message there, whichever of them tells it, how often ever it is
//! told, and whether or not the node lives that had it in hand.

use std::collections::BTreeSet;
use std::time::Duration;

use agentcal_fake_kit::{Fault, Rule, When};
use agentcal_testkit::{Durability, Node, postgres, redis, wait_for};

use crate::customer::{Account, Customer};
use crate::endpoints::Message;
use crate::{BINARY, World};

const NODES: usize = 3;
/// So many that the shards they are in are of all nodes: one is left out once in three million times. No multiple of the nodes,
/// so that each is asked about each account in time.
const ACCOUNTS: usize = 40;
const DATABASE: &str = "agentcal";
const PEER_SECRET: &str = "0123456789abcdef0123456789abcdef0123";
/// What a dead node had in hand is told anew after a minute.
const WITHIN: Duration = Duration::from_secs(180);

/// Those who book, at every node in turn, and what came of it.
struct Crowd<'w> {
    world: &'w World,
    customer: Customer,
    accounts: Vec<Account>,
    booked: BTreeSet<String>,
}

impl Crowd<'_> {
    fn book(&mut self, nodes: &[Node]) {
        let number = self.booked.len();
        self.customer.speaks_to(nodes[number % nodes.len()].base_url());
        let account = &self.accounts[number % self.accounts.len()];
        assert!(self.booked.insert(self.customer.book(account)));
    }

    /// Waits until the endpoint has heard of every booking, and Svix has one message of each, under one id.
    fn all_is_told(&self) {
        let told = wait_for("every booking to be heard of", WITHIN, || {
            let heard = self.world.endpoints.heard("all");
            let told: BTreeSet<String> = heard.iter().map(Message::booking).collect();
            (told.len() >= self.booked.len()).then_some(told)
        });
        assert_eq!(told, self.booked);
        let ids = self.world.svix.event_ids(&self.customer.application());
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (told.len(), told.len()));
        assert_eq!(self.world.endpoints.heard("all").len(), told.len(), "nobody hears of anything twice");
    }

    /// How often Svix was told what it knew.
    fn repeated(&self) -> u64 {
        self.world.svix.calls().of(&self.customer.application(), "message.conflict")
    }
}

#[test]
fn several_nodes_tell_svix_of_each_event_once() {
    let Some((postgres, redis)) = postgres(Durability::Full).zip(redis()) else { return };
    postgres.create_database(DATABASE);
    let world = World::new();
    let shared = [("AGENTCAL_REDIS_URL", redis.url()), ("AGENTCAL_PEER_SECRET", PEER_SECRET.to_owned())];
    let shared = shared.map(|(name, value)| (name.to_owned(), value));
    let variables = [world.variables_on(&postgres.url(DATABASE)), world.svix_variables(), shared.into()].concat();
    let mut customer = Customer::new(&variables);
    let mut nodes: Vec<Node> = (0..NODES).map(|_| Node::start(BINARY, &variables)).collect();
    customer.speaks_to(nodes[0].base_url());
    let accounts = (0..ACCOUNTS).map(|_| customer.account()).collect();
    customer.webhook(&world.endpoints.url("all"), None);
    let mut crowd = Crowd { world: &world, customer, accounts, booked: BTreeSet::new() };

    // Nodes that have just come take shards over little by little.
    wait_for("every node to have told something", WITHIN, || {
        crowd.book(&nodes);
        crowd.all_is_told();
        nodes.iter().all(|node| crowd.customer.told_by(node) > 0).then_some(())
    });
    assert_eq!(crowd.repeated(), 0, "no two nodes tell the same");

    let when = When::PerMille { share: 300, seed: 7 };
    world.svix.faults().add(Rule::new("POST", "/msg", when, Fault::LoseAnswer));
    (0..2 * ACCOUNTS).for_each(|_| crowd.book(&nodes));
    crowd.all_is_told();
    let lost = world.svix.faults().struck();
    assert!(lost > 0);
    world.svix.faults().clear();
    wait_for("what lost its answer to be told again", WITHIN, || (crowd.repeated() >= lost).then_some(()));

    world.svix_goes();
    (0..2 * ACCOUNTS).for_each(|_| crowd.book(&nodes));
    nodes.remove(1).kill9();
    world.svix_is_back();
    crowd.all_is_told();
}
