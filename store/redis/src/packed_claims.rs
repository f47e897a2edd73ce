//! Claims inside packed facts. What a claim shares with its calendar, or with the claim before it, is one bit.

use agentcal_engine::facts::CalendarFacts;
use agentcal_engine::ids::{AccountId, BookingId, CalendarId, ClaimId, EventTypeId, HoldId, UserId};
use agentcal_engine::model::{Claim, ClaimOwner};
use agentcal_engine::time::Timestamp;
use uuid::Uuid;

use crate::bytes::{Reader, put_signed, put_varint};
use crate::packed::{put_range, read_range};

const OTHER_ACCOUNT: u8 = 1;
const OTHER_HOME: u8 = 1 << 1;
const SAME_USER: u8 = 1 << 2;
const IS_BOOKING: u8 = 1 << 3;
const HAS_EVENT_TYPE: u8 = 1 << 4;
const SAME_EVENT_TYPE: u8 = 1 << 5;
const EXPIRES: u8 = 1 << 6;
const HAS_SESSION: u8 = 1 << 7;

/// The shortest claim: flags, its id, its owner, a range, two buffers.
const CLAIM_LEN_MIN: usize = 1 + 16 + 16 + 2 + 2;

/// What a claim is written against.
struct Context {
    account_id: AccountId,
    home: CalendarId,
    user: Option<UserId>,
    event_type: Option<EventTypeId>,
}

impl Context {
    fn follow(&mut self, claim: &Claim) {
        self.user = Some(claim.user_id);
        self.event_type = claim.event_type_id.or(self.event_type);
    }
}

pub(crate) fn put_claims(out: &mut Vec<u8>, facts: &CalendarFacts) {
    let mut context = Context { account_id: facts.account_id, home: facts.calendar_id, user: None, event_type: None };
    put_varint(out, facts.claims.len() as u64);
    for claim in &facts.claims {
        put_claim(out, claim, &context);
        context.follow(claim);
    }
}

pub(crate) fn read_claims(reader: &mut Reader<'_>, account_id: AccountId, home: CalendarId) -> Option<Vec<Claim>> {
    let mut context = Context { account_id, home, user: None, event_type: None };
    let len = reader.count()?;
    let mut claims = Vec::with_capacity(len.min(reader.0.len() / CLAIM_LEN_MIN));
    for _ in 0..len {
        let claim = read_claim(reader, &context)?;
        context.follow(&claim);
        claims.push(claim);
    }
    Some(claims)
}

fn flags(claim: &Claim, context: &Context) -> u8 {
    let flag = |holds: bool, bit: u8| if holds { bit } else { 0 };
    let same_event_type = claim.event_type_id.is_some() && claim.event_type_id == context.event_type;
    flag(claim.account_id != context.account_id, OTHER_ACCOUNT)
        | flag(claim.home_calendar_id != context.home, OTHER_HOME)
        | flag(Some(claim.user_id) == context.user, SAME_USER)
        | flag(claim.booking_id().is_some(), IS_BOOKING)
        | flag(claim.event_type_id.is_some(), HAS_EVENT_TYPE)
        | flag(same_event_type, SAME_EVENT_TYPE)
        | flag(claim.expires_at.is_some(), EXPIRES)
        | flag(claim.session_id.is_some(), HAS_SESSION)
}

fn put_claim(out: &mut Vec<u8>, claim: &Claim, context: &Context) {
    let flags = flags(claim, context);
    out.push(flags);
    let mut put_unless = |skipped: bool, uuid: Uuid| {
        if !skipped {
            out.extend_from_slice(uuid.as_bytes());
        }
    };
    put_unless(false, claim.id.as_uuid());
    put_unless(flags & OTHER_ACCOUNT == 0, claim.account_id.as_uuid());
    put_unless(flags & OTHER_HOME == 0, claim.home_calendar_id.as_uuid());
    put_unless(flags & SAME_USER != 0, claim.user_id.as_uuid());
    match &claim.owner {
        ClaimOwner::Booking(id) => put_unless(false, id.as_uuid()),
        ClaimOwner::Hold(id) => put_unless(false, id.as_uuid()),
    }
    if let Some(event_type_id) = &claim.event_type_id {
        put_unless(flags & SAME_EVENT_TYPE != 0, event_type_id.as_uuid());
    }
    put_range(out, claim.range);
    put_varint(out, u64::from(claim.buffer_before_minutes));
    put_varint(out, u64::from(claim.buffer_after_minutes));
    if let Some(expires_at) = claim.expires_at {
        put_signed(out, expires_at.as_micros());
    }
    if let Some(session_id) = &claim.session_id {
        put_varint(out, session_id.len() as u64);
        out.extend_from_slice(session_id.as_bytes());
    }
}

fn read_claim(reader: &mut Reader<'_>, context: &Context) -> Option<Claim> {
    let flags = reader.byte()?;
    let has = |bit: u8| flags & bit != 0;
    let id = ClaimId::from_uuid(reader.uuid()?);
    let account_id = if has(OTHER_ACCOUNT) { AccountId::from_uuid(reader.uuid()?) } else { context.account_id };
    let home_calendar_id = if has(OTHER_HOME) { CalendarId::from_uuid(reader.uuid()?) } else { context.home };
    let user_id = if has(SAME_USER) { context.user? } else { UserId::from_uuid(reader.uuid()?) };
    let owner = reader.uuid()?;
    let owner = match has(IS_BOOKING) {
        true => ClaimOwner::Booking(BookingId::from_uuid(owner)),
        false => ClaimOwner::Hold(HoldId::from_uuid(owner)),
    };
    let event_type_id = match (has(HAS_EVENT_TYPE), has(SAME_EVENT_TYPE)) {
        (false, false) => None,
        (true, false) => Some(EventTypeId::from_uuid(reader.uuid()?)),
        (true, true) => Some(context.event_type?),
        (false, true) => return None,
    };
    let range = read_range(reader)?;
    let buffer_before_minutes = u32::try_from(reader.varint()?).ok()?;
    let buffer_after_minutes = u32::try_from(reader.varint()?).ok()?;
    let expires_at = if has(EXPIRES) { Some(Timestamp::from_micros(reader.signed()?)) } else { None };
    let session_id = if has(HAS_SESSION) { Some(read_text(reader)?) } else { None };
    Some(Claim {
        id,
        account_id,
        user_id,
        home_calendar_id,
        range,
        owner,
        event_type_id,
        buffer_before_minutes,
        buffer_after_minutes,
        expires_at,
        session_id,
    })
}

fn read_text(reader: &mut Reader<'_>) -> Option<String> {
    let len = reader.count()?;
    str::from_utf8(reader.slice(len)?).ok().map(str::to_owned)
}
