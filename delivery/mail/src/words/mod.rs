//! What mails say that nobody else wrote, by language.

mod english;
mod german;
mod times;

use serde::Serialize;

use crate::notice::{NoticeKind, ReaderRole};

pub(crate) use times::{When, when};

/// A language mails can be read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// English, where no other is known.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language of a tag such as `de-AT` (RFC 5646), if it is one of these.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.tag() == primary)
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &english::WORDS,
            Self::German => &german::WORDS,
        }
    }
}

/// One language. What stands in braces is filled in.
pub(crate) struct Words {
    labels: Labels,
    /// Before the subject, by kind.
    leads: [&'static str; 4],
    /// Headings for the attendee, by kind.
    attendee_headings: [&'static str; 4],
    /// Headings for a host, by kind.
    host_headings: [&'static str; 4],
    /// First sentences for the attendee, by kind: `{title}` and `{with}`.
    attendee_intros: [&'static str; 4],
    /// First sentences for a host, by kind.
    host_intros: [&'static str; 4],
    greeting: &'static str,
    and: &'static str,
    others: &'static str,
    /// What stands between two times.
    to: &'static str,
    /// After times of day.
    clock_suffix: &'static str,
    weekdays: [&'static str; 7],
    months: [&'static str; 12],
    /// A date: `{weekday}`, `{day}`, `{month}`, `{year}`.
    date: &'static str,
    short_date: &'static str,
}

/// Names of the rows and buttons of a mail.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Labels {
    pub(crate) when: &'static str,
    pub(crate) previously: &'static str,
    #[serde(rename = "where")]
    pub(crate) place: &'static str,
    pub(crate) with: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) manage: &'static str,
    pub(crate) reschedule: &'static str,
    pub(crate) cancel: &'static str,
    pub(crate) sent_by: &'static str,
}

/// Most people the first sentence names.
const NAMED_MAX: usize = 3;

impl Words {
    pub(crate) fn labels(&self) -> Labels {
        self.labels
    }

    pub(crate) fn lead(&self, kind: NoticeKind) -> &'static str {
        self.leads[kind as usize]
    }

    pub(crate) fn heading(&self, kind: NoticeKind, role: ReaderRole) -> &'static str {
        match role {
            ReaderRole::Attendee => self.attendee_headings[kind as usize],
            ReaderRole::Host => self.host_headings[kind as usize],
        }
    }

    pub(crate) fn intro(&self, kind: NoticeKind, role: ReaderRole, title: &str, with: &[String]) -> String {
        let pattern = match role {
            ReaderRole::Attendee => self.attendee_intros[kind as usize],
            ReaderRole::Host => self.host_intros[kind as usize],
        };
        filled(pattern, &[("{title}", title), ("{with}", &self.enumerated(with))])
    }

    pub(crate) fn greeting(&self, name: &str) -> String {
        filled(self.greeting, &[("{name}", name)])
    }

    /// `Ada, Ben and Cid`, or `Ada, Ben, Cid and 4 others`.
    fn enumerated(&self, names: &[String]) -> String {
        let (named, rest) = names.split_at(names.len().min(NAMED_MAX));
        if !rest.is_empty() {
            let others = self.others.replace("{count}", &rest.len().to_string());
            return format!("{} {} {others}", named.join(", "), self.and);
        }
        match named {
            [] => "?".to_owned(),
            [one] => one.clone(),
            [several @ .., last] => format!("{} {} {last}", several.join(", "), self.and),
        }
    }
}

/// Fills a pattern in one pass, so that what is filled in is never taken for a place to fill.
fn filled(pattern: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(pattern.len() + 64);
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        let (name, value) =
            values.iter().find(|(name, _)| rest.starts_with(name)).expect("patterns name what they are given");
        text.push_str(value);
        rest = &rest[name.len()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_can_be_said() {
        for language in Language::ALL {
            for kind in NoticeKind::ALL {
                for role in [ReaderRole::Attendee, ReaderRole::Host] {
                    let with = ["Ada {title}".to_owned(), "Ben".to_owned()];
                    let intro = language.words().intro(kind, role, "Intro {with}", &with);
                    assert!(intro.contains("Intro {with}") && intro.contains("Ada {title}"), "{intro}");
                    assert!(!language.words().heading(kind, role).is_empty());
                }
            }
        }
    }

    #[test]
    fn people_are_enumerated() {
        let names: Vec<String> = ["Ada", "Ben", "Cid", "Dee", "Eve"].map(str::to_owned).into();
        let check = |count: usize, english: &str, german: &str| {
            assert_eq!(Language::English.words().enumerated(&names[..count]), english);
            assert_eq!(Language::German.words().enumerated(&names[..count]), german);
        };
        check(1, "Ada", "Ada");
        check(2, "Ada and Ben", "Ada und Ben");
        check(3, "Ada, Ben and Cid", "Ada, Ben und Cid");
        check(5, "Ada, Ben, Cid and 2 others", "Ada, Ben, Cid und 2 weitere");
    }

    #[test]
    fn tags_name_languages() {
        let check = |tag: &str, expected| assert_eq!(Language::of_tag(tag), expected, "{tag}");
        check("de", Some(Language::German));
        check("de-AT", Some(Language::German));
        check("EN_us", Some(Language::English));
        check("deu", None);
        check("fr", None);
        check("", None);
    }
}
