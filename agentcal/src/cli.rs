//! What can be typed after `agentcal`.

use std::net::IpAddr;
use std::path::PathBuf;

use agentcal_engine::ids::{KeyId, OrganizationId};
use agentcal_engine::model::{KeyKind, Mode};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Scheduling infrastructure for software that talks.
#[derive(Debug, Parser)]
#[command(name = "agentcal", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Configuration file (TOML); else the one that AGENTCAL_CONFIG names; AGENTCAL_* variables go before it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it out: no configuration, no server, no network; demo data on the first start
    Dev(DevArgs),
    /// Run a production node
    Serve,
    /// Bring the database's schema up to date
    Migrate(StoreArgs),
    /// Say that the database was restored from a backup: whatever still runs on what it was before is refused
    Restored(StoreArgs),
    /// Check the configuration and every server it names
    Doctor,
    /// Organizations: who holds keys
    #[command(subcommand)]
    Org(OrgCommand),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Print the OpenAPI document
    Openapi,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// Folder for the database, the keys and dev.json
    #[arg(long, default_value = ".agentcal", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,
}

/// Which database a command works on.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Work on the data folder of `agentcal dev` instead of the configured database
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrgCommand {
    /// Make an organization and print its id
    Create {
        /// Its name, for people
        #[arg(long)]
        name: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List organizations, oldest first
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once
    Create {
        /// Whose key it is
        #[arg(long)]
        organization: OrganizationId,
        /// Which accounts it sees
        #[arg(long)]
        mode: ModeArg,
        /// What it may do
        #[arg(long, default_value = "secret")]
        kind: KindArg,
        /// An origin a publishable key may be used from, as in https://example.com; may be given many times
        #[arg(long = "origin", value_name = "ORIGIN")]
        origins: Vec<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Revoke a key: dead on every node within five seconds
    Revoke {
        /// Its id, as `key list` shows it
        id: KeyId,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List an organization's keys, newest first
    List {
        /// Whose keys
        #[arg(long)]
        organization: OrganizationId,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    Live,
    Test,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Live => Self::Live,
            ModeArg::Test => Self::Test,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    Secret,
    Publishable,
}

impl From<KindArg> for KeyKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Secret => Self::Secret,
            KindArg::Publishable => Self::Publishable,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
