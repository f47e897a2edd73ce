//! What an organization is told of its own affairs, which are no booking's: in the same letter, without an invitation.

mod words;

use agentcal_engine::time::{HOUR_US, Timestamp};
use lettre::message::Message;
use serde::Serialize;
use url::Url;

use crate::color::Color;
use crate::message::{Mail, Shown, body, date, header, mailbox, short_hash, subject};
use crate::notice::{Branding, Contact};
use crate::sender::Sender;
use crate::template::{Rendered, render_report};
use crate::text::{NAME_CHARS_MAX, PROSE_CHARS_MAX, line};
use crate::view::{Colors, colors};
use crate::words::Language;

/// Something an organization should know of. Nothing in it needs to be clean.
#[derive(Clone, Debug)]
pub struct Report {
    /// What no other report is called: another attempt at this one has the same Message-ID.
    pub id: String,
    /// What happened.
    pub event: ReportEvent,
    /// Who reads it.
    pub reader: Contact,
    /// In which language.
    pub language: Language,
    /// How it looks.
    pub branding: Branding,
    /// When it happened: the mail's date.
    pub at: Timestamp,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportEvent {
    /// A webhook is not sent to any more.
    WebhookDisabled {
        /// Its id.
        webhook_id: String,
        /// Where it is.
        url: String,
        /// Whether it said itself that it is gone; else it did nothing but fail for days.
        is_gone: bool,
        /// Since when it failed.
        failing_since: Timestamp,
        /// What it answered last, if it answered.
        last_status: Option<u16>,
        /// Where the API is, without a slash at the end.
        api_url: String,
    },
}

/// Composes the mail of a report. The same values give the same bytes.
pub fn compose_report(report: &Report, sender: &Sender) -> Mail {
    let rendered = render_report(&View::of(report));
    let message_id = format!("{}@{}", short_hash(&format!("report\n{}", report.id)), sender.address.domain());
    let bytes = message(report, sender, &rendered, &message_id).formatted();
    Mail {
        message_id,
        from: sender.address.clone(),
        to: vec![report.reader.address.clone()],
        at: report.at.clamped(),
        shown: Shown { subject: rendered.subject, text: rendered.text, html: rendered.html },
        invitation: None,
        bytes,
    }
}

fn message(report: &Report, sender: &Sender, rendered: &Rendered, message_id: &str) -> Message {
    let from = Contact { name: report.branding.organization.clone(), address: sender.address.clone() };
    Message::builder()
        .from(mailbox(&from))
        .to(mailbox(&report.reader))
        .raw_header(subject(&rendered.subject))
        .date(date(report.at))
        .message_id(Some(format!("<{message_id}>")))
        .raw_header(header("X-Auto-Response-Suppress", "OOF, AutoReply"))
        .raw_header(header("Content-Language", report.language.tag()))
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .multipart(body(rendered, None, message_id))
        .expect("it has a sender and a recipient")
}

/// A report as its letter sees it.
#[derive(Clone, Debug, Serialize)]
struct View {
    language: &'static str,
    lead: &'static str,
    /// What the subject names.
    topic: String,
    heading: &'static str,
    greeting: String,
    intro: &'static str,
    rows: Vec<Row>,
    /// What comes before the steps.
    advice: &'static str,
    /// What to do: requests, each in a line of its own.
    steps: Vec<String>,
    outro: &'static str,
    organization: String,
    sent_by: &'static str,
    logo_url: String,
    colors: Colors,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    label: &'static str,
    value: String,
}

impl View {
    fn of(report: &Report) -> Self {
        let (words, general) = (words::of(report.language), report.language.words());
        let ReportEvent::WebhookDisabled { webhook_id, url, is_gone, failing_since, last_status, api_url } =
            &report.event;
        let logo_url = report.branding.logo_url.as_ref().filter(|url| url.scheme() == "https");
        // What failed first had happened before it failed.
        let replay_since = instant(failing_since.plus_micros(-HOUR_US));
        let status = last_status.map_or(words.no_answer.to_owned(), |status| status.to_string());
        let values =
            [line(url, PROSE_CHARS_MAX), webhook_id.clone(), instant(report.at), instant(*failing_since), status];
        Self {
            language: report.language.tag(),
            lead: words.lead,
            topic: line(host(url), NAME_CHARS_MAX),
            heading: words.heading,
            greeting: general.greeting(&line(&report.reader.name, NAME_CHARS_MAX)),
            intro: if *is_gone { words.intro_gone } else { words.intro_failing },
            rows: words.labels.into_iter().zip(values).map(|(label, value)| Row { label, value }).collect(),
            advice: words.advice,
            steps: vec![
                format!("PATCH {api_url}/v1/webhooks/{webhook_id} {{\"enabled\": true}}"),
                format!("POST {api_url}/v1/webhooks/{webhook_id}/replay {{\"since\": \"{replay_since}\"}}"),
            ],
            outro: words.outro,
            organization: line(&report.branding.organization, NAME_CHARS_MAX),
            sent_by: general.labels().sent_by,
            logo_url: logo_url.map_or(String::new(), Url::to_string),
            colors: colors(report.branding.accent.unwrap_or(Color::DEFAULT)),
        }
    }
}

/// The host an address names.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// As requests and logs have it, so that it can be looked for there.
fn instant(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
