//! Gives back what people had granted, after their connection is gone. Rows hold what waits; one in hand here is due again
//! when its lease is over, should this node die.

use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::ports::{Revocation, StoreError};
use futures::future::join_all;

use crate::context::Context;
use crate::parts::Oauth;

/// Most grants in hand at once.
const AT_ONCE_MAX: u32 = 16;
/// When a grant in hand counts as lost. Longer than giving it back may take.
const LEASE: Duration = Duration::from_secs(60);
/// Time between two looks for what is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Waits between tries; after the last one it is given up: the grant is of no more use to anybody, here.
const WAITS: [Duration; 6] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(12 * 3_600),
    Duration::from_secs(24 * 3_600),
];

/// Works until the scheduler stops.
pub(crate) async fn run(context: Arc<Context>, oauth: Oauth) {
    loop {
        tokio::select! {
            () = context.stopping.cancelled() => return,
            () = context.revocation_bell.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if context.is_closing() {
            return;
        }
        if let Err(error) = round(&oauth).await {
            tracing::warn!(%error, "grants to be given back wait for the store");
        }
    }
}

async fn round(oauth: &Oauth) -> Result<(), StoreError> {
    loop {
        let claimed = oauth.store.claim_revocations(AT_ONCE_MAX, LEASE).await?;
        let is_all = claimed.len() < usize::try_from(AT_ONCE_MAX).unwrap_or(usize::MAX);
        let ended = join_all(claimed.into_iter().map(|revocation| give_back(oauth, revocation))).await;
        ended.into_iter().collect::<Result<(), StoreError>>()?;
        if is_all {
            return Ok(());
        }
    }
}

async fn give_back(oauth: &Oauth, revocation: Revocation) -> Result<(), StoreError> {
    if revocation.is_shared {
        // The provider would take back what another connection lives by.
        return oauth.store.end_revocation(revocation.id, None).await;
    }
    let again = match oauth.issuer.revoke(revocation.provider, &revocation.grant).await {
        Ok(()) => None,
        Err(error) => {
            let wait = wait_after(revocation.attempts);
            tracing::warn!(%error, attempts = revocation.attempts, is_given_up = wait.is_none(), "a grant was not given back");
            wait
        }
    };
    oauth.store.end_revocation(revocation.id, again).await
}

fn wait_after(attempts: u32) -> Option<Duration> {
    let tries = usize::try_from(attempts).ok()?;
    WAITS.get(tries.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_wait_longer_and_end() {
        assert_eq!(wait_after(1), Some(Duration::from_secs(60)));
        assert_eq!(wait_after(6), Some(Duration::from_secs(24 * 3_600)));
        assert_eq!(wait_after(7), None);
    }
}
