//! What the program does most costs no more instructions than it did.

use std::path::Path;
use std::process::Command;

use agentcal_testkit::skip_or_fail;

/// The optimised program that counts; set by `cargo xtask test`, which builds it.
const PROGRAM_VARIABLE: &str = "AGENTCAL_TEST_COUNTS";

#[test]
fn nothing_costs_more_than_it_did() {
    let Some(program) = std::env::var_os(PROGRAM_VARIABLE) else {
        skip_or_fail("instructions are counted in an optimised build, under valgrind");
        return;
    };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
    let output = Command::new(program).arg("check").arg(kept).output().expect("the program that counts starts");
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{table}{errors}\nIf this is meant to be, `cargo xtask counts --update` keeps the new counts"
    );
}
