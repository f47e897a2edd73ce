//! Why a request outside came to nothing.

/// Why a request outside came to nothing. Texts name no path, no query and no resolved address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Where it leads is not spoken to.
    #[error("{0}")]
    AddressNotAllowed(String),
    /// The server redirects to another origin; credentials do not travel there.
    #[error("the server redirects to {0}; credentials are not sent there, so give that address instead")]
    RedirectRefused(String),
    /// More redirects than are followed, or one that cannot be read.
    #[error("the server redirects in a way that cannot be followed: {0}")]
    BadRedirect(String),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// No connection, or it broke.
    #[error("connection failed: {0}")]
    Connection(String),
    /// The answer is larger than wanted.
    #[error("the answer is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The answer is compressed although that was not asked for.
    #[error("the answer is compressed although that was refused")]
    Compressed,
    /// The request cannot be made from what was given.
    #[error("the request cannot be made: {0}")]
    Invalid(String),
}
