//! The checked-in documents are the ones the code would write. `UPDATE_OPENAPI=1` writes them.

use std::path::PathBuf;

fn check(name: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        std::fs::write(&path, expected).expect("the document can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "docs/{name} is out of date: run UPDATE_OPENAPI=1 cargo test -p agentcal-api");
}

#[test]
fn the_description_is_checked_in() {
    check("openapi.json", &agentcal_api::openapi_json());
}

#[test]
fn the_list_of_errors_is_checked_in() {
    check("errors.md", &agentcal_api::errors_markdown());
}
