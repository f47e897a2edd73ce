//! Spot checks: asked of providers when a commit would fail for want of fresh facts, and put before the decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentcal_engine::calendar::ask::{DecideAsk, calendar_in, user_in};
use agentcal_engine::calendar::judge::Verdict;
use agentcal_engine::calendar::spot_check::{self, SPOT_CHECK_PATIENCE, SpotCheck, SpotChecks, SpotChecksWanted};
use agentcal_engine::decision::Host;
use agentcal_engine::facts::{CalendarFacts, Knowledge};
use agentcal_engine::ids::{AccountId, CalendarId, UserId};
use agentcal_engine::ports::{AccountConfig, Provider, ProviderError, StoreError};
use agentcal_engine::time::TimeRange;
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::calendar::Msg;
use crate::context::Context;
use crate::directory::Cause;
use crate::metrics;
use crate::outbound::Operation;
use crate::questions::is_stale;
use crate::work::{Access, kind_name};

/// Less time than this is not enough to ask anybody, and would count as a provider's failure to answer.
const PATIENCE_MIN: Duration = Duration::from_millis(250);

/// How much of a wait for facts is kept, so that their calendars can be checked if it was in vain.
pub(crate) fn kept_for_it(
    context: &Context,
    config: &AccountConfig,
    user_ids: &[UserId],
    patience: Duration,
) -> Duration {
    let users = user_ids.iter().filter_map(|&id| user_in(config, id));
    let mut calendar_ids = users.flat_map(|(user, _)| user.calendars_read());
    match calendar_ids.any(|id| can_check(context, config, id)) {
        true => SPOT_CHECK_PATIENCE.min(patience / 2),
        false => Duration::ZERO,
    }
}

/// What to check after a verdict for want of knowledge.
pub(crate) fn wanted(
    context: &Context,
    config: &AccountConfig,
    ask: &DecideAsk,
    hosts: &[Host],
    verdict: &Verdict,
) -> Option<SpotChecksWanted> {
    let Verdict::Answer(answer) = verdict else { return None };
    let is_old = |facts: &CalendarFacts| is_old(context, config, facts);
    spot_check::wanted(ask, hosts, answer, is_old, |id| can_check(context, config, id))
}

/// Asks the providers of all these calendars at once.
pub(crate) async fn ask(
    context: &Arc<Context>,
    account_id: AccountId,
    wanted: &SpotChecksWanted,
    patience: Duration,
) -> SpotChecks {
    if patience < PATIENCE_MIN {
        return SpotChecks::answered([]);
    }
    let until = Instant::now() + patience.min(SPOT_CHECK_PATIENCE);
    let answers = wanted.calendar_ids.iter().map(|&calendar_id| async move {
        let asked = timeout_at(until, ask_one(context, account_id, calendar_id, wanted.range)).await;
        Some((calendar_id, asked.ok().flatten()?))
    });
    SpotChecks::answered(join_all(answers).await.into_iter().flatten())
}

async fn ask_one(
    context: &Arc<Context>,
    account_id: AccountId,
    calendar_id: CalendarId,
    range: TimeRange,
) -> Option<SpotCheck> {
    let slot = context.wake(account_id, calendar_id, Cause::Question)?;
    let (reply, answer) = oneshot::channel();
    // An actor that stops meanwhile drops the reply, and nothing is known.
    let is_sent = slot.account_id == account_id && slot.send(Msg::SpotCheck { range, reply });
    if is_sent { answer.await.ok() } else { None }
}

/// Puts what was said in the place of what is too old, on the claims as the store has them.
pub(crate) async fn apply(
    context: &Context,
    config: &AccountConfig,
    checks: &SpotChecks,
    hosts: &mut [Host],
) -> Result<(), StoreError> {
    let mut checked: BTreeMap<CalendarId, Arc<CalendarFacts>> = BTreeMap::new();
    for calendar_id in checks.calendar_ids() {
        let source = context.parts.store.load_facts(config.account.id, calendar_id).await?;
        let over = checks.of(calendar_id).zip(source).map(|(check, source)| Arc::new(check.over(source)));
        checked.extend(over.map(|facts| (calendar_id, facts)));
    }
    for facts in hosts.iter_mut().flat_map(|host| &mut host.facts) {
        let is_unknown = matches!(facts.knowledge, Knowledge::Unknown(_));
        if let Some(over) = checked.get(&facts.calendar_id).filter(|_| is_unknown || is_old(context, config, facts)) {
            *facts = Arc::clone(over);
        }
    }
    Ok(())
}

/// Asks a calendar's provider, for as long as somebody wants to know.
pub(crate) async fn look(
    context: Arc<Context>,
    access: Arc<Access>,
    range: TimeRange,
    mut reply: oneshot::Sender<SpotCheck>,
) -> Msg {
    let asked_at = context.store_now();
    let question =
        move |provider: Arc<dyn Provider>, calendar| async move { provider.spot_check(&calendar, range).await };
    let answer = tokio::select! {
        biased;
        () = reply.closed() => Err(ProviderError::Unavailable("no answer in time".into())),
        answer = access.ask(&context, Operation::SpotCheck, question) => answer,
    };
    let outcome = match &answer {
        Ok(Some(_)) => "answered",
        Ok(None) => "cannot_say",
        Err(_) => "failed",
    };
    count(&access, outcome);
    if let Err(error) = &answer {
        tracing::warn!(calendar_id = %access.calendar_id, %error, "a spot check failed");
    }
    Msg::SpotChecked(answer.map(|instances| {
        if let Some(instances) = instances {
            // Whoever asked may have stopped waiting this very moment.
            let _ = reply.send(SpotCheck { range, asked_at, instances });
        }
    }))
}

pub(crate) fn count(access: &Access, outcome: &'static str) {
    let labels = [("provider", kind_name(access.kind)), ("outcome", outcome)];
    ::metrics::counter!(metrics::SPOT_CHECKS, &labels).increment(1);
}

fn is_old(context: &Context, config: &AccountConfig, facts: &CalendarFacts) -> bool {
    is_stale(facts, context.stale_after_of(config, facts.calendar_id), context.store_now())
}

fn can_check(context: &Context, config: &AccountConfig, calendar_id: CalendarId) -> bool {
    let provider = calendar_in(config, calendar_id).and_then(|calendar| context.parts.providers.get(calendar.provider));
    provider.is_some_and(|provider| provider.can_spot_check())
}
