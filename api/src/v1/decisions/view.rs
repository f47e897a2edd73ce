//! A decision record as callers see it.

use agentcal_engine::decision::HostVerdict;
use agentcal_engine::ids::UserId;
use agentcal_engine::model::{DecisionKind, DecisionRecord, FactsSeen};
use chrono_tz::Tz;
use serde::Serialize;
use utoipa::ToSchema;

use crate::instant::rfc3339;

/// What was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DecisionKind)]
pub(super) enum KindWire {
    /// A new booking.
    Book,
    /// A booking made of a hold.
    Confirm,
    /// A hold.
    Hold,
    /// Another time for a booking.
    Reschedule,
}

/// What was said.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DecisionVerdict)]
pub(super) enum VerdictWire {
    /// Yes.
    Accepted,
    /// No.
    Refused,
}

/// What spoke against a host.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionHost)]
pub(super) struct DecisionHostView {
    /// The host.
    user_id: String,
    /// Every reason against it; none: it was free.
    reasons: Vec<&'static str>,
}

/// A calendar's facts, as the decision saw them.
#[derive(Serialize, ToSchema)]
#[schema(as = DecisionFacts)]
pub(super) struct FactsView {
    /// The calendar.
    calendar_id: String,
    /// Its revision.
    revision: u64,
    /// As of when they were true; null where nothing ages or nothing was known.
    #[schema(format = DateTime, required = true)]
    as_of: Option<String>,
    /// When the provider was asked about the very time of the decision, because these facts were too old to book on or told
    /// nothing; null where they were good enough.
    #[schema(format = DateTime, required = true)]
    checked_at: Option<String>,
}

/// The record of one decision.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub(super) struct DecisionView {
    /// Its id.
    #[schema(example = "dec_01kaj2wz5rfv8t6xg3m9c1nq4d")]
    id: String,
    /// What was asked for.
    kind: KindWire,
    /// What was said.
    verdict: VerdictWire,
    /// The event type, where there was one.
    #[schema(required = true)]
    event_type_id: Option<String>,
    /// The booking made or moved; for a refused move, the one that stayed.
    #[schema(required = true)]
    booking_id: Option<String>,
    /// The hold placed or confirmed.
    #[schema(required = true)]
    hold_id: Option<String>,
    /// The time asked for.
    #[schema(format = DateTime)]
    start_time: String,
    /// Its end.
    #[schema(format = DateTime)]
    end_time: String,
    /// What spoke against each host.
    hosts: Vec<DecisionHostView>,
    /// Who was taken.
    user_ids: Vec<String>,
    /// The version of the account's rules it rested on.
    rules_version: u64,
    /// The facts it rested on.
    facts: Vec<FactsView>,
    /// When.
    #[schema(format = DateTime)]
    decided_at: String,
}

impl DecisionView {
    pub(super) fn of(record: DecisionRecord, zone: Tz) -> Self {
        let verdict = if record.is_accepted() { VerdictWire::Accepted } else { VerdictWire::Refused };
        let range = record.decision.range;
        Self {
            id: record.id.to_string(),
            kind: record.kind.into(),
            verdict,
            event_type_id: record.event_type_id.map(|id| id.to_string()),
            booking_id: record.booking_id.map(|id| id.to_string()),
            hold_id: record.hold_id.map(|id| id.to_string()),
            start_time: rfc3339(range.start, zone),
            end_time: rfc3339(range.end, zone),
            hosts: record.decision.verdicts.iter().map(DecisionHostView::from).collect(),
            user_ids: record.chosen.iter().map(UserId::to_string).collect(),
            rules_version: record.config_revision,
            facts: record.facts.iter().map(|seen| FactsView::of(seen, zone)).collect(),
            decided_at: rfc3339(record.decided_at, zone),
        }
    }
}

impl FactsView {
    fn of(seen: &FactsSeen, zone: Tz) -> Self {
        Self {
            calendar_id: seen.calendar_id.to_string(),
            revision: seen.revision,
            as_of: seen.as_of.map(|as_of| rfc3339(as_of, zone)),
            checked_at: seen.checked_at.map(|checked_at| rfc3339(checked_at, zone)),
        }
    }
}

impl From<&HostVerdict> for DecisionHostView {
    fn from(verdict: &HostVerdict) -> Self {
        let reasons = verdict.reasons.iter().map(|reason| reason.as_str()).collect();
        Self { user_id: verdict.user_id.to_string(), reasons }
    }
}

impl From<DecisionKind> for KindWire {
    fn from(kind: DecisionKind) -> Self {
        match kind {
            DecisionKind::Book => Self::Book,
            DecisionKind::Confirm => Self::Confirm,
            DecisionKind::Hold => Self::Hold,
            DecisionKind::Reschedule => Self::Reschedule,
        }
    }
}
