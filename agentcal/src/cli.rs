//! What can be typed after `agentcal`.

use std::net::IpAddr;
use std::path::PathBuf;

use agentcal_engine::ids::{JobId, KeyId, OrganizationId};
use agentcal_engine::model::{JobKind, JobState, KeyKind, Mode, ProviderKind};
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
    /// Protect everything by the first of AGENTCAL_ENCRYPTION_KEYS, so that the others may go; stopped, it goes on where it was
    RotateKeys(StoreArgs),
    /// Check the configuration and every server it names
    Doctor,
    /// Organizations: who holds keys
    #[command(subcommand)]
    Org(OrgCommand),
    /// API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Jobs: mails, notices, reminders, ends of bookings, and writebacks that were given up
    #[command(subcommand)]
    Job(JobCommand),
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
        /// Where it is told of its own affairs, such as a webhook that is switched off
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Change where an organization is told of its own affairs
    Update {
        /// Its id, as `org list` shows it
        id: OrganizationId,
        /// The address
        #[arg(long, value_name = "ADDRESS", required_unless_present = "no_email", conflicts_with = "no_email")]
        email: Option<String>,
        /// Nowhere
        #[arg(long)]
        no_email: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List organizations, oldest first
    List {
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Addresses that browsers may come back to when somebody connected a calendar by consent
    #[command(subcommand)]
    RedirectUrl(RedirectUrlCommand),
    /// OAuth clients of its own, in place of the installation's
    #[command(subcommand)]
    OauthClient(OauthClientCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RedirectUrlCommand {
    /// List an address; what counts are scheme, host, port and path
    Add {
        /// Whose list
        #[arg(long)]
        organization: OrganizationId,
        /// The address, as in https://app.example.com/calendars
        url: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Take an address out of the list
    Remove {
        /// Whose list
        #[arg(long)]
        organization: OrganizationId,
        /// The address, as `list` shows it
        url: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List an organization's addresses
    List {
        /// Whose list
        #[arg(long)]
        organization: OrganizationId,
        #[command(flatten)]
        store: StoreArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OauthClientCommand {
    /// Bring a client: its secret is read from standard input, and kept sealed
    Set {
        /// Whose client
        #[arg(long)]
        organization: OrganizationId,
        /// At which provider
        #[arg(long)]
        provider: VendorArg,
        /// Its id
        #[arg(long)]
        client_id: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Forget a client; connections granted to it have to be connected again
    Remove {
        /// Whose client
        #[arg(long)]
        organization: OrganizationId,
        /// At which provider
        #[arg(long)]
        provider: VendorArg,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List an organization's clients, by provider and id
    List {
        /// Whose clients
        #[arg(long)]
        organization: OrganizationId,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// A provider that calendars are connected to by consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VendorArg {
    Google,
    Microsoft,
}

impl From<VendorArg> for ProviderKind {
    fn from(vendor: VendorArg) -> Self {
        match vendor {
            VendorArg::Google => Self::Google,
            VendorArg::Microsoft => Self::Microsoft,
        }
    }
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

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List an organization's jobs, newest first: id, kind, state, due time, tries, booking, account, last outcome
    List {
        #[command(flatten)]
        filter: JobFilter,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Try a job again that was given up
    Retry {
        /// Its id, as `job list` shows it
        id: JobId,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Cancel a job, so that it is not done any more
    Cancel {
        /// Its id, as `job list` shows it
        id: JobId,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Which jobs.
#[derive(Debug, Args)]
pub(crate) struct JobFilter {
    /// Whose jobs
    #[arg(long)]
    pub(crate) organization: OrganizationId,
    /// Of which accounts
    #[arg(long, default_value = "live")]
    pub(crate) mode: ModeArg,
    /// Where they stand; `dead` is what was given up
    #[arg(long)]
    pub(crate) state: Option<JobStateArg>,
    /// What is to be done
    #[arg(long)]
    pub(crate) kind: Option<JobKindArg>,
    /// Most jobs
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum JobStateArg {
    Pending,
    Done,
    Dead,
}

impl From<JobStateArg> for JobState {
    fn from(state: JobStateArg) -> Self {
        match state {
            JobStateArg::Pending => Self::Pending,
            JobStateArg::Done => Self::Done,
            JobStateArg::Dead => Self::Dead,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum JobKindArg {
    Mail,
    Notice,
    Reminder,
    Completed,
    Writeback,
}

impl From<JobKindArg> for JobKind {
    fn from(kind: JobKindArg) -> Self {
        match kind {
            JobKindArg::Mail => Self::Mail,
            JobKindArg::Notice => Self::Notice,
            JobKindArg::Reminder => Self::Reminder,
            JobKindArg::Completed => Self::Completed,
            JobKindArg::Writeback => Self::Writeback,
        }
    }
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
