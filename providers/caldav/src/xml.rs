//! WebDAV answers (RFC 4918, 14): parsed whole into owned values, with limits on what a stranger may send.

use std::collections::BTreeMap;

use agentcal_engine::ports::ProviderError;
use roxmltree::{Document, Node, ParsingOptions};

/// Most XML nodes in one answer.
const NODES_MAX: u32 = 2_000_000;
/// Deepest nesting inside a property that is looked at.
const DEPTH_MAX: usize = 8;
/// Deepest nesting of elements that is given to the parser, which recurses.
const NESTING_MAX: usize = 64;

/// WebDAV's namespace.
pub(crate) const DAV: &str = "DAV:";
/// CalDAV's namespace.
pub(crate) const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";
/// The namespace of what calendarserver.org made common.
pub(crate) const CALENDAR_SERVER: &str = "http://calendarserver.org/ns/";

/// An element, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    pub(crate) fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    /// The texts of all `DAV:href` children.
    pub(crate) fn hrefs(&self) -> Vec<&str> {
        let hrefs = self.children.iter().filter(|child| child.is(DAV, "href"));
        hrefs.map(|href| href.text.trim()).filter(|href| !href.is_empty()).collect()
    }
}

/// What a multistatus says about one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) href: String,
    /// The status of the resource as a whole, where it has one.
    pub(crate) status: Option<u16>,
    /// Properties that were found.
    pub(crate) properties: Vec<Element>,
    /// The worst status of a property that was not.
    pub(crate) property_status: Option<u16>,
}

impl Response {
    pub(crate) fn property(&self, namespace: &str, name: &str) -> Option<&Element> {
        self.properties.iter().find(|property| property.is(namespace, name))
    }

    pub(crate) fn text(&self, namespace: &str, name: &str) -> Option<&str> {
        let text = self.property(namespace, name)?.text.trim();
        (!text.is_empty()).then_some(text)
    }
}

/// A multistatus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Multistatus {
    pub(crate) responses: Vec<Response>,
    pub(crate) sync_token: Option<String>,
}

/// Parses a multistatus.
pub(crate) fn multistatus(body: &[u8]) -> Result<Multistatus, ProviderError> {
    let document = Text::of(body)?;
    let document = document.parse()?;
    let root = document.root_element();
    if !is(&root, DAV, "multistatus") {
        return Err(not_dav());
    }
    let mut parsed = Multistatus::default();
    for node in root.children().filter(Node::is_element) {
        if is(&node, DAV, "response") {
            parsed.responses.push(response(&node));
        } else if is(&node, DAV, "sync-token") {
            parsed.sync_token = Some(text_of(&node).trim().to_owned()).filter(|token| !token.is_empty());
        }
    }
    Ok(parsed)
}

/// The names of the preconditions an error body carries (RFC 4918, 16), and the hrefs inside them.
pub(crate) fn preconditions(body: &[u8]) -> Vec<Element> {
    let Ok(text) = Text::of(body) else { return Vec::new() };
    let Ok(document) = text.parse() else { return Vec::new() };
    let root = document.root_element();
    if is(&root, DAV, "error") { owned(&root, 0).children } else { Vec::new() }
}

/// Checked before it is parsed: text, and not nested deeper than the parser's stack bears.
struct Text<'b>(&'b str);

impl<'b> Text<'b> {
    fn of(body: &'b [u8]) -> Result<Self, ProviderError> {
        let text = std::str::from_utf8(body)
            .map_err(|error| ProviderError::Refused(format!("the answer is not UTF-8 ({error})")))?;
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if !text.starts_with('<') || starts_like_html(text) {
            return Err(not_dav());
        }
        (nesting(text) <= NESTING_MAX).then_some(Self(text)).ok_or_else(not_dav)
    }

    fn parse(&self) -> Result<Document<'b>, ProviderError> {
        let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        Document::parse_with_options(self.0, options)
            // Where, and not what: what is wrong there may be somebody's title.
            .map_err(|error| ProviderError::Refused(format!("the answer is not well-formed XML, at {}", error.pos())))
    }
}

fn starts_like_html(text: &str) -> bool {
    let head: String = text.chars().take(15).collect::<String>().to_ascii_lowercase();
    head.starts_with("<!doctype") || head.starts_with("<html")
}

/// How deep elements are nested: tags opened and not yet closed. What is not well-formed may count as too deep, never as
/// less deep than the parser would find it.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let skipped =
            [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].into_iter().find(|(open, _)| rest.starts_with(open));
        let end = match skipped {
            Some((_, close)) => rest.find(close).map(|at| at + close.len()),
            None => tag_len(rest),
        };
        let Some(end) = end else { break };
        let tag = &rest[..end];
        if skipped.is_none() && tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if skipped.is_none() && !tag.ends_with("/>") {
            depth += 1;
            deepest = deepest.max(depth);
        }
        rest = &rest[end..];
    }
    deepest
}

/// Length of the tag a text begins with. A `>` inside quotes does not end it.
fn tag_len(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if byte == open => quote = None,
            _ => {}
        }
    }
    None
}

fn not_dav() -> ProviderError {
    ProviderError::Refused("the answer is no WebDAV XML; is this the address of a CalDAV server?".to_owned())
}

fn response(node: &Node<'_, '_>) -> Response {
    let mut parsed = Response::default();
    for child in node.children().filter(Node::is_element) {
        if is(&child, DAV, "href") && parsed.href.is_empty() {
            parsed.href = text_of(&child).trim().to_owned();
        } else if is(&child, DAV, "status") {
            parsed.status = status_of(&text_of(&child));
        } else if is(&child, DAV, "propstat") {
            let element = owned(&child, 0);
            let status = element.child(DAV, "status").and_then(|status| status_of(&status.text)).unwrap_or(200);
            match element.children.into_iter().find(|child| child.is(DAV, "prop")) {
                Some(prop) if (200..300).contains(&status) => parsed.properties.extend(prop.children),
                _ => parsed.property_status = parsed.property_status.max(Some(status)),
            }
        }
    }
    parsed
}

fn status_of(line: &str) -> Option<u16> {
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn is(node: &Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.tag_name().namespace() == Some(namespace) && node.tag_name().name() == name
}

fn text_of(node: &Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|child| child.text()).collect()
}

fn owned(node: &Node<'_, '_>, depth: usize) -> Element {
    let children = node.children().filter(|child| child.is_element() && depth < DEPTH_MAX);
    Element {
        namespace: node.tag_name().namespace().unwrap_or_default().to_owned(),
        name: node.tag_name().name().to_owned(),
        attributes: node.attributes().map(|a| (a.name().to_owned(), a.value().to_owned())).collect(),
        text: text_of(node),
        children: children.map(|child| owned(&child, depth + 1)).collect(),
    }
}

/// Text for use inside an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
