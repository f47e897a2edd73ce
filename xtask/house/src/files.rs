//! The files of the repository that people write.

use std::fs;
use std::path::{Path, PathBuf};

/// Ends of the names of files that are read. Others (locks, pictures, generated JSON) are nobody's prose.
const EXTENSIONS: [&str; 9] = ["rs", "md", "toml", "py", "sql", "sh", "txt", "html", "yml"];

/// A file of the repository.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Where it is, relative to the root, with forward slashes.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl SourceFile {
    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it lies in one of the folders.
    pub fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the repository is there")
}

/// Every file that people write, in the order of their paths.
pub fn source_files() -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry.expect("a folder's entry can be read").path();
            if path.is_dir() {
                if is_ours(&path) {
                    folders.push(path);
                }
            } else if is_read(&path) {
                found.push(read(&root, &path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Hidden folders (but for the one with the CI entry), build output and caches are not ours.
fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.') && name != ".ci";
    !hidden && name != "target" && name != "node_modules" && !folder.join("CACHEDIR.TAG").exists()
}

fn is_read(file: &Path) -> bool {
    file.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known)) || file.ends_with(".ci/run")
}

fn read(root: &Path, file: &Path) -> SourceFile {
    let path = file.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
    let bytes = fs::read(file).expect("a file of the repository can be read");
    SourceFile { path, text: String::from_utf8_lossy(&bytes).into_owned() }
}
