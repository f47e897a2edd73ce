//! The port mails leave by, and what becomes of them.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use crate::address::Address;
use crate::message::Mail;

/// Longest text of an answer that is kept, in characters.
const ANSWER_CHARS_MAX: usize = 300;

/// Takes mails out of the house.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a mail once and says what became of it, for each recipient. Never fails as a whole, and ends in bounded time.
    async fn send(&self, mail: &Mail) -> Vec<Delivery>;
}

/// What became of a mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The recipient.
    pub recipient: Address,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it, and has to report from now on.
    Delivered(Answer),
    /// The server will never take it for this recipient.
    Refused(Answer),
    /// Not this time.
    Later(Trouble),
    /// The server cannot be used as it is set up. The operator has to do something; the recipient has nothing to do with it.
    Unusable(Trouble),
}

/// Why a mail was not delivered this time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The server said so.
    #[error("the server answered {0}")]
    Answered(Answer),
    /// No connection came about.
    #[error("the server cannot be reached")]
    Unreachable,
    /// It said nothing for too long.
    #[error("the server was silent for too long {0}")]
    Silent(Moment),
    /// The connection ended.
    #[error("the connection was lost {0}")]
    Lost(Moment),
    /// It said what nobody understands.
    #[error("the server's answer made no sense {0}")]
    Garbled(Moment),
    /// The whole mail was sent, and no answer came. It may have been taken: another attempt may bring it twice, under the
    /// same Message-ID.
    #[error("no answer came to the mail, which may have been taken")]
    InDoubt,
    /// The server does not offer to encrypt, and would be told a password or a name in the clear.
    #[error("the server does not offer STARTTLS")]
    NotEncrypted,
    /// It cannot prove to be who it should be, or speaks no TLS that is spoken here.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It wants to be shown who we are in a way that is not known here, or does not want to be shown.
    #[error("the server offers no way to log in that is known here")]
    NoLogin,
    /// The folder of the outbox could not be written.
    #[error("the outbox could not be written: {0}")]
    Outbox(String),
}

/// Where in the conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the server had greeted, or while it encrypted or heard who we are.
    Greeting,
    /// While it was told who sends and who receives, before the mail itself.
    Envelope,
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Greeting => "while greeting",
            Self::Envelope => "before the mail",
        })
    }
}

/// An answer of a server (RFC 5321, 4.2), as it is kept: short, and without what might be somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The three digits.
    pub code: u16,
    /// The enhanced status, such as `5.1.1` (RFC 3463), where the server gave one.
    pub status: Option<String>,
    /// The server's words, in one line, without addresses, links and whatever it put in quotes or brackets.
    pub text: String,
}

impl Answer {
    /// Reads an answer's words.
    pub(crate) fn new(code: u16, message: &str) -> Self {
        let first = message.split_whitespace().next().unwrap_or_default();
        let status = is_status(first, code).then(|| first.to_owned());
        let said = status.as_ref().map_or(message, |status| message.trim_start().trim_start_matches(status.as_str()));
        // Every line of an answer repeats its status.
        let words = said.split_whitespace().filter(|&word| Some(word) != status.as_deref());
        let text = redacted(&words.collect::<Vec<_>>().join(" "));
        Self { code, status, text: crate::text::line(&text, ANSWER_CHARS_MAX) }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code)?;
        if let Some(status) = &self.status {
            write!(formatter, " {status}")?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(formatter, " {}", self.text) }
    }
}

/// `class.subject.detail`, of the class the code is of.
fn is_status(word: &str, code: u16) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(is_number) && parts[0] == (code / 100).to_string()
}

/// What a server repeats of a mail it repeats in quotes or brackets, or as an address or a link.
fn redacted(text: &str) -> String {
    let mut kept = String::new();
    let mut closing = None;
    for character in text.chars() {
        match (closing, character) {
            (Some(end), _) if character == end => closing = None,
            (Some(_), _) => {}
            (None, '<') => closing = Some('>'),
            (None, '"') => closing = Some('"'),
            (None, '“') => closing = Some('”'),
            (None, '`') => closing = Some('`'),
            (None, _) => kept.push(character),
        }
    }
    let words = kept.split_whitespace().map(|word| if word.contains('@') || word.contains("://") { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_short_and_without_names() {
        let check = |code, message: &str, status: Option<&str>, text: &str| {
            let expected = Answer { code, status: status.map(str::to_owned), text: text.to_owned() };
            assert_eq!(Answer::new(code, message), expected, "{message}");
        };
        check(250, "2.0.0 Ok: queued as 4F1A2", Some("2.0.0"), "Ok: queued as 4F1A2");
        check(550, "5.1.1 <ada@example.com>: Recipient rejected", Some("5.1.1"), ": Recipient rejected");
        check(550, "5.1.1 The account\n5.1.1 ada@example.com is unknown", Some("5.1.1"), "The account … is unknown");
        check(554, "Message \"Ada and Grace\" has https://bad.example/x", None, "Message has …");
        check(450, "5.1.1 of another class", None, "5.1.1 of another class");
        check(421, "", None, "");
        check(550, "an \"unended quote about Ada", None, "an");
        assert_eq!(Answer::new(550, &"x ".repeat(4_000)).text.chars().count(), ANSWER_CHARS_MAX);
    }
}
