//! MJML to the HTML that mail programs understand, once for each version of a template and not for each mail.

use htmlparser::{ElementEnd, StrSpan, Token, Tokenizer};
use mrml::prelude::parser::{Error as MjmlError, ParserOptions};
use mrml::prelude::render::RenderOptions;

use super::error::{Part, TemplateError};

/// How deep elements may lie in each other; each is a few levels of recursion.
const DEPTH_MAX: usize = 60;
/// Pictures in carousels, each of which is styled against each other.
const CAROUSEL_IMAGES_MAX: usize = 20;
/// Elements that have no end.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Compiles MJML. Nothing is loaded from elsewhere, neither now (`mj-include`) nor by the reader (fonts).
pub(super) fn compile(source: &str) -> Result<String, TemplateError> {
    check_elements(source)?;
    let refuse = |error: MjmlError| {
        let line = position_of(&error).map(|offset| line_at(source, offset));
        TemplateError::new(Part::Html, line, told(&error))
    };
    let parsed = mrml::parse_with_options(source, &ParserOptions::default()).map_err(refuse)?;
    let options = RenderOptions { fonts: [].into(), ..RenderOptions::default() };
    let rendered = parsed.element.render(&options);
    rendered.map_err(|error| TemplateError::new(Part::Html, None, format!("the MJML could not be compiled: {error}")))
}

/// Elements MJML has.
const ELEMENTS: [&str; 35] = [
    "mj-accordion",
    "mj-accordion-element",
    "mj-accordion-text",
    "mj-accordion-title",
    "mj-all",
    "mj-attributes",
    "mj-body",
    "mj-breakpoint",
    "mj-button",
    "mj-carousel",
    "mj-carousel-image",
    "mj-class",
    "mj-column",
    "mj-divider",
    "mj-font",
    "mj-group",
    "mj-head",
    "mj-hero",
    "mj-image",
    "mj-include",
    "mj-navbar",
    "mj-navbar-link",
    "mj-preview",
    "mj-raw",
    "mj-section",
    "mj-social",
    "mj-social-element",
    "mj-spacer",
    "mj-style",
    "mj-table",
    "mj-text",
    "mj-title",
    "mj-wrapper",
    "mjml",
    "mj-html-attributes",
];

/// Reads the elements as the compiler will, without recursion.
fn check_elements(source: &str) -> Result<(), TemplateError> {
    let mut walk = Walk::default();
    for token in Tokenizer::from(source) {
        let token = token.map_err(|error| {
            let line = usize::try_from(error.pos().row).ok();
            TemplateError::new(Part::Html, line, error.to_string())
        })?;
        walk.take(&token)
            .map_err(|(reason, span)| TemplateError::new(Part::Html, Some(line_at(source, span.start())), reason))?;
    }
    Ok(())
}

#[derive(Default)]
struct Walk<'s> {
    name: &'s str,
    depth: usize,
    images: usize,
}

impl<'s> Walk<'s> {
    fn take(&mut self, token: &Token<'s>) -> Result<(), (String, StrSpan<'s>)> {
        match token {
            Token::ElementStart { local, span, .. } => {
                self.name = local.as_str();
                self.begin().map_err(|reason| (reason, *span))
            }
            Token::ElementEnd { end: ElementEnd::Open, span } if !VOID.contains(&self.name) => {
                self.depth += 1;
                let is_too_deep = self.depth > DEPTH_MAX;
                if is_too_deep { Err((format!("elements lie more than {DEPTH_MAX} deep"), *span)) } else { Ok(()) }
            }
            Token::ElementEnd { end: ElementEnd::Close(..), .. } => {
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The compiler passes elements on that it does not know, and no mail program knows them either.
    fn begin(&mut self) -> Result<(), String> {
        if self.name.starts_with("mj") && !ELEMENTS.contains(&self.name) {
            return Err(format!("there is no element `{}` in MJML", self.name));
        }
        self.images += usize::from(self.name == "mj-carousel-image");
        if self.images > CAROUSEL_IMAGES_MAX {
            return Err(format!("more than {CAROUSEL_IMAGES_MAX} pictures in carousels"));
        }
        Ok(())
    }
}

fn position_of(error: &MjmlError) -> Option<usize> {
    match error {
        MjmlError::UnexpectedElement { position, .. }
        | MjmlError::UnexpectedToken { position, .. }
        | MjmlError::MissingAttribute { position, .. }
        | MjmlError::InvalidAttribute { position, .. }
        | MjmlError::InvalidFormat { position, .. }
        | MjmlError::IncludeLoaderError { position, .. } => Some(position.start),
        _ => None,
    }
}

fn told(error: &MjmlError) -> String {
    match error {
        MjmlError::UnexpectedElement { .. } => "an element that may not stand here".to_owned(),
        MjmlError::UnexpectedToken { .. } => "something that may not stand here".to_owned(),
        MjmlError::MissingAttribute { name, .. } => format!("the attribute `{name}` is missing"),
        MjmlError::InvalidAttribute { .. } => "an attribute that makes no sense".to_owned(),
        MjmlError::InvalidFormat { .. } => "a value that makes no sense".to_owned(),
        MjmlError::EndOfStream { .. } => "an element has no end".to_owned(),
        MjmlError::IncludeLoaderError { .. } => "nothing can be included".to_owned(),
        MjmlError::NoRootNode => "there is no <mjml>".to_owned(),
        other => other.to_string(),
    }
}

fn line_at(source: &str, offset: usize) -> usize {
    let before = &source.as_bytes()[..offset.min(source.len())];
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}
