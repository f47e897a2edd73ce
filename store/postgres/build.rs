//! The schema is embedded, so a new migration must rebuild the crate.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
}
