//! Rust as a flat list of tokens, so that comments and texts cannot be mistaken for code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) is_ident: bool,
}

/// All tokens, brackets included, in order. Comments are gone; documentation is what the compiler makes of it: a text.
///
/// # Panics
/// When the text is not Rust.
pub(crate) fn tokens(path: &str, text: &str) -> Vec<Token> {
    let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
    let mut found = Vec::new();
    flatten(stream, &mut found);
    found
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                into.push(Token { text: open.to_owned(), line, is_ident: false });
                flatten(group.stream(), into);
                let line = group.span_close().start().line;
                into.push(Token { text: close.to_owned(), line, is_ident: false });
            }
            TokenTree::Ident(ident) => into.push(Token { text: ident.to_string(), line, is_ident: true }),
            TokenTree::Punct(punct) => into.push(Token { text: punct.to_string(), line, is_ident: false }),
            TokenTree::Literal(literal) => into.push(Token { text: literal.to_string(), line, is_ident: false }),
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// Lines that begin inside a literal.
///
/// # Panics
/// When the text is not Rust.
pub(crate) fn lines_inside_texts(path: &str, text: &str) -> Vec<usize> {
    let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
    let (mut found, mut open) = (Vec::new(), vec![stream]);
    while let Some(stream) = open.pop() {
        for tree in stream {
            match tree {
                TokenTree::Group(group) => open.push(group.stream()),
                TokenTree::Literal(literal) => {
                    let span = literal.span();
                    found.extend(span.start().line + 1..=span.end().line);
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
    found
}

/// Lines on which the tokens of `pattern`, written with spaces between them, follow each other.
pub(crate) fn lines_with(tokens: &[Token], pattern: &str) -> Vec<usize> {
    let wanted: Vec<&str> = pattern.split(' ').collect();
    tokens
        .windows(wanted.len())
        .filter(|window| window.iter().zip(&wanted).all(|(token, wanted)| token.text == *wanted))
        .map(|window| window[0].line)
        .collect()
}

/// The words an identifier is made of, lower case: `SyncToken` and `sync_token` are the same two.
pub(crate) fn words_of(ident: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut was_lower = false;
    for letter in ident.chars() {
        let begins = letter == '_' || (letter.is_uppercase() && was_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if letter != '_' {
            words.last_mut().expect("never empty").extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_words() {
        let check = |ident: &str, expected: &[&str]| assert_eq!(words_of(ident), expected, "{ident}");
        check("sync_token", &["sync", "token"]);
        check("SyncToken", &["sync", "token"]);
        check("SYNC_TOKEN", &["sync", "token"]);
        check("_href", &["href"]);
        check("subscriber", &["subscriber"]);
    }

    #[test]
    fn comments_and_texts_are_no_code() {
        let found = tokens("sample", "// Utc::now()\nfn f() { g(\"Utc::now\"); }\nfn h() { Utc::now(); }");
        assert_eq!(lines_with(&found, "Utc : : now"), [3]);
    }
}
