//! Mails to a server over SMTP (RFC 5321).
//!
//! The conversation is lettre's, step by step rather than in one call: only so can one recipient be refused and the other
//! delivered to, and only so is it known whether the mail had been sent when a connection was lost.

mod classify;
mod connect;
mod guard;
mod pool;
mod session;
mod settings;

pub use pool::SmtpTransport;
pub use settings::{SmtpSettings, SmtpSettingsError, SmtpTimeouts};
