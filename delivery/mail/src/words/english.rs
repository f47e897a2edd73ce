//! English.

use super::{Labels, Words};

pub(super) const WORDS: Words = Words {
    labels: Labels {
        when: "When",
        previously: "Before",
        place: "Where",
        with: "With",
        reason: "Reason",
        manage: "See your booking",
        reschedule: "Choose another time",
        cancel: "Cancel",
        sent_by: "Sent by",
    },
    leads: ["Confirmed", "New time", "Cancelled", "Reminder"],
    attendee_headings: [
        "Your booking is confirmed",
        "Your booking has a new time",
        "Your booking was cancelled",
        "Your booking is coming up",
    ],
    host_headings: ["New booking", "A booking has a new time", "A booking was cancelled", "A booking is coming up"],
    attendee_intros: [
        "“{title}” with {with} is confirmed.",
        "“{title}” with {with} now takes place at another time.",
        "“{title}” with {with} was cancelled and will not take place.",
        "We look forward to seeing you: “{title}” with {with}.",
    ],
    host_intros: [
        "{with} booked “{title}” with you.",
        "“{title}” with {with} now takes place at another time.",
        "“{title}” with {with} was cancelled and will not take place.",
        "“{title}” with {with} is coming up.",
    ],
    greeting: "Hello {name},",
    and: "and",
    others: "{count} others",
    to: "to",
    clock_suffix: "",
    weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    date: "{weekday}, {day} {month} {year}",
    short_date: "{day} {month} {year}",
};
