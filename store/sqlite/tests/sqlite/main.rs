//! The store on SQLite, from outside: one program, because linking is what these tests cost most.

mod common;
mod conformance;
mod crash;
mod file;
mod model;
mod races;
