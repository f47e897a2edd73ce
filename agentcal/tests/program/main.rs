//! The program as a process, as its users meet it.

mod certificates;
mod cluster;
mod commands;
mod dev;
mod jobs;
mod mail;
mod support;
