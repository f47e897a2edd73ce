//! What cargo knows of the workspace and of everything it is built from.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use crate::files::root;

/// The package graph, as far as this platform builds it.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_default_members: BTreeSet<String>,
    resolve: Resolve,
}

/// A package.
#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub license: Option<String>,
    /// Where it comes from; `None` for packages of this repository.
    pub source: Option<String>,
    default_run: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Dependency {
    fn is_dev_only(&self) -> bool {
        self.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"))
    }
}

impl Metadata {
    /// Asks cargo. Reaches no registry: whoever runs this has built the workspace.
    ///
    /// # Panics
    /// When cargo cannot tell.
    pub fn read() -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root()).args(["metadata", "--format-version", "1", "--locked", "--filter-platform"]);
        let output = command.arg(host()).output().expect("cargo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("cargo prints its metadata as JSON")
    }

    /// Every package that is built or tested with here.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        let used: BTreeSet<&str> = self.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        self.packages.iter().filter(move |package| used.contains(package.id.as_str()))
    }

    /// The packages of this repository.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Names of members that are built with a feature unless somebody asks for more: by default, or because another member
    /// wants it.
    pub fn members_with(&self, feature: &str) -> Vec<&str> {
        let has = |member: &&Package| self.node(&member.id).features.iter().any(|enabled| enabled == feature);
        self.members().filter(has).map(|member| member.name.as_str()).collect()
    }

    /// The programs that `cargo run` may mean when it names none. It starts one only where there is exactly one.
    pub fn run_by_default(&self) -> Vec<&str> {
        let is_default = |package: &&Package| self.workspace_default_members.contains(&package.id);
        self.packages.iter().filter(is_default).filter_map(|package| package.default_run.as_deref()).collect()
    }

    /// Names of the packages of this repository that a member imports: into what is shipped, and only into tests.
    pub(crate) fn imports(&self, member: &Package) -> (BTreeSet<&str>, BTreeSet<&str>) {
        let names = self.names();
        let inside = |dependency: &&Dependency| self.workspace_members.contains(&dependency.pkg);
        let of_member = self.node(&member.id).deps.iter().filter(inside);
        let (dev, shipped): (Vec<_>, Vec<_>) = of_member.partition(|dependency| dependency.is_dev_only());
        let named =
            |found: Vec<&Dependency>| found.into_iter().map(|dependency| names[dependency.pkg.as_str()]).collect();
        (named(shipped), named(dev))
    }

    /// Names of what a member names itself in its manifest, tests left out.
    pub(crate) fn direct(&self, name: &str) -> BTreeSet<&str> {
        let names = self.names();
        let shipped = self.node(&self.member(name).id).deps.iter().filter(|dependency| !dependency.is_dev_only());
        shipped.map(|dependency| names[dependency.pkg.as_str()]).collect()
    }

    /// Names of everything a member is built from, at any depth, tests left out.
    pub(crate) fn built_from(&self, name: &str) -> BTreeSet<&str> {
        let names = self.names();
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![self.member(name).id.as_str()];
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                let shipped = self.node(id).deps.iter().filter(|dependency| !dependency.is_dev_only());
                open.extend(shipped.map(|dependency| dependency.pkg.as_str()));
            }
        }
        reached.into_iter().map(|id| names[id]).collect()
    }

    fn member(&self, name: &str) -> &Package {
        self.members().find(|member| member.name == name).expect("a member of the workspace")
    }

    fn names(&self) -> BTreeMap<&str, &str> {
        self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect()
    }

    fn node(&self, id: &str) -> &Node {
        self.resolve.nodes.iter().find(|node| node.id == id).expect("every package has a node in the graph")
    }
}

/// The platform this is built for.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    host.to_owned()
}
