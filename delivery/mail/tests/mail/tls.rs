//! Servers that prove who they are, or fail to.

use std::sync::Arc;
use std::time::Duration;

use agentcal_delivery_mail::{Outcome, SmtpSettings, SmtpTransport, Transport, Trouble};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::scripted::Turn::{Encrypt, Say};
use crate::scripted::{Script, Scripted, friendly};
use crate::world::plain_mail;

/// An authority, and a server it vouches for under a name.
fn vouched_for(name: &str) -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

const SCRIPT: Script = |line| match line.split(' ').next() {
    Some("EHLO") => Say("250-mail.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN"),
    Some("STARTTLS") => Encrypt("220 go"),
    Some("AUTH") => Say("235 2.7.0 welcome"),
    _ => friendly(line),
};

#[derive(Clone, Copy, Debug)]
enum Scheme {
    StartTls,
    Implicit,
}

async fn send(scheme: Scheme, name: &str, is_authority_known: bool) -> (Outcome, Scripted) {
    let (authority, acceptor) = vouched_for(name);
    let server = Scripted::start_with(SCRIPT, Some(acceptor), matches!(scheme, Scheme::Implicit)).await;
    let port = server.address.port();
    let url = match scheme {
        Scheme::StartTls => format!("smtp://user:pass@127.0.0.1:{port}?tls=required"),
        Scheme::Implicit => format!("smtps://user:pass@127.0.0.1:{port}"),
    };
    let mut settings = SmtpSettings::parse(&url).unwrap();
    settings.authority = is_authority_known.then(|| authority.into_bytes());
    settings.timeouts.command = Duration::from_secs(30);
    let transport = SmtpTransport::new(settings);
    transport.send(&plain_mail(&["ada@example.com"])).await;
    let mut deliveries = transport.send(&plain_mail(&["ada@example.com"])).await;
    (deliveries.remove(0).outcome, server)
}

#[tokio::test]
async fn mails_go_to_who_proves_to_be_the_server_and_to_nobody_else() {
    for scheme in [Scheme::StartTls, Scheme::Implicit] {
        let (outcome, server) = send(scheme, "127.0.0.1", true).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{scheme:?}: {outcome:?}");
        assert_eq!(server.seen.mails().len(), 2, "{scheme:?}");
        assert_eq!(server.seen.count("AUTH"), 1, "{scheme:?}: one connection for both");
        for (name, is_known) in [("mail.example.org", true), ("127.0.0.1", false)] {
            let (outcome, server) = send(scheme, name, is_known).await;
            assert!(matches!(outcome, Outcome::Unusable(Trouble::Tls(_))), "{scheme:?} {name}: {outcome:?}");
            assert_eq!(server.seen.count("AUTH") + server.seen.count("MAIL"), 0, "{scheme:?} {name}");
        }
    }
}
