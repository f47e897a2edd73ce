//! The part of Jinja that templates may use: values of the notice, literals, comparisons, `if`, `for`, and a few filters.
//!
//! Whatever could make a value grow is left out: concatenation, repetition, lists and maps of one's own, variables,
//! macros, captures, and filters that join or replace. So no value is longer than what the notice or the template brings,
//! and the number of steps and the length of the output bound everything else. A rendering engine's own limits count
//! steps, and forty steps of doubling are a terabyte.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{
    AutoEscape, Environment, Error, Output, State, UndefinedBehavior, Value, escape_formatter, filters, tests,
};

use super::error::{Part, TemplateError};

/// Steps one part may take.
const FUEL: u64 = 100_000;
/// How deep loops and conditions may lie in each other.
const DEPTH_MAX: usize = 100;
/// How deep parentheses and subscripts may lie in each other.
const NESTING_MAX: usize = 20;
/// Operators one expression may have; each is a level of recursion for who compiles it.
const TOKENS_PER_TAG_MAX: usize = 100;
/// Statements there are.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Delimiters and line breaks as usual; a line with nothing but a statement leaves no empty line.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("usual delimiters")
}

/// Where templates are compiled and rendered. Knows no other template, no function and no file.
pub(super) fn environment(escape: AutoEscape) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_syntax(syntax());
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(format);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH_MAX);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("title", filters::title);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("default", filters::default);
    environment.add_filter("escape", filters::escape);
    environment.add_filter("e", filters::escape);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("none", tests::is_none);
    environment
}

/// Escapes what could end an attribute or begin an element, and no more: the usual way writes every slash of a link as a
/// character reference, which mail programs that look for links need not understand.
fn format(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = value.as_str().filter(|_| !value.is_safe() && matches!(state.auto_escape(), AutoEscape::Html));
    let Some(text) = text else { return escape_formatter(output, state, value) };
    for part in text.split_inclusive(['&', '<', '>', '"', '\'']) {
        let special = part.chars().next_back().map(|last| (last, escaped(last)));
        match special {
            Some((last, Some(reference))) => {
                output.write_str(&part[..part.len() - last.len_utf8()])?;
                output.write_str(reference)?;
            }
            _ => output.write_str(part)?,
        }
    }
    Ok(())
}

fn escaped(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    }
}

/// Refuses what is outside the language, with the line it stands in.
pub(super) fn check(part: Part, source: &str) -> Result<(), TemplateError> {
    let mut tag = Tag::default();
    let mut depth = 0usize;
    for token in tokenize(source, false, syntax()) {
        let (token, span) = token.map_err(|error| TemplateError::of(part, &error))?;
        let refuse = |reason: String| TemplateError::new(part, Some(usize::from(span.start_line)), reason);
        match token {
            Token::TemplateData(_) => {}
            Token::VariableStart | Token::BlockStart => {
                tag = Tag { is_statement: matches!(token, Token::BlockStart), ..Tag::default() };
            }
            Token::VariableEnd | Token::BlockEnd => {}
            token => tag.take(token, &mut depth).map_err(refuse)?,
        }
    }
    Ok(())
}

/// What was seen of the tag that is being read.
#[derive(Default)]
struct Tag {
    is_statement: bool,
    tokens: usize,
    nesting: usize,
    /// Whether a value has just ended, so that what follows is a subscript and not a list.
    follows_value: bool,
}

impl Tag {
    fn take(&mut self, token: Token<'_>, depth: &mut usize) -> Result<(), String> {
        self.tokens += 1;
        if self.tokens > TOKENS_PER_TAG_MAX {
            return Err(format!("one tag has more than {TOKENS_PER_TAG_MAX} words and signs"));
        }
        if self.is_statement && self.tokens == 1 {
            return statement(&token, depth);
        }
        self.nest(&token)?;
        if let Some(forbidden) = forbidden(&token, self.follows_value) {
            return Err(format!("{forbidden} is not part of the template language"));
        }
        self.follows_value = ends_value(&token);
        Ok(())
    }

