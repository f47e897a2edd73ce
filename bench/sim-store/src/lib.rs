//! A store in memory that models durability: what was not committed is lost at a crash, and a commit may be in doubt.
