//! Text from strangers, made fit to stand in one line or in a paragraph.

/// Longest name of a person or an organization, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 120;
/// Longest title or subject, in characters.
pub(crate) const TITLE_CHARS_MAX: usize = 250;
/// Longest location, reason or other free text, in characters.
pub(crate) const PROSE_CHARS_MAX: usize = 2_000;

/// What ends a text that was too long.
const ELLIPSIS: char = '…';

/// One line: what breaks lines or cannot be seen becomes a space, runs of spaces become one, and what is too long ends in
/// an ellipsis. So nothing a stranger wrote can begin a header, or turn what follows it round.
pub(crate) fn line(text: &str, chars_max: usize) -> String {
    let visible = text.chars().map(|character| if is_invisible(character) { ' ' } else { character });
    let spaced: String = visible.take(chars_max.saturating_mul(4)).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    shortened(&words.join(" "), chars_max)
}

/// Lines: as [`line()`], each for itself, with line breaks kept and at most one empty line in a row.
pub(crate) fn lines(text: &str, chars_max: usize) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let mut kept: Vec<String> = Vec::new();
    for text in text.split('\n') {
        let clean = line(text, chars_max);
        if !clean.is_empty() || kept.last().is_some_and(|before| !before.is_empty()) {
            kept.push(clean);
        }
    }
    shortened(kept.join("\n").trim_end(), chars_max)
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push(ELLIPSIS);
    short
}

/// Controls, line and paragraph separators, marks that reverse the order of what follows, and the mark of byte order.
fn is_invisible(character: char) -> bool {
    let separates = matches!(character, '\u{2028}' | '\u{2029}' | '\u{85}');
    let reverses = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || separates || reverses || character == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_line() {
        let check = |text: &str, expected: &str| assert_eq!(line(text, 12), expected, "{text:?}");
        check("Ada", "Ada");
        check("  Ada \t Lovelace ", "Ada Lovelace");
        check("a\r\nBcc: b@c", "a Bcc: b@c");
        check("a\u{2028}b\u{0}c\u{85}d", "a b c d");
        check("\u{202e}gnp.exe", "gnp.exe");
        check("Zoë 💙 Ünal", "Zoë 💙 Ünal");
        check("0123456789abc", "0123456789a…");
        check(&"x ".repeat(10_000), "x x x x x x…");
        check("\r\n", "");
    }

    #[test]
    fn paragraphs_keep_their_lines() {
        assert_eq!(lines("a\r\n\r\n\r\n\r\nb\rc\n\n", 100), "a\n\nb\nc");
        assert_eq!(lines("\n\n", 100), "");
        assert_eq!(lines("abc\ndef", 5), "abc…");
    }
}
