//! The body that connects.

use agentcal_engine::model::ProviderKind;
use agentcal_engine::ports::{Credentials, Entropy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::checks::Checks;
use crate::error::{ApiError, FieldCode};

/// Longest address of a server.
const URL_LEN_MAX: usize = 2_048;
/// Longest user name, password or token.
const SECRET_LEN_MAX: usize = 4_096;

/// A provider that is connected without OAuth.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectionProvider)]
pub(super) enum ProviderWire {
    /// A CalDAV server.
    Caldav,
    /// Calendars inside this program, for trying things out.
    Sandbox,
}

/// Calendars to connect.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewConnection {
    /// The provider. `sandbox` takes no other field.
    provider: ProviderWire,
    /// Where to find the server: a URL, or a mail domain or address.
    #[schema(min_length = 1, max_length = 2048, example = "https://caldav.example.com/")]
    server_url: Option<String>,
    /// User name at the server.
    #[schema(min_length = 1, max_length = 4096)]
    username: Option<String>,
    /// Password at the server; often an app password.
    #[schema(min_length = 1, max_length = 4096, format = Password)]
    password: Option<String>,
    /// A bearer token, in place of user name and password.
    #[schema(min_length = 1, max_length = 4096, format = Password)]
    token: Option<String>,
}

impl NewConnection {
    pub(super) fn read(&self, entropy: &dyn Entropy) -> Result<(ProviderKind, Credentials), ApiError> {
        let mut checks = Checks::default();
        let (kind, credentials) = match self.provider {
            ProviderWire::Sandbox => (ProviderKind::Sandbox, self.sandbox(entropy, &mut checks)),
            ProviderWire::Caldav => (ProviderKind::Caldav, self.caldav(&mut checks)),
        };
        checks.finish().map(|()| (kind, credentials))
    }

    fn sandbox(&self, entropy: &dyn Entropy, checks: &mut Checks) -> Credentials {
        let sent = [
            ("server_url", &self.server_url),
            ("username", &self.username),
            ("password", &self.password),
            ("token", &self.token),
        ];
        for (field, _) in sent.iter().filter(|(_, value)| value.is_some()) {
            checks.refuse(field, FieldCode::NotTogether, "must be left out for the provider `sandbox`");
        }
        let mut seed = [0u8; 8];
        entropy.fill(&mut seed);
        Credentials::Sandbox { seed: u64::from_be_bytes(seed) }
    }

    fn caldav(&self, checks: &mut Checks) -> Credentials {
        let server_url = required(checks, "server_url", self.server_url.as_deref(), URL_LEN_MAX);
        if let Some(token) = &self.token {
            for (field, value) in [("username", &self.username), ("password", &self.password)] {
                if value.is_some() {
                    checks.refuse(field, FieldCode::NotTogether, "must be left out where a `token` is sent");
                }
            }
            let token = checks.text("token", token, SECRET_LEN_MAX);
            return Credentials::CaldavBearer { server_url, token };
        }
        let username = required(checks, "username", self.username.as_deref(), SECRET_LEN_MAX);
        let password = required(checks, "password", self.password.as_deref(), SECRET_LEN_MAX);
        Credentials::CaldavBasic { server_url, username, password }
    }
}

fn required(checks: &mut Checks, field: &str, value: Option<&str>, len_max: usize) -> String {
    let Some(value) = value else {
        checks.required(field);
        return String::new();
    };
    checks.text(field, value, len_max)
}
