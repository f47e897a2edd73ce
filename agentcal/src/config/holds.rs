//! Most live holds at once.

use agentcal_engine::commit::HoldLimits;
use serde::Deserialize;

use super::error::Problem;
use super::settings::{HOLDS_PER_ORGANIZATION_MAX, HOLDS_PER_SESSION_MAX, HOLDS_PER_USER_MAX, Setting};

/// More live holds than this are no limit. They are counted under lock by every hold that is placed.
const LIMIT_MAX: u32 = 100_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    per_organization_max: Option<u32>,
    per_session_max: Option<u32>,
    per_user_max: Option<u32>,
}

impl Raw {
    pub(super) fn check(&self) -> Result<HoldLimits, Vec<Problem>> {
        let default = HoldLimits::default();
        let organization = limit(HOLDS_PER_ORGANIZATION_MAX, self.per_organization_max, default.per_organization);
        let session = limit(HOLDS_PER_SESSION_MAX, self.per_session_max, default.per_session);
        let user = limit(HOLDS_PER_USER_MAX, self.per_user_max, default.per_user);
        match (organization, session, user) {
            (Ok(per_organization), Ok(per_session), Ok(per_user)) => {
                Ok(HoldLimits { per_organization, per_session, per_user })
            }
            (organization, session, user) => {
                Err([organization.err(), session.err(), user.err()].into_iter().flatten().collect())
            }
        }
    }
}

fn limit(setting: Setting, said: Option<u32>, default: u32) -> Result<u32, Problem> {
    match said {
        None => Ok(default),
        Some(limit @ 1..=LIMIT_MAX) => Ok(limit),
        Some(_) => Err(Problem::of(setting, format!("must be 1 to {LIMIT_MAX}"))),
    }
}
