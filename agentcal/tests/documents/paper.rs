//! A document as somebody reads it who types whatever it says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agentcal_testkit::wait_for;

/// Lines that need the network or a release build are done by the test itself.
const DONE_ALREADY: [&str; 3] = ["cargo run", "cargo xtask", "python3 -m venv"];
/// The port the documents give to their CalDAV server.
const CALDAV_PORT: &str = "5232";
/// Precedes each heading in what is printed.
const MARK: &str = "==> ";
const TYPED_WITHIN: Duration = Duration::from_secs(120);

/// What is to be typed, by heading, in order.
pub(crate) struct Paper(Vec<(String, String)>);

impl Paper {
    pub(crate) fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (mut heading, mut parts, mut block) = (String::new(), Vec::new(), None::<String>);
        for line in text.lines() {
            match (&mut block, line) {
                (None, "```sh") => block = Some(String::new()),
                (Some(lines), "```") => {
                    parts.push((heading.clone(), std::mem::take(lines)));
                    block = None;
                }
                (Some(lines), line) if !DONE_ALREADY.iter().any(|done| line.starts_with(done)) => {
                    lines.push_str(line);
                    lines.push('\n');
                }
                (None, line) if line.starts_with("## ") => heading = line.to_owned(),
                _ => {}
            }
        }
        Self(parts)
    }

    /// Types it all into one shell and returns what it printed under each heading. What was left running is ended.
    pub(crate) fn typed(&self, folder: &Path, caldav_port: &str) -> BTreeMap<String, String> {
        let mut script = String::from("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n");
        for (heading, lines) in &self.0 {
            script.push_str(&format!("echo '{MARK}{heading}'\n{}", lines.replace(CALDAV_PORT, caldav_port)));
        }
        let said = folder.join("said.txt");
        let out = std::fs::File::create(&said).expect("a file");
        let err = out.try_clone().expect("a file handle can be cloned");
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).current_dir(folder).stdin(Stdio::null()).stdout(out).stderr(err);
        let mut child = bash.spawn().expect("bash starts");
        let status = wait_for("the end of the lines", TYPED_WITHIN, || child.try_wait().expect("a child"));
        let said = std::fs::read_to_string(said).expect("what was printed");
        assert!(status.success(), "the shell ended with {status} after:\n{said}");
        by_heading(&said)
    }
}

fn by_heading(said: &str) -> BTreeMap<String, String> {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    let mut heading = String::new();
    for line in said.lines() {
        match line.strip_prefix(MARK) {
            Some(next) => heading = next.to_owned(),
            None => parts.entry(heading.clone()).or_default().push_str(&format!("{line}\n")),
        }
    }
    parts
}
