//! What Google may be asked at most: 10,000 requests a minute for a project, 600 for each of its users, both counted in a
//! window that slides. A bucket that is full lets through its burst and what comes back in that minute, so the two together
//! stay below the quota; what is left is for calls that take more than one request.

use std::num::NonZeroU32;

use agentcal_engine::limits::{ProviderLimits, Rate};
use agentcal_engine::ports::Credentials;

/// Requests of a project in a minute, and at once.
const PROJECT: (u32, u32) = (8_500, 500);
/// Requests about one user's calendars in a minute, and at once.
const USER: (u32, u32) = (480, 60);
/// Requests about one user's calendars under way.
const USER_AT_ONCE: NonZeroU32 = NonZeroU32::new(8).expect("eight is not zero");

pub(crate) fn limits(credentials: &Credentials) -> ProviderLimits {
    let Credentials::Oauth(grant) = credentials else { return ProviderLimits::default() };
    ProviderLimits {
        client: Some((grant.client_id.clone(), Rate::per_minute(PROJECT.0, PROJECT.1))),
        mailbox: Some(Rate::per_minute(USER.0, USER.1)),
        mailbox_at_once: Some(USER_AT_ONCE),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_minute_exceeds_googles_quota() {
        let check = |(per_minute, burst): (u32, u32), quota: u64| {
            let rate = Rate::per_minute(per_minute, burst);
            assert!(u64::from(rate.burst().get()) + rate.refilled_in(Duration::from_secs(60)) < quota);
        };
        check(PROJECT, 10_000);
        check(USER, 600);
    }
}
