//! Commits that stand in line at one calendar, made together: each is decided on what those before it will have left, and
//! the store makes all of them durable at once where it can.
//!
//! Nothing rests on the foresight. Each plan names the revisions it was decided on, so one that was decided on what did not
//! come about is refused by the store, and everything after it. Those take their turn alone then, as they would have.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentcal_engine::calendar::keeper::foreseen;
use agentcal_engine::calendar::plan::Planned;
use agentcal_engine::calendar::request::{CommitAnswer, CommitKind, Intent};
use agentcal_engine::commit::{CommitPlan, Outcome};
use agentcal_engine::decision::Host;
use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::CalendarId;
use agentcal_engine::planted;
use tokio::sync::oneshot;

use crate::commit::{self, Before, Footing};
use crate::context::Context;
use crate::jobs::{CommitJob, Telling};
use crate::settled::Settled;

/// A commit whose turn has come, and who is told when everybody has heard of it.
pub(crate) struct Standing {
    pub(crate) job: Box<CommitJob>,
    pub(crate) telling: Telling,
}

/// Whether a commit may be made together with others: a booking of free time, asked for the first time, by the owner. What
/// others do depends on rows that commits before them may change.
pub(crate) fn joins(job: &CommitJob) -> bool {
    // A bug is planted in the way of a single commit, and shall be met there.
    let is_met_alone = planted!(CacheBeforeCommit);
    matches!(job.request.kind, CommitKind::Book(_))
        && job.request.intent == Intent::Commit
        && matches!(job.footing, Footing::Owner { .. })
        && matches!(job.before, Before::Read(_))
        && !is_met_alone
}

/// Makes a line of commits, as far as the next ones need wait for them.
pub(crate) async fn make(context: &Arc<Context>, line: Vec<Standing>) {
    let rest = if line.len() > 1 { make_together(context, line).await } else { line };
    for standing in rest {
        make_alone(context, standing).await;
    }
}

async fn make_alone(context: &Arc<Context>, Standing { job, telling }: Standing) {
    let CommitJob { request, before, footing, reply, .. } = *job;
    if let Some(settled) = commit::settle(context, &request, before, footing).await {
        answer(context, reply, telling, settled);
    }
}

/// Has a caller hear, once it may; nobody behind it in line waits for that.
fn answer(context: &Context, reply: oneshot::Sender<CommitAnswer>, telling: Telling, settled: Settled) {
    context.tasks.spawn(async move {
        // A caller that no longer waits finds the booking when it asks again.
        let _ = reply.send(settled.heard().await);
        drop(telling);
    });
}

/// Makes those that can be planned at once, and returns the others, and those the store did not take.
async fn make_together(context: &Arc<Context>, line: Vec<Standing>) -> Vec<Standing> {
    let (mut ready, mut rest) = (Vec::new(), Vec::new());
    let mut foresight = Foresight::default();
    for standing in line {
        match commit::first_plan(context, &standing.job, &foresight).await {
            Some(planned) if foresight.follow(context, &planned) => ready.push((standing, planned)),
            _ => rest.push(standing),
        }
    }
    let plans: Vec<&CommitPlan> = ready.iter().map(|(_, planned)| &planned.plan).collect();
    let outcomes = match &plans[..] {
        [] => return rest,
        plans => context.parts.store.commit_together(plans).await,
    };
    let outcomes = match outcomes {
        Ok(outcomes) => outcomes,
        Err(error) => {
            for (standing, planned) in ready {
                let known = commit::after_unknown_outcome(context, &standing.job.request, &planned, &error).await;
                answer(context, standing.job.reply, standing.telling, Settled::plain(known));
            }
            return rest;
        }
    };
    let mut outcomes = outcomes.into_iter();
    let mut not_taken = Vec::new();
    for (standing, planned) in ready {
        match outcomes.next() {
            Some(Outcome::Committed { revisions }) => {
                let settled = commit::committed(context, planned, &revisions, standing.job.footing).await;
                answer(context, standing.job.reply, standing.telling, settled);
            }
            Some(refused) => {
                commit::count_retry(&refused);
                not_taken.push(standing);
            }
            None => not_taken.push(standing),
        }
    }
    not_taken.append(&mut rest);
    not_taken
}

/// What calendars will publish once the plans before are performed.
#[derive(Default)]
pub(crate) struct Foresight(BTreeMap<CalendarId, Arc<CalendarFacts>>);

impl Foresight {
    /// Has hosts read what will be where that is known.
    pub(crate) fn apply(&self, hosts: &mut [Host]) {
        for facts in hosts.iter_mut().flat_map(|host| &mut host.facts) {
            if let Some(later) = self.0.get(&facts.calendar_id).filter(|later| later.revision > facts.revision) {
                *facts = Arc::clone(later);
            }
        }
    }

    /// Takes in what a plan will do; false, and nothing is taken in, where that is not known here.
    fn follow(&mut self, context: &Context, planned: &Planned) -> bool {
        let mut later = Vec::new();
        for (calendar_id, changes) in planned.changed_calendars() {
            let now = match self.0.get(&calendar_id) {
                Some(facts) => Some(Arc::clone(facts)),
                None => context.directory.peek(calendar_id).and_then(|slot| slot.facts()),
            };
            let then = now.zip(changes).and_then(|(facts, changes)| foreseen(&facts, &changes));
            let Some(then) = then else { return false };
            later.push((calendar_id, Arc::new(then)));
        }
        self.0.extend(later);
        true
    }
}
