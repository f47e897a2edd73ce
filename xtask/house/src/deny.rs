//! The rules of `deny.toml` that need no tool beyond cargo: licences, banned packages, and two versions of one package.
//!
//! The same file serves `cargo deny check bans licenses sources` where that program is installed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::Finding;
use crate::metadata::{Metadata, Package};

/// Where every package that is not ours comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// `deny.toml`, as far as it is read here.
#[derive(Debug, Deserialize)]
pub struct DenyRules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Spec>,
    #[serde(default)]
    skip: Vec<Spec>,
}

/// `name`, or `name@version` with as many parts of the version as matter.
#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(rename = "crate")]
    package: String,
}

impl DenyRules {
    /// Reads the text of a `deny.toml`.
    ///
    /// # Panics
    /// When it is not one.
    pub fn parse(text: &str) -> Self {
        toml::from_str(text).expect("deny.toml has the sections licenses and bans")
    }
}

impl Spec {
    fn names(&self, package: &Package) -> bool {
        match self.package.split_once('@') {
            None => self.package == package.name,
            Some((name, version)) => name == package.name && begins_with_parts(&package.version, version),
        }
    }
}

/// Whether `1.2.3` begins with `1.2`, part by part.
fn begins_with_parts(version: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches(['=', '^', '~']);
    version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Packages whose licence is not among the allowed ones, or that come from elsewhere than the registry.
pub fn unlicensed(rules: &DenyRules, metadata: &Metadata) -> Vec<Finding> {
    let foreign = metadata.packages().filter(|package| package.source.is_some());
    foreign.filter_map(|package| objection(rules, package)).collect()
}

fn objection(rules: &DenyRules, package: &Package) -> Option<Finding> {
    if package.source.as_deref() != Some(REGISTRY) {
        return Some(Finding::of(&package.name, format!("comes from {:?}", package.source)));
    }
    let licence = package.license.as_deref().unwrap_or("none");
    (!is_allowed(rules, &package.name, licence)).then(|| Finding::of(&package.name, format!("is under {licence}")))
}

fn is_allowed(rules: &DenyRules, package: &str, licence: &str) -> bool {
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else { return false };
    let excepted = rules.licenses.exceptions.iter().filter(|exception| exception.package == package);
    let allowed: BTreeSet<&str> = rules
        .licenses
        .allow
        .iter()
        .chain(excepted.flat_map(|exception| &exception.allow))
        .map(String::as_str)
        .collect();
    expression.evaluate(|requirement| allowed.contains(requirement.to_string().as_str()))
}

/// Packages that are banned.
pub fn banned(rules: &DenyRules, metadata: &Metadata) -> Vec<Finding> {
    let found = metadata.packages().filter(|package| rules.bans.deny.iter().any(|spec| spec.names(package)));
    found.map(|package| Finding::of(&package.name, "is banned by deny.toml")).collect()
}

/// Packages that are there in several versions without being listed as skipped, and skips that nothing needs any more.
pub fn duplicated(rules: &DenyRules, metadata: &Metadata) -> Vec<Finding> {
    let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in metadata.packages() {
        versions.entry(&package.name).or_default().push(package);
    }
    let duplicates: Vec<&Vec<&Package>> = versions.values().filter(|packages| packages.len() > 1).collect();
    let mut findings: Vec<Finding> = duplicates.iter().filter_map(|packages| unexplained(rules, packages)).collect();
    for spec in &rules.bans.skip {
        if !duplicates.iter().any(|packages| packages.iter().any(|package| spec.names(package))) {
            findings.push(Finding::of(&spec.package, "is skipped in deny.toml, and no duplicate"));
        }
    }
    findings
}

/// All versions but one must be listed.
fn unexplained(rules: &DenyRules, packages: &[&Package]) -> Option<Finding> {
    let unlisted = packages.iter().filter(|package| !rules.bans.skip.iter().any(|spec| spec.names(package)));
    let unlisted: Vec<&str> = unlisted.map(|package| package.version.as_str()).collect();
    (unlisted.len() > 1).then(|| Finding::of(&packages[0].name, format!("is there as {}", unlisted.join(" and "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
        exceptions = [{ crate = "odd", allow = ["MPL-2.0"], reason = "shown" }]
        [bans]
        deny = [{ crate = "openssl" }]
        skip = [{ crate = "old@0.4", reason = "shown" }]
    "#;

    fn package(name: &str, version: &str) -> Package {
        let value =
            serde_json::json!({ "id": name, "name": name, "version": version, "license": null, "source": null });
        serde_json::from_value(value).expect("a package")
    }

    #[test]
    fn licences_are_read_as_expressions() {
        let rules = DenyRules::parse(RULES);
        let check =
            |name: &str, licence: &str, expected| assert_eq!(is_allowed(&rules, name, licence), expected, "{licence}");
        check("a", "MIT", true);
        check("a", "GPL-3.0-only OR MIT", true);
        check("a", "MIT/Apache-2.0", true);
        check("a", "MIT AND GPL-3.0-only", false);
        check("a", "Apache-2.0 WITH LLVM-exception", true);
        check("a", "Apache-2.0", false);
        check("a", "MPL-2.0", false);
        check("odd", "MPL-2.0 AND ISC", true);
        check("a", "none", false);
    }

    #[test]
    fn a_spec_names_as_much_of_a_version_as_it_says() {
        let check = |spec: &str, name: &str, version: &str, expected| {
            let spec = Spec { package: spec.to_owned() };
            assert_eq!(spec.names(&package(name, version)), expected, "{} {name} {version}", spec.package);
        };
        check("a", "a", "1.2.3", true);
        check("a@1.2", "a", "1.2.3", true);
        check("a@1.2", "a", "1.20.3", false);
        check("a@=1.2.3", "a", "1.2.3", true);
        check("a", "ab", "1.2.3", false);
    }

    #[test]
    fn two_versions_need_a_reason() {
        let rules = DenyRules::parse(RULES);
        let check = |name: &str, versions: &[&str], is_found: bool| {
            let packages: Vec<Package> = versions.iter().map(|version| package(name, version)).collect();
            assert_eq!(
                unexplained(&rules, &packages.iter().collect::<Vec<_>>()).is_some(),
                is_found,
                "{name} {versions:?}"
            );
        };
        check("old", &["0.4.9", "0.5.0"], false);
        check("old", &["0.4.9", "0.5.0", "0.6.0"], true);
        check("new", &["1.0.0", "2.0.0"], true);
    }
}
