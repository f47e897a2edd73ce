//! What somebody else made is shown before anybody says that it is made.
//!
//! An owner may die between its commit and the cache, and a node that went past an owner before it told it. Nobody was told of
//! that commit, so nobody was told wrong; until somebody gives its answer again. Whoever does has it shown first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::user_in;
use agentcal_engine::calendar::request::{CommitAnswer, CommitRequest, Intent, Made};
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::model::{BookingStatus, ClaimOwner};
use agentcal_engine::ports::StoreError;
use agentcal_engine::shard::Shard;
use tokio::time::Instant;

use crate::commit::{Footing, store_failed};
use crate::context::Context;
use crate::ownerless;
use crate::ownership::Place;
use crate::questions::Wanted;
use crate::settled::Settled;

/// Longest wait for what other nodes show of something that was made.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// The answer of a commit that may say what somebody else did. Without an owner it is published, and the owner told, before
/// anybody hears; an owner takes in what it does not show yet.
pub(crate) async fn heard_of(
    context: &Arc<Context>,
    request: &CommitRequest,
    footing: Footing,
    answer: CommitAnswer,
) -> Settled {
    let Some(made) = answer.made().filter(|_| request.intent == Intent::Commit) else { return Settled::plain(answer) };
    let account_id = request.tenant.account_id;
    let shown = match footing {
        Footing::Ownerless => publish_homes(context, account_id, made).await,
        Footing::Owner { .. } => take_in(context, account_id, made).await,
    };
    Settled::plain(shown.map_or_else(|error| store_failed(&error), |()| answer))
}

/// What an answer says that is about to be given again, by whoever found it kept, is shown by everybody when this returns.
pub(crate) async fn have_shown(context: &Arc<Context>, account_id: AccountId, made: &Made) -> Result<(), StoreError> {
    if context.ownership.is_alone() {
        return Ok(());
    }
    if let Place::Here(_) = context.ownership.place(Shard::of(account_id)) {
        return take_in(context, account_id, made).await;
    }
    let homes = homes_of(context, account_id, made).await?;
    let wanted: Vec<Wanted> = homes.iter().map(|&calendar_id| Wanted::up_to(calendar_id, None)).collect();
    let found = context.facts_elsewhere(account_id, &wanted, Instant::now() + SHOWN_WITHIN).await;
    for facts in found.iter().filter(|facts| !shows(facts, made)) {
        // What was moved or given back since is not there any more, and everybody knows.
        let stored = context.parts.store.load_facts(account_id, facts.calendar_id).await;
        if !stored.is_ok_and(|source| source.is_none_or(|source| source.revision <= facts.revision)) {
            ownerless::publish_calendars(context, account_id, homes).await;
            break;
        }
    }
    Ok(())
}

async fn publish_homes(context: &Arc<Context>, account_id: AccountId, made: &Made) -> Result<(), StoreError> {
    let homes = homes_of(context, account_id, made).await?;
    ownerless::publish_calendars(context, account_id, homes).await;
    Ok(())
}

/// Whoever made something past its owner may not have come to telling it, and the owner answers from what it keeps.
async fn take_in(context: &Arc<Context>, account_id: AccountId, made: &Made) -> Result<(), StoreError> {
    // All commits are made here, then.
    if context.ownership.is_alone() {
        return Ok(());
    }
    for calendar_id in homes_of(context, account_id, made).await? {
        let facts = context.directory.peek(calendar_id).and_then(|slot| slot.facts());
        match facts.filter(|facts| shows(facts, made)) {
            // Here; in the cache perhaps not yet.
            Some(facts) => context.publish_to_cache(facts).await,
            None => context.catch_up(account_id, calendar_id).await,
        }
    }
    Ok(())
}

/// The calendars that show the time something takes. Time that was given back needs nobody's haste.
async fn homes_of(context: &Context, account_id: AccountId, made: &Made) -> Result<BTreeSet<CalendarId>, StoreError> {
    let user_ids: Vec<UserId> = match made {
        Made::Booking(booking) if booking.status == BookingStatus::Cancelled => return Ok(BTreeSet::new()),
        Made::Booking(booking) => booking.hosts.iter().map(|host| host.user_id).collect(),
        Made::Hold(hold) => hold.user_ids.clone(),
        Made::Released(_) => return Ok(BTreeSet::new()),
    };
    let Some(config) = context.config(account_id).await? else { return Ok(BTreeSet::new()) };
    Ok(user_ids.iter().filter_map(|&id| Some(user_in(&config, id)?.0.home_calendar_id)).collect())
}

/// Whether a calendar's facts have what was made: taken by it, then, and for as long.
fn shows(facts: &CalendarFacts, made: &Made) -> bool {
    let (owner, range, expires_at) = match made {
        Made::Booking(booking) => (ClaimOwner::Booking(booking.id), booking.range, None),
        Made::Hold(hold) => (ClaimOwner::Hold(hold.id), hold.range, Some(hold.expires_at)),
        Made::Released(_) => return true,
    };
    facts.claims.iter().any(|claim| (claim.owner, claim.range, claim.expires_at) == (owner, range, expires_at))
}
