//! Where providers ring.

use std::sync::Arc;

use agentcal_engine::ids::{AccountId, CalendarId};
use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::Doorbell;
use agentcal_engine::signed::{CalendarBell, SigningKeys};

/// Where providers ring, and what proves that they were asked to.
#[derive(Clone)]
pub struct Doorbells {
    /// Without a slash at its end.
    public_url: String,
    signing: Arc<SigningKeys>,
}

impl Doorbells {
    /// Doorbells at the address callers reach the api at; none where providers would not ring there. They ring over https
    /// alone; `to_loopback`: and over http on this machine, where they are stand-ins of the same machine.
    pub fn at(public_url: &str, to_loopback: bool, signing: Arc<SigningKeys>) -> Option<Self> {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let rings = public_url.starts_with("https://") || (to_loopback && is_on_this_machine(&public_url));
        rings.then_some(Self { public_url, signing })
    }

    /// Where a provider of this kind rings; `None` for those that never do.
    pub(crate) fn url(&self, kind: ProviderKind) -> Option<String> {
        Self::route(kind).map(|route| format!("{}/v1/notifications/{route}", self.public_url))
    }

    /// The last part of the address a provider of this kind rings at.
    pub(crate) fn route(kind: ProviderKind) -> Option<&'static str> {
        match kind {
            ProviderKind::Google => Some("google"),
            ProviderKind::Microsoft => Some("microsoft"),
            ProviderKind::Sandbox | ProviderKind::Caldav | ProviderKind::Internal => None,
        }
    }

    /// A calendar's doorbell.
    pub(crate) fn of(&self, kind: ProviderKind, account_id: AccountId, calendar_id: CalendarId) -> Option<Doorbell> {
        let secret = CalendarBell { account_id, calendar_id }.token(&self.signing);
        self.url(kind).map(|url| Doorbell { url, secret })
    }
}

fn is_on_this_machine(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with(':') || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentcal_engine::ids::{AccountId, CalendarId};
    use agentcal_engine::signed::SIGNING_KEY_LEN;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    fn keys() -> Arc<SigningKeys> {
        Arc::new(SigningKeys::new(Zeroizing::new([7; SIGNING_KEY_LEN]), []))
    }

    #[test]
    fn providers_ring_where_they_can() {
        let check = |public_url, expected: [bool; 2]| {
            let rings = [false, true].map(|to_loopback| Doorbells::at(public_url, to_loopback, keys()).is_some());
            assert_eq!(rings, expected, "{public_url}");
        };
        check("https://cal.example.com", [true, true]);
        check("http://127.0.0.1:8080", [false, true]);
        check("http://localhost/", [false, true]);
        check("http://[::1]:80", [false, true]);
        check("http://localhost.example.com", [false, false]);
        check("http://127.0.0.1.example.com:80", [false, false]);
        check("http://cal.example.com", [false, false]);
        check("", [false, false]);
    }

    #[test]
    fn a_doorbell_names_its_calendar_by_a_signature() {
        let doorbells = Doorbells::at("https://cal.example.com/", false, keys()).expect("https");
        let (account_id, calendar_id) =
            (AccountId::from_uuid(Uuid::from_u128(1)), CalendarId::from_uuid(Uuid::from_u128(2)));
        let doorbell = doorbells.of(ProviderKind::Microsoft, account_id, calendar_id).expect("it rings");
        assert_eq!(doorbell.url, "https://cal.example.com/v1/notifications/microsoft");
        let bell = CalendarBell::verify(&doorbell.secret, &keys());
        assert_eq!(bell, Some(CalendarBell { account_id, calendar_id }));
        assert!(doorbells.of(ProviderKind::Caldav, account_id, calendar_id).is_none());
    }
}
