//! Which addresses this installation speaks to.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::{AddressClass, classify};
use crate::error::EgressError;

/// Which addresses this installation speaks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    /// This machine may be spoken to.
    pub allow_loopback: bool,
    /// RFC 1918 and unique local addresses may be spoken to.
    pub allow_private: bool,
    /// Only https. Where it is false, plain http goes to allowed loopback and private addresses, never to public ones:
    /// credentials would be readable on the way.
    pub https_only: bool,
    /// Ports that may be spoken to; none listed means any.
    pub ports: Vec<u16>,
}

impl EgressPolicy {
    /// For production: https to public addresses, on the ports CalDAV servers are commonly found at.
    pub fn production() -> Self {
        Self { allow_loopback: false, allow_private: false, https_only: true, ports: vec![443, 5232, 8443] }
    }

    /// For trying things out: as [`Self::production`], and this machine on any port, over http too.
    pub fn development() -> Self {
        Self { allow_loopback: true, allow_private: false, https_only: false, ports: Vec::new() }
    }

    /// Whether an address may be spoken to over the given scheme; the error says why not without repeating the address.
    pub(crate) fn check_address(&self, address: IpAddr, transport: Transport) -> Result<(), EgressError> {
        let allowed = match classify(address) {
            AddressClass::Public => transport == Transport::Tls,
            AddressClass::Loopback => self.allow_loopback,
            AddressClass::Private => self.allow_private,
            AddressClass::Never(_) => false,
        };
        if allowed { Ok(()) } else { Err(EgressError::AddressNotAllowed(refusal(classify(address)).to_owned())) }
    }

    /// Everything that can be checked before a name is resolved: scheme, port, and the address if the host is one.
    pub(crate) fn check_url(&self, url: &Url) -> Result<Transport, EgressError> {
        let transport = match url.scheme() {
            "https" => Transport::Tls,
            "http" if !self.https_only => Transport::Plain,
            "http" => return Err(EgressError::AddressNotAllowed("the address must begin with https://".to_owned())),
            _ => return Err(EgressError::AddressNotAllowed("the address must be an https:// URL".to_owned())),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        if !self.ports.is_empty() && !self.ports.contains(&port) {
            return Err(EgressError::AddressNotAllowed(format!("port {port} is not among the ports allowed here")));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(address.into(), transport)?,
            Some(Host::Ipv6(address)) => self.check_address(address.into(), transport)?,
            Some(Host::Domain(name)) if !name.is_empty() => {}
            _ => return Err(EgressError::AddressNotAllowed("the address has no host".to_owned())),
        }
        Ok(transport)
    }
}

/// How bytes travel; decides whether public addresses may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

fn refusal(class: AddressClass) -> &'static str {
    match class {
        AddressClass::Public => "plain http to a public address is not allowed, use https",
        AddressClass::Loopback | AddressClass::Private => "it leads into a network this installation does not speak to",
        AddressClass::Never(_) => "it leads to an address no server has",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_judged_before_resolution() {
        let check = |policy: &EgressPolicy, url: &str, allowed: bool| {
            let verdict = policy.check_url(&Url::parse(url).expect("a literal url"));
            assert_eq!(verdict.is_ok(), allowed, "{url}: {verdict:?}");
        };
        let production = EgressPolicy::production();
        check(&production, "https://dav.example.com/", true);
        check(&production, "https://dav.example.com:8443/", true);
        check(&production, "https://dav.example.com:25/", false);
        check(&production, "http://dav.example.com/", false);
        check(&production, "ftp://dav.example.com/", false);
        check(&production, "https://1.1.1.1/", true);
        check(&production, "https://127.0.0.1/", false);
        check(&production, "https://2130706433/", false);
        check(&production, "https://0x7f.1/", false);
        check(&production, "https://0177.0.0.1/", false);
        check(&production, "https://[::1]/", false);
        check(&production, "https://[::ffff:169.254.169.254]/", false);
        check(&production, "https://10.1.2.3/", false);
        let development = EgressPolicy::development();
        check(&development, "http://127.0.0.1:5232/", true);
        check(&development, "http://[::1]:5232/", true);
        check(&development, "http://1.1.1.1/", false);
        check(&development, "https://1.1.1.1/", true);
        check(&development, "http://10.0.0.1/", false);
        check(&development, "http://169.254.169.254/", false);
        let inside = EgressPolicy { allow_private: true, https_only: false, ports: vec![], ..production };
        check(&inside, "http://10.0.0.1/", true);
        check(&inside, "https://[fd12::1]/", true);
        check(&inside, "https://[fd00:ec2::254]/", false);
        check(&inside, "https://100.100.100.200/", false);
        check(&inside, "http://127.0.0.1/", false);
    }
}
