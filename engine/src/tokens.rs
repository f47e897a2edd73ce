//! When access tokens are renewed, without IO.
//!
//! Invariant: a grant its server has refused is not shown to it again until it is another one. Invariant: a token that a
//! provider refuses is replaced once; if it refuses the next one too, the credentials are bad.

use std::time::Duration;

use crate::calendar::backoff::backoff;
use crate::ports::{Entropy, OauthGrant};
use crate::time::Timestamp;

/// How long before its end an access token is renewed.
pub const REFRESH_AHEAD: Duration = Duration::from_secs(5 * 60);
/// For how long after a token was replaced because it was refused another refusal means the credentials.
pub const PROBATION: Duration = Duration::from_secs(15 * 60);

const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(5 * 60);

/// How the grant of a connection fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenHealth {
    failures: u32,
    not_before: Option<Timestamp>,
    /// The version that was refused by its server, and its word for it.
    refused: Option<(u64, String)>,
    /// The version that took the place of one a provider refused, and since when.
    replacement: Option<(u64, Timestamp)>,
    last_error: String,
}

/// What is to be done before a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the token is good.
    Nothing,
    /// Ask for another token.
    Refresh,
    /// Nothing can be asked now; later, perhaps.
    Wait(String),
    /// Nobody can help but the owner.
    GiveUp(String),
}

/// Whether a token is to be renewed before it is used.
pub fn is_due(grant: &OauthGrant, now: Timestamp) -> bool {
    grant.expires_at <= now + REFRESH_AHEAD
}

impl TokenHealth {
    /// What a grant of a version needs before it is used.
    pub fn need(&self, grant: &OauthGrant, version: u64, now: Timestamp) -> Need {
        if let Some(word) = self.refusal_of(version) {
            return Need::GiveUp(word.to_owned());
        }
        if !is_due(grant, now) {
            return Need::Nothing;
        }
        match self.is_waiting(now) {
            false => Need::Refresh,
            true if now < grant.expires_at => Need::Nothing,
            true => Need::Wait(self.last_error.clone()),
        }
    }

    /// What is to be done when a provider has refused the token of a version that should have been good.
    pub fn need_after_refusal(&self, version: u64, now: Timestamp) -> Need {
        if let Some(word) = self.refusal_of(version) {
            return Need::GiveUp(word.to_owned());
        }
        if self.replacement.is_some_and(|(newer, since)| newer == version && now < since + PROBATION) {
            return Need::GiveUp("a fresh access token is refused as well".to_owned());
        }
        if self.is_waiting(now) { Need::Wait(self.last_error.clone()) } else { Need::Refresh }
    }

    /// The server gave a token, kept as a version.
    pub fn handle_refreshed(&mut self, version: u64, after_refusal: bool, now: Timestamp) {
        let replacement = if after_refusal { Some((version, now)) } else { None };
        *self = Self { replacement, ..Self::default() };
    }

    /// The server refuses the grant of a version.
    pub fn handle_refused(&mut self, version: u64, word: String) {
        *self = Self { refused: Some((version, word)), ..Self::default() };
    }

    /// The server did not answer, or not as it should.
    pub fn handle_failed(&mut self, error: String, now: Timestamp, entropy: &dyn Entropy) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + backoff(RETRY_FIRST, RETRY_LONGEST, self.failures, entropy));
        self.last_error = error;
    }

    fn refusal_of(&self, version: u64) -> Option<&str> {
        self.refused.as_ref().filter(|(refused, _)| *refused == version).map(|(_, word)| word.as_str())
    }

    fn is_waiting(&self, now: Timestamp) -> bool {
        self.not_before.is_some_and(|not_before| now < not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Longest;

    impl Entropy for Longest {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn grant(expires_at: i64) -> OauthGrant {
        OauthGrant {
            client_id: "client".into(),
            access_token: "access".into(),
            expires_at: at(expires_at),
            refresh_token: "refresh".into(),
        }
    }

    #[test]
    fn tokens_are_renewed_ahead_of_their_end() {
        let health = TokenHealth::default();
        let check = |expires_at: i64, expected: Need| {
            assert_eq!(health.need(&grant(expires_at), 1, at(0)), expected, "{expires_at}");
        };
        check(3_600, Need::Nothing);
        check(301, Need::Nothing);
        check(300, Need::Refresh);
        check(-1, Need::Refresh);
    }

    #[test]
    fn failures_wait_longer_and_disturb_nobody_while_the_token_counts() {
        let mut health = TokenHealth::default();
        health.handle_failed("it answers 503".into(), at(0), &Longest);
        assert_eq!(health.need(&grant(100), 1, at(1)), Need::Nothing, "it still counts");
        assert_eq!(health.need(&grant(1), 1, at(1)), Need::Wait("it answers 503".into()));
        assert_eq!(health.need(&grant(1), 1, at(2)), Need::Refresh, "two seconds are over");
        health.handle_failed("it answers 503".into(), at(2), &Longest);
        assert_eq!(health.need(&grant(1), 1, at(5)), Need::Wait("it answers 503".into()));
        for _ in 0..20 {
            health.handle_failed("it answers 503".into(), at(100), &Longest);
        }
        assert_eq!(health.need(&grant(1), 1, at(399)), Need::Wait("it answers 503".into()));
        assert_eq!(health.need(&grant(1), 1, at(400)), Need::Refresh, "never longer than five minutes");
        health.handle_refreshed(2, false, at(400));
        assert_eq!(health.need(&grant(401), 2, at(400)), Need::Refresh, "nothing is remembered");
    }

    #[test]
    fn a_refused_grant_is_not_shown_again() {
        let mut health = TokenHealth::default();
        health.handle_refused(3, "invalid_grant".into());
        let given_up = Need::GiveUp("invalid_grant".into());
        assert_eq!(health.need(&grant(10_000), 3, at(0)), given_up, "not even while the token counts");
        assert_eq!(health.need_after_refusal(3, at(100_000)), given_up, "however long ago");
        assert_eq!(health.need(&grant(10_000), 4, at(0)), Need::Nothing, "another grant is another matter");
    }

    #[test]
    fn a_token_that_is_refused_is_replaced_once() {
        let mut health = TokenHealth::default();
        assert_eq!(health.need_after_refusal(1, at(0)), Need::Refresh);
        health.handle_refreshed(2, true, at(0));
        assert!(matches!(health.need_after_refusal(2, at(5)), Need::GiveUp(_)));
        assert_eq!(health.need_after_refusal(2, at(15 * 60)), Need::Refresh, "it worked for a quarter of an hour");
        health.handle_refreshed(3, false, at(20));
        assert_eq!(health.need_after_refusal(3, at(21)), Need::Refresh, "that one had not been refused");
    }
}
