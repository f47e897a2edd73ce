//! Short words for holds.

use std::time::Duration;

use agentcal_engine::commit::{ClaimChange, CommitPlan, HoldChange, HoldLimits, Outcome};
use agentcal_engine::decision::{Decision, HostVerdict};
use agentcal_engine::ids::{DecisionId, HoldId};
use agentcal_engine::model::{
    Booking, Claim, ClaimOwner, DecisionKind, DecisionRecord, FactsSeen, Hold, HoldState, Tenant, User,
};
use agentcal_engine::ports::HoldStoreItem;
use agentcal_engine::time::{TimeRange, Timestamp};

use super::World;

/// The call most holds belong to.
pub const CALL: &str = "call-1";

/// Limits no test meets by accident.
pub const NO_LIMITS: HoldLimits = HoldLimits { per_organization: u32::MAX, per_session: u32::MAX, per_user: u32::MAX };

fn count(users: &[&User]) -> u32 {
    u32::try_from(users.len()).expect("few users")
}

impl World {
    /// A hold that is not placed yet.
    pub fn new_hold(&self, tenant: &Tenant, users: &[&User], range: TimeRange, expires_at: Timestamp) -> Hold {
        Hold {
            id: HoldId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            event_type_id: None,
            range,
            user_ids: users.iter().map(|user| user.id).collect(),
            session_id: Some(CALL.into()),
            state: HoldState::Active,
            expires_at,
            created_at: self.now(),
        }
    }

    /// A plan that places a hold: one claim per host, and the row.
    pub fn place_plan(&self, tenant: &Tenant, users: &[&User], hold: &Hold, limits: HoldLimits) -> CommitPlan {
        let claim = |user: &&User| {
            ClaimChange::Insert(Claim {
                event_type_id: hold.event_type_id,
                expires_at: Some(hold.expires_at),
                session_id: hold.session_id.clone(),
                ..self.new_claim(user, ClaimOwner::Hold(hold.id), hold.range)
            })
        };
        CommitPlan {
            claims: users.iter().map(claim).collect(),
            holds: vec![HoldChange::Insert { hold: Box::new(hold.clone()), limits }],
            ..self.empty_plan(tenant, users)
        }
    }

    /// A plan that holds a user's time until an instant.
    pub fn hold_plan(&self, user: &User, range: TimeRange, expires_at: Timestamp) -> CommitPlan {
        let hold = self.new_hold(&self.tenant, &[user], range, expires_at);
        self.place_plan(&self.tenant, &[user], &hold, NO_LIMITS)
    }

    /// Holds users of the first account for a while, which must succeed.
    pub async fn hold(&self, users: &[&User], range: TimeRange, ttl: Duration) -> Hold {
        let hold = self.new_hold(&self.tenant, users, range, self.now() + ttl);
        self.place(users, &hold).await;
        hold
    }

    /// Places a hold in the first account, which must succeed.
    pub async fn place(&self, users: &[&User], hold: &Hold) {
        let outcome = self.commit(&self.place_plan(&self.tenant, users, hold, NO_LIMITS)).await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }

    /// A plan that makes a booking of a hold.
    pub fn confirm_plan(&self, hold: &Hold, users: &[&User]) -> (Booking, CommitPlan) {
        let (booking, plan) = self.booking_plan(users, hold.range);
        let (hold_id, booking_id) = (hold.id, booking.id);
        let claims = vec![ClaimChange::Confirm { hold_id, booking_id, claim_count: count(users) }];
        let plan = CommitPlan { claims, holds: vec![HoldChange::Confirm { hold_id, booking_id }], ..plan };
        (booking, plan)
    }

    /// A plan that lets a hold end at another instant.
    pub fn extend_plan(&self, hold: &Hold, users: &[&User], expires_at: Timestamp) -> CommitPlan {
        let hold_id = hold.id;
        CommitPlan {
            claims: vec![ClaimChange::Extend { hold_id, expires_at, claim_count: count(users) }],
            holds: vec![HoldChange::Extend { hold_id, expires_at }],
            ..self.empty_plan(&self.tenant, users)
        }
    }

    /// A plan that gives a hold back.
    pub fn release_plan(&self, hold: &Hold, users: &[&User]) -> CommitPlan {
        let owner = ClaimOwner::Hold(hold.id);
        CommitPlan {
            claims: vec![ClaimChange::Delete { owner, claim_count: count(users) }],
            holds: vec![HoldChange::Release { hold_id: hold.id }],
            ..self.empty_plan(&self.tenant, users)
        }
    }

    /// A hold of the first account as the store has it.
    pub async fn hold_item(&self, id: HoldId) -> Option<HoldStoreItem> {
        self.store.hold(self.tenant.account_id, id).await.expect("readable")
    }

    /// A record of a decision nobody made, at the present instant.
    pub fn new_decision(&self, tenant: &Tenant, user: &User, range: TimeRange) -> DecisionRecord {
        let seen =
            FactsSeen { calendar_id: user.home_calendar_id, revision: 7, as_of: Some(self.now()), checked_at: None };
        DecisionRecord {
            id: DecisionId::from_uuid(self.uuid()),
            account_id: tenant.account_id,
            kind: DecisionKind::Book,
            booking_id: None,
            hold_id: None,
            event_type_id: None,
            config_revision: 3,
            facts: vec![seen],
            decision: Decision { range, verdicts: vec![HostVerdict { user_id: user.id, reasons: Vec::new() }] },
            chosen: Vec::new(),
            decided_at: self.now(),
        }
    }
}
