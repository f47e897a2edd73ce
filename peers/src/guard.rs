//! Who is let in.

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};

use crate::logged::OncePerMinute;
use crate::problem::Problem;
use crate::secret::{PeerSecret, is_one_of};

/// By what a peer is known.
#[derive(Clone, Debug)]
pub enum Guard {
    /// By one of these secrets. More than one while a new one is introduced: every node learns to accept it before the
    /// first one sends it.
    Secrets(Vec<PeerSecret>),
    /// By a certificate of the cluster's authority, checked by [`crate::serve`] when the connection was made.
    MutualTls,
}

/// Marks requests on connections whose peer proved its certificate. Only [`crate::serve`] puts it there.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedPeer {
    pub(crate) _sealed: (),
}

impl Guard {
    /// Lets a request in, or says what it lacks.
    pub(crate) fn check(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<(), Problem> {
        match self {
            Self::Secrets(secrets) => match headers.get(AUTHORIZATION) {
                Some(header) if is_one_of(secrets, header) => Ok(()),
                Some(_) => Err(Problem::Unauthorized("the secret is not the one the nodes of this cluster share")),
                None => Err(Problem::Unauthorized("send the secret the nodes of this cluster share as a bearer token")),
            },
            Self::MutualTls if extensions.get::<VerifiedPeer>().is_some() => Ok(()),
            Self::MutualTls => Err(Problem::Unauthorized("come with a certificate of this cluster's authority")),
        }
    }
}

/// Logs, once a minute, that somebody was not let in.
pub(crate) fn log_refusal(gate: &OncePerMinute, problem: &Problem) {
    if let Problem::Unauthorized(why) = problem
        && gate.may_speak()
    {
        tracing::warn!(why, "refused a request on the internal listener; if it came from a node, their secrets differ");
    }
}
