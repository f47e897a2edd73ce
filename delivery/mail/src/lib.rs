//! Mail: what one says about a booking, what it looks like, and how it leaves the house.
//!
//! [`compose`] turns a [`Notice`] into a [`Mail`], purely: the same values give the same bytes, and no text of a stranger
//! can make a header, a command or a property. [`compose_report`] does the same with what an organization is told of its own
//! affairs. A [`Transport`] hands mails to a server over SMTP, or keeps them in a folder,
//! and tells for each recipient what became of it. [`next_attempt`] says when to try again.

mod address;
mod color;
mod invitation;
mod message;
mod notice;
mod outbox;
mod report;
mod retry;
mod sample;
mod sender;
mod smtp;
mod template;
mod text;
mod transport;
mod view;
mod words;

pub use address::{Address, AddressError};
pub use color::{Color, ColorError};
pub use message::{Composed, Mail, Shown, compose, preview};
pub use notice::{
    Branding, Contact, HOSTS_MAX, Links, Notice, NoticeEvent, NoticeKind, Participant, Reader, ReaderRole,
};
pub use outbox::{OUTBOX_MAILS_MAX, Outbox, OutboxMail};
pub use report::{Report, ReportEvent, compose_report};
pub use retry::{NextAttempt, next_attempt};
pub use sample::sample_notice;
pub use sender::Sender;
pub use smtp::{SmtpSettings, SmtpSettingsError, SmtpTimeouts, SmtpTransport};
pub use template::{Html, Part, Template, TemplateError, TemplateSource, Templates, default_source};
pub use transport::{Answer, Delivery, Moment, Outcome, Transport, Trouble};
pub use words::Language;
