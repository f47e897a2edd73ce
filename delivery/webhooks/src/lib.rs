//! Messages to webhook endpoints, after Standard Webhooks (<https://www.standardwebhooks.com>): what is said of an event,
//! how it is signed, and the way it goes out, by ourselves or by Svix. When and how often is decided elsewhere.

mod payload;
mod sender;
mod sign;
mod svix;

pub use payload::{PAYLOAD_LEN_MAX, render};
pub use sender::{ANSWER_LEN_MAX, HttpWebhookSender, SEND_TIMEOUT, WebhookSenderOptions};
pub use sign::signature_header;
pub use svix::{Svix, SvixOptions};