    fn nest(&mut self, token: &Token<'_>) -> Result<(), String> {
        match token {
            Token::ParenOpen | Token::BracketOpen => self.nesting += 1,
            Token::ParenClose | Token::BracketClose => self.nesting = self.nesting.saturating_sub(1),
            _ => {}
        }
        if self.nesting > NESTING_MAX {
            return Err(format!("parentheses lie more than {NESTING_MAX} deep"));
        }
        Ok(())
    }
}

fn statement(token: &Token<'_>, depth: &mut usize) -> Result<(), String> {
    let Token::Ident(name) = token else { return Err(format!("{token} is no statement")) };
    if !STATEMENTS.contains(name) {
        return Err(format!("`{name}` is no statement of the template language, which has {}", STATEMENTS.join(", ")));
    }
    match *name {
        "if" | "for" => *depth += 1,
        "endif" | "endfor" => *depth = depth.saturating_sub(1),
        _ => {}
    }
    if *depth > DEPTH_MAX {
        return Err(format!("conditions and loops lie more than {DEPTH_MAX} deep"));
    }
    Ok(())
}

fn forbidden(token: &Token<'_>, follows_value: bool) -> Option<String> {
    match token {
        Token::Plus | Token::Tilde | Token::Mul | Token::Pow | Token::BraceOpen | Token::BraceClose => {
            Some(token.to_string())
        }
        Token::BracketOpen if !follows_value => Some("a list".to_owned()),
        Token::Ident("recursive") => Some("`recursive`".to_owned()),
        Token::Assign => Some("an assignment".to_owned()),
        _ => None,
    }
}

/// Words between values, after which a bracket opens a list.
const CONNECTIVES: [&str; 8] = ["and", "or", "not", "in", "is", "if", "elif", "else"];

fn ends_value(token: &Token<'_>) -> bool {
    match token {
        Token::Ident(name) => !CONNECTIVES.contains(name),
        Token::ParenClose | Token::BracketClose | Token::Str(_) | Token::String(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_could_grow_is_refused_where_it_stands() {
        let check = |source: &str, expected: Option<usize>| {
            let found = check(Part::Text, source);
            assert_eq!(found.as_ref().err().and_then(|error| error.line), expected, "{source}: {found:?}");
        };
        check("{{ title }} {% if location %}{{ location|upper }}{% else %}-{% endif %}", None);
        check("{% for name in hosts %}{{ loop.index }}: {{ name }}{% endfor %}{{ hosts[0] }}{{ hosts[0:2] }}", None);
        check("{{ (title|trim)[0] }}{{ 'a' if location else 'b' }}{{ title == 'x' and 1 < 2 }}", None);
        check("a { b } c ~ * + [1] {# {% set x = 1 %} #}", None);
        check("\n\n{{ title ~ title }}", Some(3));
        check("\n{{ title * 99999999 }}", Some(2));
        check("{{ 9 ** 9 }}", Some(1));
        check("{{ hosts + hosts }}", Some(1));
        check("{{ [title, title] }}", Some(1));
        check("{{ title in [title] }}", Some(1));
        check("{% if not [1] %}{% endif %}", Some(1));
        check("{% for a in [title, title] %}{% endfor %}", Some(1));
        check("{{ {'a': 1} }}", Some(1));
        check("{% set a = title %}", Some(1));
        check("{% with a = title %}{% endwith %}", Some(1));
        check("{% macro a() %}{% endmacro %}", Some(1));
        check("{% filter upper %}{% endfilter %}", Some(1));
        check("{% include 'a' %}", Some(1));
        check("{% autoescape false %}{% endautoescape %}", Some(1));
        check("{% raw %}", Some(1));
        check("{% for a in hosts recursive %}{{ loop(hosts) }}{% endfor %}", Some(1));
        check(&format!("{{{{ {}1{} }}}}", "(".repeat(21), ")".repeat(21)), Some(1));
        check(&format!("{{{{ 1{} }}}}", " - 1".repeat(60)), Some(1));
        check(&"{% if title %}".repeat(101), Some(1));
        check("{{ 'unended", Some(1));
    }
}
