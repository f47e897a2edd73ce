//! The program as a process, as its users meet it.

mod commands;
mod dev;
mod support;
