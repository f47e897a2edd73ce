//! The product on virtual time: one seed, one run.
