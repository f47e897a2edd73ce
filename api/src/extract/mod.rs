//! Taking requests apart: every refusal here is a problem that names what to change.

mod body;
mod faults;
mod path;
mod query;

pub(crate) use body::{Body, MaybeBody};
pub(crate) use path::{NamedParam, PathId};
pub(crate) use query::Query;
