//! The fields of an answer that say how much is left (draft-ietf-httpapi-ratelimit-headers, revision 10).

use agentcal_engine::limits::Rate;
use http::{HeaderMap, HeaderName, HeaderValue};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
/// The window that the sustained rate is told for.
const SUSTAINED_SECONDS: u32 = 60;
/// Room for `"burst";r=4294967295;t=4294967295`.
const TEXT_LEN: usize = 40;

/// What an answer says about its key's limit.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) policy: HeaderValue,
    /// Requests that may be sent at once.
    pub(crate) left: u32,
    /// Seconds until that is as many as ever.
    pub(crate) full_after_seconds: u32,
}

/// How a rate is told: what may be sent at once, and in a minute on end.
pub(super) fn policy(rate: &Rate) -> HeaderValue {
    let (burst, sustained) = (rate.burst(), rate.refilled_in(std::time::Duration::from_secs(SUSTAINED_SECONDS.into())));
    let text = format!("\"burst\";q={burst}, \"sustained\";q={sustained};w={SUSTAINED_SECONDS}");
    HeaderValue::from_str(&text).expect("digits and names")
}

impl Told {
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(POLICY, self.policy.clone());
        let mut text = Text { bytes: [0; TEXT_LEN], len: 0 };
        text.push(b"\"burst\";r=");
        text.push_number(self.left);
        text.push(b";t=");
        text.push_number(self.full_after_seconds);
        if let Ok(value) = HeaderValue::from_bytes(&text.bytes[..text.len]) {
            headers.insert(LEFT, value);
        }
    }
}

/// A short text, put together without asking for memory: every answer has one.
struct Text {
    bytes: [u8; TEXT_LEN],
    len: usize,
}

impl Text {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn push_number(&mut self, mut number: u32) {
        let (mut digits, mut first) = ([b'0'; 10], 10);
        while first == 10 || number > 0 {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.push(&digits[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_structured_fields() {
        let policy = policy(&Rate::per_minute(6_000, 500));
        assert_eq!(policy, "\"burst\";q=500, \"sustained\";q=6000;w=60");
        let check = |left, full_after_seconds, expected: &str| {
            let mut headers = HeaderMap::new();
            Told { policy: policy.clone(), left, full_after_seconds }.write(&mut headers);
            assert_eq!(headers["ratelimit"], expected);
            assert_eq!(headers["ratelimit-policy"], policy);
        };
        check(0, 0, "\"burst\";r=0;t=0");
        check(7, 10, "\"burst\";r=7;t=10");
        check(u32::MAX, u32::MAX, "\"burst\";r=4294967295;t=4294967295");
    }
}
