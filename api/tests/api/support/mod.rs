//! An api of its own for each test: a store in a temporary folder, scripted calendars, a clock that stands still.

mod app;
mod conforms;
mod document;
mod examples;
mod issuer;
mod press;
mod provider;
mod reply;
mod schema;
mod sender;
mod sockets;
mod things;
mod wait;
mod world;

pub(crate) use app::{LISTED, START, TestApp};
pub(crate) use document::Operation;
pub(crate) use examples::{Example, address, examples};
pub(crate) use issuer::ScriptedIssuer;
pub(crate) use press::{BROKEN, ScriptedPress};
pub(crate) use provider::{Behaviour, ScriptedProvider};
pub(crate) use reply::Reply;
pub(crate) use schema::{Kind, Schema};
pub(crate) use sender::ScriptedSender;
pub(crate) use sockets::{exchange, serve};
pub(crate) use things::Things;
pub(crate) use wait::{came_true, eventually};
pub(crate) use world::{World, caldav, merged, starts};
