//! The scheduler on a real store and a provider that does as told.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod story;
