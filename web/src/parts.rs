//! What the pages are made of.

use std::sync::Arc;
use std::time::Duration;

use agentcal_actors::Scheduler;
use agentcal_engine::ports::{Clock, Entropy, Store};
use agentcal_engine::signed::SigningKeys;
use url::Url;

/// How long pages wait.
#[derive(Clone, Copy, Debug)]
pub struct WebSettings {
    /// Longest time from a change that was sent to its answer.
    pub commit_deadline: Duration,
    /// Longest wait for facts that are missing or too old.
    pub facts_deadline: Duration,
    /// Longest time from the end of a request's head to the beginning of its answer.
    pub request_deadline: Duration,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            commit_deadline: Duration::from_secs(8),
            facts_deadline: Duration::from_secs(3),
            request_deadline: Duration::from_secs(30),
        }
    }
}

/// All the pages need.
#[derive(Clone)]
pub struct WebParts {
    /// The durable store.
    pub store: Arc<dyn Store>,
    /// Everything that moves.
    pub scheduler: Scheduler,
    /// This node's clock.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// What attendees' links are signed with.
    pub signing: Arc<SigningKeys>,
    /// The URL people use, as it stands in links before `/manage/`.
    pub public_url: String,
    /// How long pages wait.
    pub settings: WebSettings,
}

impl WebParts {
    /// The path of a booking's page as browsers see it: a proxy may have put something before ours.
    pub(crate) fn path_of(&self, token: &str) -> String {
        let base = Url::parse(&self.public_url).map(|url| url.path().trim_end_matches('/').to_owned());
        format!("{}/manage/{token}", base.unwrap_or_default())
    }
}
