//! What we tell people to type and to run, done as they would: the lines of the documents, and the scripts beside them.

mod deploy;
mod paper;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use agentcal_testkit::{Dev, skip_or_fail, spare_address, venv};

use crate::paper::Paper;

const BINARY: &str = env!("CARGO_BIN_EXE_agentcal");

/// What must be printed under a heading, in this order, and how often the whole must be there.
struct Expected {
    heading: &'static str,
    says: &'static [&'static str],
}

#[test]
fn the_readme_can_be_typed() {
    let expected = [Expected {
        heading: "## Five minutes",
        says: &["\"slot_id\":\"slot_", "\"status\":\"confirmed\"", "\"bookable\":false"],
    }];
    type_in("README.md", &expected);
}

#[test]
fn the_quickstart_can_be_typed() {
    let expected = [
        Expected { heading: "## 2. Ask", says: &["\"slot_id\":\"slot_", "\"freshness\":{\"state\":\"complete\""] },
        Expected {
            heading: "## 3. Hold, while somebody says yes",
            says: &["\"status\":\"active\"", "\"session_id\":\"call-7\"", "\"status\":\"active\""],
        },
        Expected { heading: "## 4. Confirm", says: &["\"status\":\"confirmed\"", "\"manage_url\":\"http"] },
        Expected { heading: "## 5. No, and why", says: &["\"bookable\":false"] },
        Expected {
            heading: "## 6. Move and cancel",
            says: &["\"status\":\"confirmed\"", "\"status\":\"confirmed\"", "<h1", "\"status\":\"cancelled\""],
        },
        Expected {
            heading: "## 7. A real calendar",
            says: &["\"status\":\"active\"", "\"state\":\"written\"", "SUMMARY:Consultation"],
        },
    ];
    type_in("docs/quickstart.md", &expected);
}

fn type_in(document: &str, expected: &[Expected]) {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if let Some(tool) = ["bash", "curl"].into_iter().find(|tool| !has(tool)) {
        return skip_or_fail(&format!("{tool} is not installed"));
    }
    let Some(venv) = venv() else { return skip_or_fail("there is no Python environment") };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dev = Dev::start(BINARY);
    symlink(dev.data_dir(), folder.path().join(".agentcal")).expect("a link");
    symlink(venv, folder.path().join("radicale-venv")).expect("a link");
    let paper = Paper::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(document));
    let said = paper.typed(folder.path(), &spare_address().port().to_string());
    for Expected { heading, says } in expected {
        let mut rest =
            said.get(*heading).unwrap_or_else(|| panic!("{document} has nothing to type under {heading}")).as_str();
        for what in *says {
            let found =
                rest.find(what).unwrap_or_else(|| panic!("{heading} did not say {what}, but:\n{}", said[*heading]));
            rest = &rest[found + what.len()..];
        }
    }
}
