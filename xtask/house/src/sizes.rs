//! How long files and functions may be.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use crate::Finding;
use crate::syntax::lines_inside_texts;

/// Most lines of a Rust file.
pub const FILE_LINES_MAX: usize = 500;
/// Most lines of a function, from its signature to its closing brace. A text of several lines, such as a query or the
/// snapshot of an answer, is data and counts as one.
pub const FUNCTION_LINES_MAX: usize = 70;

/// The file, if it is too long.
pub fn long_file(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > FILE_LINES_MAX).then(|| Finding::of(path, format!("{lines} lines, more than {FILE_LINES_MAX}")))
}

/// The file's functions that are too long.
///
/// # Panics
/// When the text is not Rust.
pub fn long_functions(path: &str, text: &str) -> Vec<Finding> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
    let mut visitor = Functions { path, inside_texts: lines_inside_texts(path, text), found: Vec::new() };
    visitor.visit_file(&file);
    visitor.found
}

struct Functions<'a> {
    path: &'a str,
    inside_texts: Vec<usize>,
    found: Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, name: &syn::Ident, signature: Span, block: Span) {
        let (first, last) = (signature.start().line, block.end().line);
        let data = self.inside_texts.iter().filter(|line| (first..=last).contains(*line)).count();
        let lines = last + 1 - first - data;
        if lines > FUNCTION_LINES_MAX {
            let what = format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}");
            self.found.push(Finding::at(self.path, first, what));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig.ident, item.sig.fn_token.span, item.block.brace_token.span.close());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig.ident, item.sig.fn_token.span, item.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig.ident, item.sig.fn_token.span, block.brace_token.span.close());
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let sample =
            |lines: usize| format!("impl A {{\n fn long() {{\n{}}}\n}}\nfn short() {{}}\n", "f();\n".repeat(lines));
        assert_eq!(long_functions("sample", &sample(FUNCTION_LINES_MAX - 2)), []);
        let expected = Finding::at("sample", 2, "`long` has 71 lines, more than 70");
        assert_eq!(long_functions("sample", &sample(FUNCTION_LINES_MAX - 1)), [expected]);
        let query = |lines: usize| format!("fn f() {{ g!(r#\"{}\"#); }}", "\n".repeat(lines));
        assert_eq!(long_functions("sample", &query(FUNCTION_LINES_MAX)), []);
    }

    #[test]
    fn files_are_measured_in_lines() {
        assert_eq!(long_file("sample", &"\n".repeat(FILE_LINES_MAX)), None);
        assert!(long_file("sample", &"\n".repeat(FILE_LINES_MAX + 1)).is_some());
    }
}
