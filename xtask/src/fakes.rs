//! `cargo xtask fakes`: calendar providers and Svix on this machine, to try things out with.

use std::process::{Child, Command};

use clap::Subcommand;

use crate::run::{Failure, shown};
use crate::workspace::Workspace;

/// A fake: the package whose program it is, what it is told, and the settings that lead AgentCal to it.
struct Fake {
    package: &'static str,
    arguments: &'static [&'static str],
    settings: &'static [(&'static str, &'static str)],
}

/// Each says itself where it serves, and as whom.
const FAKES: [Fake; 3] = [
    Fake {
        package: "agentcal-fake-google",
        arguments: &["--port", "8090"],
        settings: &[
            ("AGENTCAL_GOOGLE_API_URL", "http://127.0.0.1:8090/"),
            ("AGENTCAL_GOOGLE_CONSENT_URL", "http://127.0.0.1:8090/"),
            ("AGENTCAL_GOOGLE_OAUTH_URL", "http://127.0.0.1:8090/"),
            ("AGENTCAL_GOOGLE_CLIENT_ID", "client.apps.googleusercontent.com"),
            ("AGENTCAL_GOOGLE_CLIENT_SECRET", "any"),
        ],
    },
    Fake {
        package: "agentcal-fake-microsoft",
        arguments: &["8091"],
        settings: &[
            ("AGENTCAL_MICROSOFT_GRAPH_URL", "http://127.0.0.1:8091/v1.0"),
            ("AGENTCAL_MICROSOFT_LOGIN_URL", "http://127.0.0.1:8091/"),
            ("AGENTCAL_MICROSOFT_CLIENT_ID", "app"),
            ("AGENTCAL_MICROSOFT_CLIENT_SECRET", "any"),
        ],
    },
    Fake {
        package: "agentcal-fake-svix",
        arguments: &["--port", "8071"],
        settings: &[("AGENTCAL_SVIX_URL", "http://127.0.0.1:8071/"), ("AGENTCAL_SVIX_TOKEN", "testsk_agentcal")],
    },
];

/// What to do with them.
#[derive(Subcommand)]
pub(crate) enum FakesTask {
    /// Builds and starts Google's, Microsoft's and Svix's, and prints their base URLs and how AgentCal is pointed at them; they end
    /// with this, and forget everything.
    Up,
}

/// Does it.
pub(crate) fn run(workspace: &Workspace, task: &FakesTask) -> Result<(), Failure> {
    match task {
        FakesTask::Up => up(workspace),
    }
}

fn up(workspace: &Workspace) -> Result<(), Failure> {
    let mut build = workspace.cargo();
    build.args(["build", "--locked"]);
    shown(build.args(FAKES.iter().flat_map(|fake| ["--package", fake.package])))?;
    let start = |fake: &Fake| {
        let program = workspace.target.join("debug").join(fake.package);
        let started = Command::new(&program).args(fake.arguments).spawn();
        started.map_err(|error| Failure(format!("{} does not start: {error}", program.display())))
    };
    let children: Vec<Child> = FAKES.iter().map(start).collect::<Result<_, _>>()?;
    println!("{}", how_to());
    for mut child in children {
        child.wait().map_err(|error| Failure(error.to_string()))?;
    }
    Ok(())
}

/// Lines to type before `agentcal dev` or `agentcal serve`.
fn how_to() -> String {
    let settings = FAKES.iter().flat_map(|fake| fake.settings);
    let lines: Vec<String> = settings.map(|(name, value)| format!("  export {name}={value}")).collect();
    format!("To have AgentCal speak to them, start it after:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ports that are told to the fakes are those the settings lead to.
    #[test]
    fn settings_lead_where_the_fakes_serve() {
        for fake in &FAKES {
            let port = fake.arguments.last().expect("the port");
            let urls: Vec<_> = fake.settings.iter().filter(|(name, _)| name.ends_with("_URL")).collect();
            assert!(!urls.is_empty(), "{}", fake.package);
            for (name, url) in urls {
                assert!(url.starts_with(&format!("http://127.0.0.1:{port}/")), "{name}={url}");
            }
        }
        assert!(how_to().contains("\n  export AGENTCAL_MICROSOFT_GRAPH_URL=http://127.0.0.1:8091/v1.0\n"));
    }
}
