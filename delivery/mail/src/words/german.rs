//! German.

use super::{Labels, Words};

pub(super) const WORDS: Words = Words {
    labels: Labels {
        when: "Wann",
        previously: "Bisher",
        place: "Wo",
        with: "Mit",
        reason: "Grund",
        manage: "Termin ansehen",
        reschedule: "Anderen Termin wählen",
        cancel: "Absagen",
        sent_by: "Gesendet von",
    },
    leads: ["Bestätigt", "Neue Zeit", "Abgesagt", "Erinnerung"],
    attendee_headings: [
        "Ihr Termin ist bestätigt",
        "Ihr Termin wurde verschoben",
        "Ihr Termin wurde abgesagt",
        "Ihr Termin steht bevor",
    ],
    host_headings: [
        "Neuer Termin",
        "Ein Termin wurde verschoben",
        "Ein Termin wurde abgesagt",
        "Ein Termin steht bevor",
    ],
    attendee_intros: [
        "„{title}“ mit {with} ist bestätigt.",
        "„{title}“ mit {with} findet nun zu einer anderen Zeit statt.",
        "„{title}“ mit {with} wurde abgesagt und findet nicht statt.",
        "Wir freuen uns auf Sie: „{title}“ mit {with}.",
    ],
    host_intros: [
        "Neue Buchung: „{title}“ mit {with}.",
        "„{title}“ mit {with} findet nun zu einer anderen Zeit statt.",
        "„{title}“ mit {with} wurde abgesagt und findet nicht statt.",
        "„{title}“ mit {with} steht bevor.",
    ],
    greeting: "Guten Tag {name},",
    and: "und",
    others: "{count} weitere",
    to: "bis",
    clock_suffix: " Uhr",
    weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    date: "{weekday}, {day}. {month} {year}",
    short_date: "{day}. {month} {year}",
};
