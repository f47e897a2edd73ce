//! The script that makes a cluster's secrets: all of them, or none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use agentcal_testkit::skip_or_fail;
use tempfile::TempDir;

const SCRIPT: &str = include_str!("../../../deploy/compose/init.sh");
/// What the script needs besides the program that makes secrets.
const TOOLS: [&str; 3] = ["cat", "dirname", "mv"];
const MAKER: &str = "openssl";

/// A folder with the script, and one with the only programs it finds.
struct Bed {
    folder: TempDir,
    programs: TempDir,
}

impl Bed {
    fn new() -> Self {
        let [folder, programs] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        fs::write(folder.path().join("init.sh"), SCRIPT).expect("a copy of the script");
        let bed = Self { folder, programs };
        for tool in TOOLS {
            bed.install(&place_of(tool).expect("every machine has it"));
        }
        bed
    }

    fn install(&self, program: &Path) {
        let name = program.file_name().expect("a program has a name");
        symlink(program, self.programs.path().join(name)).expect("a link");
    }

    fn run(&self) -> Output {
        let script = self.folder.path().join("init.sh");
        Command::new("/bin/sh").arg(script).env("PATH", self.programs.path()).output().expect("a shell starts")
    }

    fn env_file(&self) -> PathBuf {
        self.folder.path().join(".env")
    }
}

fn place_of(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[test]
fn a_cluster_has_all_its_secrets_or_none() {
    let Some(maker) = place_of(MAKER) else { return skip_or_fail("openssl is not installed") };
    let bed = Bed::new();
    let said = bed.run();
    assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains(MAKER), "{said:?}");
    assert!(!bed.env_file().exists(), "a file without secrets would stand in the way of one with them");

    bed.install(&maker);
    assert!(bed.run().status.success());
    let made = fs::read_to_string(bed.env_file()).expect("a file");
    for (name, len) in [("POSTGRES_PASSWORD", 64), ("AGENTCAL_ENCRYPTION_KEYS", 47), ("AGENTCAL_PEER_SECRET", 64)] {
        let value = made.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        assert_eq!(value.map(str::len), Some(len), "{name}");
    }
    let mode = fs::metadata(bed.env_file()).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let said = bed.run();
    assert!(!said.status.success(), "{said:?}");
    assert_eq!(fs::read_to_string(bed.env_file()).expect("a file"), made, "secrets in use are not replaced");
}
