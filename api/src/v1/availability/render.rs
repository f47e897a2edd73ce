//! Writing the answer's bytes. An answer can have thousands of slots; each costs a few copies and no allocation.

use std::ops::Range;

use agentcal_engine::decision::{Host, HostSet, Slot};
use agentcal_engine::facts::UnknownReason;
use agentcal_engine::ids::{EventTypeId, UserId};
use agentcal_engine::time::Timestamp;
use chrono_tz::Tz;

use super::freshness::{Basis, reason_name};
use crate::instant::{InstantWriter, TEXT_LEN};
use crate::offers::SlotIds;

/// Bytes of one slot with one user, a little more than it takes.
const SLOT_LEN: usize = 200;

/// Everything an answer says.
pub(super) struct Answered<'a> {
    pub(super) event_type_id: Option<EventTypeId>,
    pub(super) zone: Tz,
    pub(super) hosts: &'a [Host],
    pub(super) slots: &'a [Slot],
    pub(super) slot_ids: &'a SlotIds,
    pub(super) basis: Basis,
    pub(super) unknown: &'a [(UserId, UnknownReason)],
    pub(super) next_available: Option<Timestamp>,
}

impl Answered<'_> {
    /// The answer as JSON. Zone names, ids and instants hold nothing that JSON would have to escape.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(400 + self.slots.len() * SLOT_LEN);
        let mut instants = InstantWriter::new(self.zone);
        out.extend_from_slice(b"{\"event_type_id\":");
        match self.event_type_id {
            Some(id) => push_quoted(&id.to_string(), &mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"timezone\":");
        push_quoted(self.zone.name(), &mut out);
        out.extend_from_slice(b",\"slots\":[");
        self.push_slots(&mut instants, &mut out);
        out.extend_from_slice(b"],\"freshness\":");
        self.push_freshness(&mut instants, &mut out);
        out.extend_from_slice(b",\"next_available\":");
        match self.next_available {
            Some(instant) => push_instant(instant, &mut instants, &mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
        out
    }

    /// Neighbours are mostly free with the same people, and then differ in their instants and the end of their slot id
    /// only.
    fn push_slots(&self, instants: &mut InstantWriter, out: &mut Vec<u8>) {
        let names: Vec<String> = self.hosts.iter().map(|host| host.user.id.to_string()).collect();
        let mut written = WrittenSlot::default();
        for (index, slot) in self.slots.iter().enumerate() {
            if index == 0 || slot.hosts != written.hosts {
                written = WrittenSlot::new(slot.hosts, &names);
                self.slot_ids.write(slot.start, slot.hosts, &mut written.bytes);
                written.bytes.extend_from_slice(b"\"}");
            } else {
                self.slot_ids.rewrite(slot.start, slot.hosts, &mut written.bytes[written.slot_id..]);
            }
            written.bytes[START].copy_from_slice(instants.minute(slot.start));
            written.bytes[END].copy_from_slice(instants.minute(slot.end));
            out.extend_from_slice(&written.bytes[usize::from(index == 0)..]);
        }
    }

    fn push_freshness(&self, instants: &mut InstantWriter, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"state\":");
        push_quoted(self.basis.state.as_str(), out);
        out.extend_from_slice(b",\"as_of\":");
        push_instant(self.basis.as_of, instants, out);
        out.extend_from_slice(b",\"users\":[");
        for (index, (user_id, reason)) in self.unknown.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"user_id\":".as_slice() } else { b",{\"user_id\":" });
            push_quoted(&user_id.to_string(), out);
            out.extend_from_slice(b",\"reason\":");
            push_quoted(reason_name(*reason), out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
}

/// A slot as it was written last, with the comma before it.
#[derive(Default)]
struct WrittenSlot {
    hosts: HostSet,
    bytes: Vec<u8>,
    /// Where its slot id begins.
    slot_id: usize,
}

const BEFORE_START: &[u8] = b",{\"start_time\":\"";
const BEFORE_END: &[u8] = b"\",\"end_time\":\"";
/// Where its instants stand.
const START: Range<usize> = BEFORE_START.len()..BEFORE_START.len() + TEXT_LEN;
const END: Range<usize> = START.end + BEFORE_END.len()..START.end + BEFORE_END.len() + TEXT_LEN;

impl WrittenSlot {
    /// Everything up to the slot id, with room for the instants.
    fn new(hosts: HostSet, names: &[String]) -> Self {
        let mut bytes = Vec::with_capacity(SLOT_LEN);
        bytes.extend_from_slice(BEFORE_START);
        bytes.extend_from_slice(&[b' '; TEXT_LEN]);
        bytes.extend_from_slice(BEFORE_END);
        bytes.extend_from_slice(&[b' '; TEXT_LEN]);
        bytes.extend_from_slice(b"\",\"user_ids\":[");
        for (place, host) in hosts.iter().enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            push_quoted(names.get(host).map_or("", String::as_str), &mut bytes);
        }
        bytes.extend_from_slice(b"],\"slot_id\":\"");
        Self { hosts, slot_id: bytes.len(), bytes }
    }
}

fn push_instant(instant: Timestamp, instants: &mut InstantWriter, out: &mut Vec<u8>) {
    out.push(b'"');
    instants.write(instant, out);
    out.push(b'"');
}

fn push_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}
