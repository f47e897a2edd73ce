//! What reports say, by language.

use crate::words::Language;

/// One language.
pub(super) struct Words {
    pub(super) lead: &'static str,
    pub(super) heading: &'static str,
    pub(super) intro_gone: &'static str,
    pub(super) intro_failing: &'static str,
    /// Address, webhook, off since, failing since, last answer.
    pub(super) labels: [&'static str; 5],
    pub(super) no_answer: &'static str,
    pub(super) advice: &'static str,
    pub(super) outro: &'static str,
}

pub(super) fn of(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

const ENGLISH: Words = Words {
    lead: "Webhook switched off",
    heading: "A webhook was switched off",
    intro_gone: "One of your webhooks answered that it is gone (410). Nothing is sent to it any more.",
    intro_failing: "One of your webhooks did nothing but fail for five days. Nothing is sent to it any more.",
    labels: ["Address", "Webhook", "Off since", "Failing since", "Last answer"],
    no_answer: "none",
    advice: "When it takes messages again, switch it on, and have sent again what was given up:",
    outro: "What happens while it is off is not kept for it.",
};

const GERMAN: Words = Words {
    lead: "Webhook abgeschaltet",
    heading: "Ein Webhook wurde abgeschaltet",
    intro_gone: "Einer Ihrer Webhooks hat geantwortet, dass es ihn nicht mehr gibt (410). Er bekommt nichts mehr gesendet.",
    intro_failing: "Einer Ihrer Webhooks ist fünf Tage lang nur fehlgeschlagen. Er bekommt nichts mehr gesendet.",
    labels: ["Adresse", "Webhook", "Aus seit", "Fehler seit", "Letzte Antwort"],
    no_answer: "keine",
    advice: "Wenn er wieder Nachrichten annimmt, schalten Sie ihn ein und lassen Sie noch einmal senden, was aufgegeben wurde:",
    outro: "Was geschieht, solange er aus ist, wird nicht für ihn aufgehoben.",
};
