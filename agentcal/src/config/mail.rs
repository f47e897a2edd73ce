//! How mails leave, and from whom.

use std::path::PathBuf;

use agentcal_delivery_mail::{Address, SmtpSettings};
use serde::Deserialize;

use super::error::Problem;
use super::secret::SecretText;
use super::settings::{MAIL_FROM, SMTP_AUTHORITY, SMTP_URL};

/// Who mails of `agentcal dev` are from: a domain that is nobody's (RFC 2606).
const FROM_IN_DEV: &str = "calendar@agentcal.invalid";

/// How mails leave.
#[derive(Clone, Debug)]
pub(crate) struct MailConfig {
    /// The server mails of live accounts go to; `None`: they get none.
    pub(crate) smtp: Option<SmtpSettings>,
    /// The folder mails of test accounts go to; `None`: they get none.
    pub(crate) outbox: Option<PathBuf>,
    /// Who they are from.
    pub(crate) from: Address,
    /// Whether live accounts' mails go to the folder, too.
    pub(crate) is_dev: bool,
}

impl MailConfig {
    /// That of `agentcal dev`: everything goes into a folder.
    ///
    /// # Panics
    /// Never: its sender is an address.
    pub(crate) fn in_dev(outbox: PathBuf) -> Self {
        let from = FROM_IN_DEV.parse().expect("an address");
        Self { smtp: None, outbox: Some(outbox), from, is_dev: true }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    smtp_url: Option<SecretText>,
    smtp_authority: Option<PathBuf>,
    from: Option<String>,
    outbox: Option<PathBuf>,
}

impl Raw {
    /// How mails leave; `None`: not at all.
    pub(super) fn check(&self) -> Result<Option<MailConfig>, Vec<Problem>> {
        let smtp = self.smtp();
        let from = self.from();
        let outbox = self.outbox.clone().filter(|folder| !folder.as_os_str().is_empty());
        match (smtp, from) {
            (Ok(None), Ok(_)) if outbox.is_none() => Ok(None),
            (Ok(_), Ok(None)) => Err(vec![Problem::of(MAIL_FROM, NO_FROM)]),
            (Ok(smtp), Ok(Some(from))) => {
                let smtp = smtp.map(|mut smtp| {
                    from.domain().clone_into(&mut smtp.hello_name);
                    smtp
                });
                Ok(Some(MailConfig { smtp, outbox, from, is_dev: false }))
            }
            (smtp, from) => Err([smtp.err(), from.err()].into_iter().flatten().collect()),
        }
    }

    fn smtp(&self) -> Result<Option<SmtpSettings>, Problem> {
        let Some(url) = self.smtp_url.as_ref().and_then(SecretText::said) else { return Ok(None) };
        let mut settings = SmtpSettings::parse(url).map_err(|error| Problem::of(SMTP_URL, error.to_string()))?;
        let authority = self.smtp_authority.as_deref().filter(|path| !path.as_os_str().is_empty());
        let authority = authority.map(std::fs::read).transpose();
        let authority = authority.map_err(|error| Problem::of(SMTP_AUTHORITY, format!("cannot be read: {error}")))?;
        settings.authority = authority;
        Ok(Some(settings))
    }

    fn from(&self) -> Result<Option<Address>, Problem> {
        let Some(text) = self.from.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| Problem::of(MAIL_FROM, format!("{error}; as in calendar@example.com")))
    }
}

const NO_FROM: &str = "is not set; mails need an address they come from, as in calendar@example.com, and reports of what \
                       could not be delivered go there";

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(smtp_url: &str, from: &str, outbox: &str) -> Raw {
        let outbox = (!outbox.is_empty()).then(|| outbox.into());
        Raw { smtp_url: Some(smtp_url.to_owned().into()), from: Some(from.into()), outbox, smtp_authority: None }
    }

    #[test]
    fn mails_leave_where_it_is_said_and_from_whom() {
        assert!(raw("", "", "").check().expect("fine").is_none());
        assert!(raw("", "calendar@example.com", "").check().expect("fine").is_none());
        let config = raw("smtps://u:p@mail.example.com", "calendar@example.com", "/tmp/out").check();
        let config = config.expect("fine").expect("a way");
        let smtp = config.smtp.expect("a server");
        assert_eq!(
            (smtp.hello_name.as_str(), config.from.to_string().as_str()),
            ("example.com", "calendar@example.com")
        );
        assert_eq!(config.outbox.as_deref(), Some(std::path::Path::new("/tmp/out")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |raw: Raw, expected: &str| {
            let said = raw.check().expect_err("wrong").iter().map(ToString::to_string).collect::<String>();
            assert!(said.contains(expected), "{said}");
        };
        check(raw("smtps://mail.example.com", "", ""), "AGENTCAL_MAIL_FROM");
        check(raw("", "", "/tmp/out"), "AGENTCAL_MAIL_FROM");
        check(raw("", "nobody", "/tmp/out"), "calendar@example.com");
        check(raw("http://mail.example.com", "a@example.com", ""), "AGENTCAL_SMTP_URL");
        let missing = Raw {
            smtp_authority: Some("/nowhere/ca.pem".into()),
            ..raw("smtps://mail.example.com", "a@b.example", "")
        };
        check(missing, "AGENTCAL_SMTP_AUTHORITY");
    }
}
