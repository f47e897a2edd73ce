//! Google and Microsoft 365: where they are, who we are to them, and where browsers go when they come back from them.

use agentcal_engine::oauth::{RedirectRefusal, RedirectUrl};
use agentcal_engine::ports::OauthClient;
use agentcal_provider_google::API_URL;
use agentcal_provider_microsoft::GRAPH_URL;
use agentcal_provider_oauth::{
    GOOGLE_CONSENT_URL, GOOGLE_OAUTH_URL, MICROSOFT_LOGIN_URL, MICROSOFT_TENANT, OauthOptions,
};
use serde::Deserialize;
use url::{Host, Url};

use super::error::Problem;
use super::secret::SecretText;
use super::settings::{
    GOOGLE_API_ADDRESS, GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, GOOGLE_CONSENT_ADDRESS, GOOGLE_OAUTH_ADDRESS,
    MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET, MICROSOFT_GRAPH_ADDRESS, MICROSOFT_LOGIN_ADDRESS,
    MICROSOFT_TENANT_NAME, OAUTH_ALLOW_LOOPBACK, OAUTH_REDIRECT_URLS, Setting,
};

/// Google, Microsoft 365, and their identity servers.
#[derive(Clone, Debug)]
pub(crate) struct VendorsConfig {
    /// Where Google's API is.
    pub(crate) google_api_url: Url,
    /// Where Microsoft Graph is, version included.
    pub(crate) microsoft_graph_url: Url,
    /// The identity servers.
    pub(crate) oauth: OauthOptions,
    /// Addresses that browsers may come back to, whatever organization sent them.
    pub(crate) redirect_urls: Vec<RedirectUrl>,
}

/// Google's own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGoogle {
    client_id: Option<String>,
    client_secret: Option<SecretText>,
    api_url: Option<String>,
    consent_url: Option<String>,
    oauth_url: Option<String>,
}

/// Microsoft's own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMicrosoft {
    client_id: Option<String>,
    client_secret: Option<SecretText>,
    tenant: Option<String>,
    graph_url: Option<String>,
    login_url: Option<String>,
}

/// What concerns both.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    allow_loopback: bool,
    redirect_urls: Option<String>,
}

/// Collects what is wrong, so that everything is told at once.
struct Check {
    allow_loopback: bool,
    problems: Vec<Problem>,
}

/// That of `agentcal serve`; `in_dev`, plain http may lead to this machine without being asked for.
pub(super) fn check(
    google: &RawGoogle,
    microsoft: &RawMicrosoft,
    both: &Raw,
    in_dev: bool,
) -> Result<VendorsConfig, Vec<Problem>> {
    let mut check = Check { allow_loopback: in_dev || both.allow_loopback, problems: Vec::new() };
    let config = VendorsConfig {
        google_api_url: check.address(GOOGLE_API_ADDRESS, google.api_url.as_deref(), API_URL),
        microsoft_graph_url: check.address(MICROSOFT_GRAPH_ADDRESS, microsoft.graph_url.as_deref(), GRAPH_URL),
        oauth: OauthOptions {
            google_consent_url: check.address(
                GOOGLE_CONSENT_ADDRESS,
                google.consent_url.as_deref(),
                GOOGLE_CONSENT_URL,
            ),
            google_oauth_url: check.address(GOOGLE_OAUTH_ADDRESS, google.oauth_url.as_deref(), GOOGLE_OAUTH_URL),
            google_client: check.client(
                [GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET],
                google.client_id.as_deref(),
                google.client_secret.as_ref(),
            ),
            microsoft_login_url: check.address(
                MICROSOFT_LOGIN_ADDRESS,
                microsoft.login_url.as_deref(),
                MICROSOFT_LOGIN_URL,
            ),
            microsoft_tenant: check.tenant(microsoft.tenant.as_deref()),
            microsoft_client: check.client(
                [MICROSOFT_CLIENT_ID, MICROSOFT_CLIENT_SECRET],
                microsoft.client_id.as_deref(),
                microsoft.client_secret.as_ref(),
            ),
        },
        redirect_urls: check.redirects(both.redirect_urls.as_deref()),
    };
    if check.problems.is_empty() { Ok(config) } else { Err(check.problems) }
}

impl Check {
    /// An address said, else the vendor's.
    fn address(&mut self, setting: Setting, said: Option<&str>, default: &str) -> Url {
        let vendors = Url::parse(default).expect("a vendor's address is a literal");
        let Some(text) = said.filter(|text| !text.is_empty()) else { return vendors };
        let plain = |url: &Url| url.has_host() && url.query().is_none() && url.fragment().is_none();
        match Url::parse(text).ok().filter(plain) {
            Some(url) if url.scheme() == "https" => url,
            Some(url) if url.scheme() == "http" && is_loopback(&url) => {
                if !self.allow_loopback {
                    let says = format!("is on this machine; set {} too", OAUTH_ALLOW_LOOPBACK.variable);
                    self.problems.push(Problem::of(setting, says));
                }
                url
            }
            _ => {
                let says = format!("must be an https address, as in {default}; http leads to this machine alone");
                self.problems.push(Problem::of(setting, says));
                vendors
            }
        }
    }

