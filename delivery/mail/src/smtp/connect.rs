//! From nothing to a server that knows who we are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::classify::trouble_of;
use super::guard::Guarded;
use super::session::within;
use super::settings::{Encryption, Login, SmtpSettings};
use crate::transport::{Moment, Trouble};

/// Ways to log in, the best first.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];
/// Most addresses of one server that are tried.
const ADDRESSES_MAX: usize = 8;

/// Connects, encrypts and logs in.
pub(super) async fn connect(settings: &SmtpSettings) -> Result<AsyncSmtpConnection, Trouble> {
    let stream = reach(settings).await?;
    let hello = ClientId::Domain(settings.hello_name.clone());
    let limit = settings.timeouts.command;
    let stream = encrypted_from_the_start(settings, stream).await?;
    let greeted = AsyncSmtpConnection::connect_with_transport(stream, &hello);
    let mut connection = within(limit, Moment::Greeting, greeted).await?;
    if settings.encryption == Encryption::StartTls {
        if !connection.can_starttls() {
            return Err(Trouble::NotEncrypted);
        }
        within(limit, Moment::Greeting, connection.starttls(parameters(settings)?, &hello)).await?;
    }
    if let Some(login) = &settings.login {
        log_in(&mut connection, login, limit).await?;
    }
    Ok(connection)
}

/// The first address of the server that answers.
async fn reach(settings: &SmtpSettings) -> Result<TcpStream, Trouble> {
    let limit = settings.timeouts.connect;
    let looked_up = timeout(limit, lookup_host((settings.host.as_str(), settings.port))).await;
    let Ok(Ok(addresses)) = looked_up else { return Err(Trouble::Unreachable) };
    for address in addresses.take(ADDRESSES_MAX) {
        if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(Trouble::Unreachable)
}

async fn encrypted_from_the_start(
    settings: &SmtpSettings,
    stream: TcpStream,
) -> Result<Box<dyn AsyncTokioStream>, Trouble> {
    let peer = stream.peer_addr().ok().ok_or(Trouble::Lost(Moment::Greeting))?;
    if settings.encryption != Encryption::Implicit {
        return Ok(Box::new(Guarded::new(stream, peer)));
    }
    let name = ServerName::try_from(settings.host.clone()).map_err(|error| Trouble::Tls(error.to_string()))?;
    let connector = TlsConnector::from(Arc::new(client_config(settings)?));
    match timeout(settings.timeouts.command, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(Guarded::new(stream, peer))),
        Ok(Err(error)) => Err(handshake_trouble(&error)),
        Err(_) => Err(Trouble::Silent(Moment::Greeting)),
    }
}

fn handshake_trouble(error: &io::Error) -> Trouble {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.map_or(Trouble::Lost(Moment::Greeting), |tls| Trouble::Tls(tls.to_string()))
}

fn client_config(settings: &SmtpSettings) -> Result<ClientConfig, Trouble> {
    let unusable = |error: &dyn std::fmt::Display| Trouble::Tls(error.to_string());
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in CertificateDer::pem_slice_iter(settings.authority.as_deref().unwrap_or_default()) {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| unusable(&error))?.with_root_certificates(roots).with_no_client_auth())
}

/// The same for encryption that begins later, which is the library's.
fn parameters(settings: &SmtpSettings) -> Result<TlsParameters, Trouble> {
    let unusable = |error: lettre::transport::smtp::Error| Trouble::Tls(error.to_string());
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(authority) = &settings.authority {
        builder = builder.add_root_certificate(Certificate::from_pem(authority).map_err(unusable)?);
    }
    builder.build_rustls().map_err(unusable)
}

async fn log_in(connection: &mut AsyncSmtpConnection, login: &Login, limit: Duration) -> Result<(), Trouble> {
    if connection.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
        return Err(Trouble::NoLogin);
    }
    let credentials = Credentials::new(login.username.clone(), login.password.expose_secret().to_owned());
    match timeout(limit, connection.auth(&MECHANISMS, &credentials)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(trouble_of(&error, Moment::Greeting)),
        Err(_) => Err(Trouble::Silent(Moment::Greeting)),
    }
}
