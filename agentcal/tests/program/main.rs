//! The program as a process, as its users meet it.

mod cluster;
mod commands;
mod dev;
mod support;
