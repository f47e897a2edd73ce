//! What CalDAV servers are asked at most. They do not say; this is what one that shares a small machine bears.

use std::num::NonZeroU32;

use agentcal_engine::limits::{ProviderLimits, Rate};
use agentcal_engine::ports::Credentials;
use url::Url;

/// Questions to one server in a minute, for all who have calendars there, and at once.
const SERVER: (u32, u32) = (30_000, 2_000);
/// Questions with one login in a minute, and at once.
const LOGIN: (u32, u32) = (1_200, 300);
/// Questions with one login under way.
const LOGIN_AT_ONCE: NonZeroU32 = NonZeroU32::new(6).expect("six is not zero");

pub(crate) fn limits(credentials: &Credentials) -> ProviderLimits {
    let server_url = match credentials {
        Credentials::CaldavBasic { server_url, .. } | Credentials::CaldavBearer { server_url, .. } => server_url,
        Credentials::Sandbox { .. } | Credentials::Oauth(_) => return ProviderLimits::default(),
    };
    ProviderLimits {
        client: Some((server_of(server_url), Rate::per_minute(SERVER.0, SERVER.1))),
        mailbox: Some(Rate::per_minute(LOGIN.0, LOGIN.1)),
        mailbox_at_once: Some(LOGIN_AT_ONCE),
    }
}

/// The name by which a server counts as the same: the host, or an address' domain.
fn server_of(server_url: &str) -> String {
    let host = Url::parse(server_url).ok().and_then(|url| url.host_str().map(str::to_lowercase));
    host.unwrap_or_else(|| server_url.rsplit('@').next().unwrap_or(server_url).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_on_one_server_share_its_name() {
        let check = |server_url: &str, expected: &str| {
            let (username, password) = ("u".to_owned(), "p".to_owned());
            let basic = Credentials::CaldavBasic { server_url: server_url.to_owned(), username, password };
            let bearer = Credentials::CaldavBearer { server_url: server_url.to_owned(), token: "t".to_owned() };
            for credentials in [basic, bearer] {
                assert_eq!(limits(&credentials).client.map(|(name, _)| name).as_deref(), Some(expected));
            }
        };
        check("https://dav.example/users/a", "dav.example");
        check("https://DAV.example:8443/", "dav.example");
        check("sarah@Example.org", "example.org");
        check("example.org", "example.org");
        assert_eq!(limits(&Credentials::Sandbox { seed: 1 }), ProviderLimits::default());
    }
}
