//! Helpers, and one file per subject.

mod bookings;
mod conferences;
mod counted;
mod crashes;
mod external;
mod followups;
mod holds;
mod limits;
mod mailer;
mod provider;
mod sender;
mod spot_checks;
mod stage;
mod syncs;
mod watches;
mod webhooks;

pub(crate) use counted::CountedStore;
pub(crate) use mailer::ScriptedMailer;
pub(crate) use provider::ScriptedProvider;
pub(crate) use sender::ScriptedSender;
pub(crate) use stage::{Stage, Terms, hours, wait_for, wait_long_for};
