//! The plan of commit, takeover and owner-less commit, as a model that is checked exhaustively.
//!
//! Two nodes own one shard in turns and book one person's time; a third party performs commits without owning anything.
//! Every step of everybody is an action of its own, so a pause of any length, anywhere, is simply an order in which the
//! others go first. The model is the plan the cluster is built by: where the two differ, one of them is wrong.
//!
//! - [`scenario`]: what callers ask, and how far a run goes.
//! - [`world`]: the state: the store, the nodes, the commits in flight, what callers were told.
//! - [`store`]: what the store does in its transactions.
//! - [`step`]: what may happen next, and what it does.
//! - [`properties`]: what must always hold, and what must be able to happen.
//! - [`faults`]: mistakes that can be planted, one field each.

pub mod faults;
pub mod properties;
pub mod scenario;
pub mod step;
pub mod store;
pub mod world;

use stateright::{Model, Property};

use crate::faults::Faults;
use crate::scenario::Scenario;
use crate::step::Action;
use crate::world::World;

/// The plan, with the scenarios it is tried in and the faults planted in it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is tried, each from its own initial state.
    pub scenarios: Vec<Scenario>,
    /// What is done wrong on purpose.
    pub faults: Faults,
}

impl Plan {
    /// The plan as it is to be built.
    #[must_use]
    pub fn sound() -> Self {
        Self::with(Faults::default())
    }

    /// The plan with mistakes.
    #[must_use]
    pub fn with(faults: Faults) -> Self {
        Self { scenarios: scenario::all(), faults }
    }

    /// What is asked and allowed in a world.
    #[must_use]
    pub fn scenario(&self, world: &World) -> &Scenario {
        &self.scenarios[usize::from(world.scenario)]
    }
}

impl Model for Plan {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        (0u8..).zip(&self.scenarios).map(|(index, scenario)| World::new(index, scenario.requests.len())).collect()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        step::possible(self, world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        step::perform(self, &mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