    fn client(&mut self, settings: [Setting; 2], id: Option<&str>, secret: Option<&SecretText>) -> Option<OauthClient> {
        let [id_setting, secret_setting] = settings;
        let id = id.map(str::trim).filter(|id| !id.is_empty());
        match (id, secret.and_then(SecretText::said)) {
            (None, None) => None,
            (Some(id), Some(secret)) => {
                Some(OauthClient { client_id: id.to_owned(), client_secret: secret.to_owned() })
            }
            (Some(_), None) => {
                let says = format!("must be set, as {} is", id_setting.variable);
                self.problems.push(Problem::of(secret_setting, says));
                None
            }
            (None, Some(_)) => {
                let says = format!("must be set, as {} is", secret_setting.variable);
                self.problems.push(Problem::of(id_setting, says));
                None
            }
        }
    }

    fn tenant(&mut self, said: Option<&str>) -> String {
        let tenant = said.filter(|text| !text.is_empty()).unwrap_or(MICROSOFT_TENANT);
        let is_fine =
            tenant.len() <= 255 && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        if !is_fine {
            let says = "must be a tenant's id or domain, `organizations`, `consumers` or `common`";
            self.problems.push(Problem::of(MICROSOFT_TENANT_NAME, says));
        }
        tenant.to_owned()
    }

    fn redirects(&mut self, said: Option<&str>) -> Vec<RedirectUrl> {
        let texts = said.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
        let read: Result<Vec<_>, RedirectRefusal> = texts.map(RedirectUrl::parse).collect();
        read.unwrap_or_else(|refusal| {
            let says = format!("must be addresses with commas between, of which one {refusal}");
            self.problems.push(Problem::of(OAUTH_REDIRECT_URLS, says));
            Vec::new()
        })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn google(client_id: &str, client_secret: &str, api_url: &str) -> RawGoogle {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        RawGoogle {
            client_id: said(client_id),
            client_secret: said(client_secret).map(SecretText::from),
            api_url: said(api_url),
            ..RawGoogle::default()
        }
    }

    #[test]
    fn the_vendors_are_where_they_are() {
        let config =
            check(&RawGoogle::default(), &RawMicrosoft::default(), &Raw::default(), false).expect("nothing said");
        assert_eq!(config.google_api_url.as_str(), API_URL);
        assert_eq!(config.microsoft_graph_url.as_str(), GRAPH_URL);
        assert_eq!((config.oauth.google_client, config.oauth.microsoft_client), (None, None));
        assert_eq!(config.oauth.microsoft_tenant, "common");
    }

    #[test]
    fn what_is_wrong_is_named_with_the_way_out() {
        let refused = |google: &RawGoogle, both: &Raw, expected: &[&str]| {
            let problems = check(google, &RawMicrosoft::default(), both, false).expect_err("a refusal");
            let said: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            for expected in expected {
                assert!(said.contains(expected), "{said} does not say {expected}");
            }
        };
        let plain = Raw::default();
        refused(&google("id", "", ""), &plain, &["AGENTCAL_GOOGLE_CLIENT_SECRET", "AGENTCAL_GOOGLE_CLIENT_ID"]);
        refused(&google("", "secret", ""), &plain, &["AGENTCAL_GOOGLE_CLIENT_ID"]);
        refused(&google("", "", "http://127.0.0.1:1/"), &plain, &["AGENTCAL_GOOGLE_API_URL", "ALLOW_LOOPBACK"]);
        let open = Raw { allow_loopback: true, ..Raw::default() };
        refused(&google("", "", "http://calendar.example/"), &open, &["AGENTCAL_GOOGLE_API_URL", "https"]);
        let listed = Raw { redirect_urls: Some("https://a.example/x, ftp://b".to_owned()), ..Raw::default() };
        refused(&google("", "", ""), &listed, &["AGENTCAL_OAUTH_REDIRECT_URLS", "https"]);
    }

    #[test]
    fn this_machine_is_spoken_to_where_the_operator_says_so() {
        let on_this_machine = google("", "", "http://127.0.0.1:8090/");
        let open = Raw { allow_loopback: true, ..Raw::default() };
        for (both, in_dev) in [(&open, false), (&Raw::default(), true)] {
            let config = check(&on_this_machine, &RawMicrosoft::default(), both, in_dev).expect("allowed");
            assert_eq!(config.google_api_url.as_str(), "http://127.0.0.1:8090/");
        }
    }
}
