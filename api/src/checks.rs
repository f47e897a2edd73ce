//! Checking the fields of a request one by one, gathering every fault before refusing.
//!
//! Each check returns a value. Where the field is at fault that is a stand-in, which never leaves the operation, because
//! [`Checks::finish`] refuses the request before anything is done with it.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use agentcal_engine::time::Timestamp;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::error::{ApiError, Code, FieldCode, FieldError};
use crate::instant::{InstantError, parse_date, parse_instant};

/// Longest name of anything, in characters.
pub(crate) const NAME_LEN_MAX: usize = 200;
/// Longest e-mail address (RFC 5321, 4.5.3.1).
const EMAIL_LEN_MAX: usize = 254;
/// Most entries of `metadata`.
const METADATA_ENTRIES_MAX: usize = 50;
/// Longest key of `metadata`, in characters.
const METADATA_KEY_LEN_MAX: usize = 100;
/// Largest `metadata`, written as JSON.
const METADATA_BYTES_MAX: usize = 16 * 1_024;

/// Faults found so far.
#[derive(Default)]
pub(crate) struct Checks {
    unreadable: Vec<FieldError>,
    unacceptable: Vec<FieldError>,
}

/// A value every check of its type can stand in with.
pub(crate) trait StandIn {
    fn stand_in() -> Self;
}

macro_rules! id_stand_ins {
    ($($id:ident),*) => {$(
        impl StandIn for agentcal_engine::ids::$id {
            fn stand_in() -> Self {
                Self::from_uuid(Uuid::nil())
            }
        }
    )*};
}

id_stand_ins!(AccountId, ConnectionId, CalendarId, UserId, EventTypeId, BookingId, HoldId);

impl Checks {
    /// Refuses the request if any field was at fault: 400 when something could not be read at all, else 422.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Self { mut unreadable, unacceptable } = self;
        if !unreadable.is_empty() {
            unreadable.extend(unacceptable);
            return Err(ApiError::of_fields(Code::InvalidRequest, unreadable));
        }
        if unacceptable.is_empty() {
            return Ok(());
        }
        Err(ApiError::of_fields(Code::ValidationFailed, unacceptable))
    }

    /// A field that was understood but is not acceptable: 422.
    pub(crate) fn refuse(&mut self, field: &str, code: FieldCode, detail: impl Into<std::borrow::Cow<'static, str>>) {
        self.unacceptable.push(FieldError::new(field, code, detail));
    }

    /// A parameter whose text is not of the wanted kind: 400.
    pub(crate) fn unreadable(&mut self, field: &str, detail: impl Into<std::borrow::Cow<'static, str>>) {
        self.unreadable.push(FieldError::new(field, FieldCode::WrongType, detail));
    }

    pub(crate) fn required(&mut self, field: &str) {
        self.refuse(field, FieldCode::Required, "must be sent");
    }

    /// Text of people: not empty, bounded, without control characters. Answered as sent.
    pub(crate) fn text(&mut self, field: &str, value: &str, len_max: usize) -> String {
        let len = value.chars().count();
        if value.trim().is_empty() {
            self.refuse(field, FieldCode::TooShort, "must not be empty");
        } else if len > len_max {
            self.refuse(field, FieldCode::TooLong, format!("must have at most {len_max} characters, has {len}"));
        } else if value.chars().any(char::is_control) {
            self.refuse(field, FieldCode::InvalidFormat, "must not contain control characters");
        }
        value.to_owned()
    }

    /// An address of one mailbox: enough syntax to catch slips, nothing that refuses an address in use.
    pub(crate) fn email(&mut self, field: &str, value: &str) -> String {
        if value.len() > EMAIL_LEN_MAX {
            self.refuse(field, FieldCode::TooLong, format!("must have at most {EMAIL_LEN_MAX} characters"));
        } else if !is_mailbox(value) {
            self.refuse(field, FieldCode::InvalidFormat, "must be an e-mail address like `sarah@example.com`");
        }
        value.to_owned()
    }

    pub(crate) fn zone(&mut self, field: &str, value: &str) -> Tz {
        value.parse().unwrap_or_else(|_unknown| {
            self.refuse(field, FieldCode::UnknownValue, "must be an IANA time zone like `Europe/Berlin`");
            Tz::UTC
        })
    }

    pub(crate) fn whole(&mut self, field: &str, value: i64, range: RangeInclusive<u32>) -> u32 {
        match u32::try_from(value) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let detail = format!("must be from {} to {}", range.start(), range.end());
                self.refuse(field, FieldCode::OutOfRange, detail);
                *range.start()
            }
        }
    }

    /// An id in a body: of the wrong kind is as unacceptable as not there.
    pub(crate) fn id<T: FromStr<Err: std::fmt::Display> + StandIn>(&mut self, field: &str, value: &str) -> T {
        value.parse().unwrap_or_else(|error| {
            self.refuse(field, FieldCode::InvalidFormat, format!("is not such an id: {error}"));
            T::stand_in()
        })
    }

    pub(crate) fn instant(&mut self, field: &str, value: &str) -> Timestamp {
        match parse_instant(value) {
            Ok(instant) => instant,
            Err(InstantError::OutOfRange) => {
                self.refuse(field, FieldCode::OutOfRange, "must lie between 1970-01-01 and 2200-01-01");
                Timestamp::EARLIEST
            }
            Err(InstantError::Format) => {
                self.refuse(field, FieldCode::InvalidFormat, INSTANT_DETAIL);
                Timestamp::EARLIEST
            }
        }
    }

    /// An id in a query.
    pub(crate) fn query_id<T: FromStr<Err: std::fmt::Display> + StandIn>(&mut self, field: &str, value: &str) -> T {
        value.parse().unwrap_or_else(|error| {
            self.unreadable(field, format!("is not such an id: {error}"));
            T::stand_in()
        })
    }

    /// A zone in a query; see [`Self::query_instant`] for the plus sign of `Etc/GMT+5`.
    pub(crate) fn query_zone(&mut self, field: &str, value: &str) -> Tz {
        self.zone(field, &value.replace(' ', "+"))
    }

    /// An instant in a query. A plus sign that was not percent-encoded arrives as a space, and is taken for what it was.
    pub(crate) fn query_instant(&mut self, field: &str, value: &str) -> Timestamp {
        match parse_instant(&value.replace(' ', "+")) {
            Ok(instant) => instant,
            Err(InstantError::OutOfRange) => {
                self.refuse(field, FieldCode::OutOfRange, "must lie between 1970-01-01 and 2200-01-01");
                Timestamp::EARLIEST
            }
            Err(InstantError::Format) => {
                self.unreadable(field, INSTANT_DETAIL);
                Timestamp::EARLIEST
            }
        }
    }

    pub(crate) fn query_date(&mut self, field: &str, value: &str) -> NaiveDate {
        parse_date(value).unwrap_or_else(|| {
            self.unreadable(field, "must be a date like `2026-11-21`");
            NaiveDate::default()
        })
    }

    pub(crate) fn query_whole(&mut self, field: &str, value: &str, range: RangeInclusive<u32>) -> u32 {
        let digits = value.strip_prefix('-').unwrap_or(value);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.unreadable(field, "must be a whole number");
            return *range.start();
        }
        self.whole(field, value.parse().unwrap_or(i64::MAX), range)
    }

    pub(crate) fn query_flag(&mut self, field: &str, value: &str) -> bool {
        match value {
            "true" => true,
            "false" => false,
            _ => {
                self.unreadable(field, "must be `true` or `false`");
                false
            }
        }
    }

    /// The caller's own data: bounded, and free of what a store could not keep.
    pub(crate) fn metadata(&mut self, field: &str, value: &Map<String, Value>) -> Map<String, Value> {
        if value.len() > METADATA_ENTRIES_MAX {
            self.refuse(field, FieldCode::TooLong, format!("must have at most {METADATA_ENTRIES_MAX} entries"));
        } else if value.keys().any(|key| key.is_empty() || key.chars().count() > METADATA_KEY_LEN_MAX) {
            self.refuse(field, FieldCode::TooLong, format!("keys must have 1 to {METADATA_KEY_LEN_MAX} characters"));
        } else if serde_json::to_vec(value).map_or(true, |text| text.len() > METADATA_BYTES_MAX) {
            self.refuse(field, FieldCode::TooLong, "must take at most 16 KiB as JSON");
        } else if value.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)) {
            self.refuse(field, FieldCode::InvalidFormat, "must not contain the character U+0000");
        }
        value.clone()
    }

    /// Refuses a list that is too short or long, or has a value twice; naming the entry.
    pub(crate) fn unique_list<T: Ord>(&mut self, field: &str, values: &[T], len: RangeInclusive<usize>) {
        if values.len() < *len.start() {
            self.refuse(field, FieldCode::TooShort, format!("must have at least {}", len.start()));
        }
        if values.len() > *len.end() {
            self.refuse(field, FieldCode::TooLong, format!("must have at most {}", len.end()));
            return;
        }
        let mut seen = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                self.refuse(&format!("{field}[{index}]"), FieldCode::NotUnique, "stands in the list twice");
            }
        }
    }
}

