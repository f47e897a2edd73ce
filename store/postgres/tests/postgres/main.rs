//! The store on PostgreSQL, from outside: one program and one server, because starting them is what these tests cost most.

mod common;
mod conformance;
mod fences;
mod health;
mod migrations;
mod operator;
mod races;
mod walls;
