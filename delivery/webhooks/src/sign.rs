//! The signature: HMAC-SHA-256 over id, timestamp and body, with each secret that is in use.

use agentcal_engine::ids::DeliveryId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `webhook-signature`: one signature for each secret, the present one's first.
///
/// # Panics
/// Never in practice: HMAC takes keys of any length.
pub fn signature_header<'a>(
    id: DeliveryId,
    timestamp_seconds: i64,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'a [u8]>,
) -> String {
    let signed = |secret: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.into_iter().map(signed).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Computed with Python's `hmac`, over the text that Standard Webhooks says is signed.
    #[test]
    fn the_signature_is_over_id_time_and_body() {
        let id = DeliveryId::from_uuid(Uuid::nil());
        let sign =
            |body: &str, secrets: &[&[u8]]| signature_header(id, 1_674_087_231, body.as_bytes(), secrets.to_vec());
        let one = sign(r#"{"test":true}"#, &[b"0123456789abcdef01234567"]);
        assert_eq!(one, "v1,wkTE04YouNUz3HWYgV+vWMXG1QVp0MQYSUKBjM8beYU=");
        let both = sign(r#"{"test":true}"#, &[b"0123456789abcdef01234567", b"another-secret-of-24-byte"]);
        assert_eq!(
            both.split(' ').collect::<Vec<_>>(),
            [one.as_str(), "v1,L8jgoY+RYTzjI6AI7axBeEJseIA/l6agplY8o4jHs9g="]
        );
        assert_ne!(sign(r#"{"test":false}"#, &[b"0123456789abcdef01234567"]), one);
    }
}
