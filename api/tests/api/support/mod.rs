//! An api of its own for each test: a store in a temporary folder, scripted calendars, a clock that stands still.

mod app;
mod provider;
mod reply;
mod sockets;
mod wait;
mod world;

pub(crate) use app::{START, TestApp};
pub(crate) use provider::{Behaviour, ScriptedProvider};
pub(crate) use reply::Reply;
pub(crate) use sockets::{exchange, serve};
pub(crate) use wait::eventually;
pub(crate) use world::{World, caldav, merged, starts};
