//! How nodes speak to each other: plain HTTP/2 on the internal listener, with a shared secret or mutual TLS.
//!
//! [`HttpPeers`] asks, [`router`] answers. What a peer asks for is done here or refused with `421`; it is never passed on,
//! so that a request makes one hop at most. Nothing in here is trusted for a booking: the store's epoch is.
//!
//! A commit is acknowledged by the head of its answer, which leaves as soon as the request was taken in; what became of it
//! follows as the body. So the caller can tell an owner that is silent from one that is at work.

mod client;
mod exchange;
mod guard;
mod logged;
mod owner;
#[cfg(test)]
mod page;
mod picture;
mod probe;
mod problem;
mod routes;
mod secret;
mod serve;
mod tls;
mod wire;

pub use agentcal_actors::NotOwner;
pub use client::{HttpPeers, PeersError, PeersParts, PeersSettings};
pub use guard::{Guard, VerifiedPeer};
pub use owner::{Owner, ShardsPicture};
pub use probe::Unreachable;
pub use routes::{RouterParts, router};
pub use secret::{PeerSecret, SECRET_LEN_MIN, SecretError};
pub use serve::{ServeOptions, serve};
pub use tls::{PeerTls, TlsError};
