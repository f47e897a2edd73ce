//! What the documents promise.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Finding;
use crate::files::SourceFile;

/// Relative links of a Markdown file that lead nowhere.
pub fn broken_links(root: &Path, file: &SourceFile) -> Vec<Finding> {
    let folder = root.join(&file.path);
    let folder = folder.parent().expect("a file lies in a folder");
    let links = file.text.lines().enumerate().flat_map(|(index, line)| targets(line).map(move |to| (index + 1, to)));
    let broken = links.filter(|(_, target)| is_relative(target) && !leads_somewhere(folder, &file.text, target));
    broken.map(|(line, target)| Finding::at(&file.path, line, format!("`{target}` leads nowhere"))).collect()
}

/// What stands between `](` and `)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

fn leads_somewhere(folder: &Path, this: &str, target: &str) -> bool {
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    if path.is_empty() {
        return heading.is_empty() || has_heading(this, heading);
    }
    let file = folder.join(path);
    match heading {
        "" => file.exists(),
        heading => std::fs::read_to_string(file).is_ok_and(|text| has_heading(&text, heading)),
    }
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|anchor| anchor == wanted)
}

/// The name a heading gets in an address: lower case, spaces to hyphens, punctuation gone.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Every cargo command a document tells its reader to run.
pub fn commands_in(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("cargo ").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|before| before == '`' || before == '\n' || before == ' ')
    });
    starts.map(|(at, _)| text[at..].split(['`', '\n', '#']).next().unwrap_or_default().trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let root = crate::files::root();
        let check = |text: &str, expected: usize| {
            let file = SourceFile { path: "xtask/house/sample.md".to_owned(), text: text.to_owned() };
            assert_eq!(broken_links(&root, &file).len(), expected, "{text}");
        };
        check("[a](Cargo.toml) and [b](../house/src/lib.rs) and [c](https://example.com/x.md)", 0);
        check("[a](Cargo.tom), [b](src/nowhere.rs)", 2);
        check("# One heading, two\n[a](#one-heading-two) [b](#three)", 1);
    }

    #[test]
    fn commands_are_read_from_code() {
        let found = commands_in("Run `cargo run -- dev`, then:\n```\ncargo test # all\n```\nwith cargo's help\n");
        assert_eq!(found, ["cargo run -- dev", "cargo test"].map(str::to_owned).into());
    }
}