const INSTANT_DETAIL: &str = "must be an instant with its offset, like `2026-11-21T09:00:00+01:00` (RFC 3339)";

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_mailbox(value: &str) -> bool {
    let Some((local, domain)) = value.rsplit_once('@') else { return false };
    let local_ok = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c));
    local_ok && domain.split('.').count() >= 2 && domain.split('.').all(is_domain_label)
}

fn is_domain_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b.co", "sarah.o'hara+tag@example.co.uk", "jörg@müller.de", "1@xn--mller-kva.de"] {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in [
            "", "a", "@b.co", "a@", "a@b", "a b@c.de", "a@b..de", ".a@b.de", "a@-b.de", "a@b.de\n", "<a@b.de>", "a@b@c",
        ] {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }

    #[test]
    fn unreadable_outranks_unacceptable_and_both_are_told() {
        let mut checks = Checks::default();
        checks.zone("timezone", "Mars/Olympus");
        checks.query_date("start_date", "soon");
        let problem = checks.finish().expect_err("two faults").into_problem();
        assert_eq!(problem.code, Code::InvalidRequest);
        assert_eq!(problem.errors.len(), 2);
    }

    #[test]
    fn numbers_of_queries() {
        let check = |text: &str, expected: Option<Code>| {
            let mut checks = Checks::default();
            checks.query_whole("limit", text, 1..=100);
            assert_eq!(checks.finish().err().map(|error| error.code()), expected, "{text}");
        };
        check("1", None);
        check("100", None);
        check("0", Some(Code::ValidationFailed));
        check("101", Some(Code::ValidationFailed));
        check("-5", Some(Code::ValidationFailed));
        check("99999999999999999999999", Some(Code::ValidationFailed));
        check("1.5", Some(Code::InvalidRequest));
        check("", Some(Code::InvalidRequest));
        check("-", Some(Code::InvalidRequest));
        check("ten", Some(Code::InvalidRequest));
    }
}
