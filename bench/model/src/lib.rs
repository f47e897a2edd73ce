//! The plan of commit, takeover and owner-less commit, as a model that is checked exhaustively.
