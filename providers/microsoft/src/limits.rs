//! What Microsoft Graph puts up with, as its documents say.

use std::num::NonZeroU32;
use std::time::Duration;

use agentcal_engine::limits::{ProviderLimits, Rate};
use agentcal_engine::ports::Credentials;

/// Requests of one application about one mailbox that may be under way.
pub const MAILBOX_AT_ONCE: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");

/// Graph counts 10,000 requests of one application about one mailbox in 10 minutes. What a full bucket holds and what comes
/// back meanwhile are no more than that together.
const MAILBOX_PERIOD: Duration = Duration::from_secs(600);
const MAILBOX: (u32, u32) = (8_500, 1_500);
/// Graph counts 130,000 requests of one application in 10 seconds.
const CLIENT_PERIOD: Duration = Duration::from_secs(10);
const CLIENT: (u32, u32) = (100_000, 30_000);

pub(crate) fn limits(credentials: &Credentials, mailbox_at_once: NonZeroU32) -> ProviderLimits {
    let Credentials::Oauth(grant) = credentials else { return ProviderLimits::default() };
    ProviderLimits {
        client: Some((grant.client_id.clone(), Rate::per(CLIENT_PERIOD, CLIENT.0, CLIENT.1))),
        mailbox: Some(Rate::per(MAILBOX_PERIOD, MAILBOX.0, MAILBOX.1)),
        mailbox_at_once: Some(mailbox_at_once),
    }
}

#[cfg(test)]
mod tests {
    use agentcal_engine::ports::OauthGrant;
    use agentcal_engine::time::Timestamp;

    use super::*;

    #[test]
    fn no_stretch_of_time_sees_more_than_graph_allows() {
        let grant = OauthGrant {
            client_id: "app".to_owned(),
            access_token: "t".to_owned(),
            expires_at: Timestamp::EARLIEST,
            refresh_token: "r".to_owned(),
        };
        let limits = limits(&Credentials::Oauth(grant), MAILBOX_AT_ONCE);
        let most = |rate: Rate, time: Duration| u64::from(rate.burst().get()) + rate.refilled_in(time);
        let (client, rate) = limits.client.expect("an application");
        assert_eq!((client.as_str(), most(rate, Duration::from_secs(10))), ("app", 130_000));
        assert_eq!(most(limits.mailbox.expect("a mailbox"), Duration::from_secs(600)), 10_000);
        assert_eq!(limits.mailbox_at_once.map(NonZeroU32::get), Some(4));
        let other = Credentials::Sandbox { seed: 1 };
        assert_eq!(super::limits(&other, MAILBOX_AT_ONCE), ProviderLimits::default());
    }
}
