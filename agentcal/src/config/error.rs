//! What is wrong with a configuration, and the way out. Never repeats a value: it may be a secret in the wrong place.

use std::fmt;
use std::path::PathBuf;

use figment::error::Kind;

use super::settings::{SETTINGS, Setting};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where: both names of the setting, or the name that is none.
    place: String,
    /// What, and what to do.
    says: String,
}

impl Problem {
    pub(crate) fn of(setting: Setting, says: impl Into<String>) -> Self {
        Self { place: names(setting), says: says.into() }
    }

    pub(crate) fn unknown_variable(name: &str) -> Self {
        let known: Vec<_> = SETTINGS.iter().map(|setting| setting.variable).collect();
        Self { place: name.to_owned(), says: format!("there is no such setting; there are {}", known.join(", ")) }
    }

    fn of_figment(error: &figment::Error) -> Self {
        let path = error.path.join(".");
        let found = SETTINGS.iter().find(|setting| path == format!("{}.{}", setting.section, setting.key));
        let place = found.map_or_else(|| format!("`{path}` in the file"), |setting| names(*setting));
        match &error.kind {
            Kind::UnknownField(name, expected) => {
                let place = if path.ends_with(name.as_str()) { path } else { format!("{path}.{name}") };
                let says = format!("there is no such setting; here there are {}", expected.join(", "));
                Self { place: format!("`{place}` in the file"), says }
            }
            Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                Self { place, says: format!("must be {expected}") }
            }
            // A text of the file's own parser; it names a line and shows no other.
            Kind::Message(text) if path.is_empty() => Self { place: "the file".to_owned(), says: text.clone() },
            _ => Self { place, says: "cannot be read as what it should be".to_owned() },
        }
    }
}

fn names(setting: Setting) -> String {
    format!("{} ({}.{} in the file)", setting.variable, setting.section, setting.key)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.says)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file that was named is not there.
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    /// Everything that is wrong, all at once.
    #[error("the configuration cannot be used:{}", list(.0))]
    Problems(Vec<Problem>),
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self::Problems(error.into_iter().map(|error| Problem::of_figment(&error)).collect())
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
