//! Texts and templates by chance.

use agentcal_delivery_mail::{Html, NoticeEvent, NoticeKind, Template, TemplateSource};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use crate::invitations::{header_names, invitation};
use crate::world::{mail_of, notice, with_odd_name};

/// Any characters, and among them often those that mean something to mail, calendars, templates or pages.
fn text() -> impl Strategy<Value = String> {
    let special = select(vec![
        "\r\n",
        "\n",
        "\r",
        "\"",
        "'",
        "<",
        ">",
        ";",
        ":",
        ",",
        "\\",
        "\\n",
        "=?utf-8?q?a?=",
        "BEGIN:VEVENT",
        "{{",
        "{%",
        "&",
        "\u{2028}",
        "\u{202e}",
        "\0",
        "💙",
        "ü",
        " ",
        "Bcc: a@b.example",
        "--",
        ".",
    ]);
    let piece = prop_oneof![special.prop_map(str::to_owned), any::<char>().prop_map(String::from), "[a-zA-Z ]{0,60}"];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Pieces of templates, in any order.
fn template() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "{{ title }}",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{% if title %}",
        "{% elif x %}",
        "{% else %}",
        "{% endif %}",
        "{% for a in hosts %}",
        "{% endfor %}",
        "{{ a }}",
        "{{ hosts[",
        "]",
        "(",
        ")",
        "|upper",
        "|",
        " not ",
        " in ",
        " is ",
        "none",
        "-%}",
        "{%- ",
        "loop.index",
        "1",
        "'a",
        "\"",
        "~",
        "*",
        "-",
        "when.date",
        "previous.date",
        "\n",
        "é",
        "text",
    ]);
    vec(pieces, 1..25).prop_map(|pieces| pieces.concat())
}

/// Pieces of MJML, in any order, within a page.
fn mjml() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "<mj-section>",
        "</mj-section>",
        "<mj-column width=\"é\">",
        "</mj-column>",
        "<mj-text>",
        "</mj-text>",
        "<mj-raw>",
        "</mj-raw>",
        "<mj-section><mj-column><mj-text>",
        "</mj-text></mj-column></mj-section>",
        "<mj-hero height=\"x\">",
        "</mj-hero>",
        "<mj-image width=\"-1px\" />",
        "<mj-spacer height=\"99999999999999999999px\" />",
        "<mj-divider border-width=\"é\" />",
        "<mj-navbar hamburger=\"hamburger\"><mj-navbar-link /></mj-navbar>",
        "<mj-social><mj-social-element name=\"x\" />",
        "</mj-social>",
        "<mj-group>",
        "</mj-group>",
        "<mj-wrapper padding=\"é é é é é\">",
        "</mj-wrapper>",
        "<mj-table>",
        "</mj-table>",
        "{{ title }}",
        "{% if title %}",
        "{% endif %}",
        "<!--[if mso]>",
        "<![endif]-->",
        "<!--",
        "-->",
        "<![CDATA[",
        "<br>",
        "</br>",
        "<a b=c d='e' f>",
        "</a>",
        "&",
        "<",
        "é",
        "\0",
    ]);
    vec(pieces, 0..20).prop_map(|pieces| format!("<mjml><mj-body>{}</mj-body></mjml>", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_text_changes_the_shape_of_a_mail(name in text(), reason in text()) {
        let mut odd = with_odd_name(notice(NoticeEvent::Confirmation), &name);
        odd.event = NoticeEvent::Cancellation { reason: Some(reason) };
        let mail = mail_of(&odd);
        let plain = mail_of(&notice(NoticeEvent::Cancellation { reason: None }));
        assert_eq!(header_names(&mail), header_names(&plain));
        assert!(mail.bytes.is_ascii());
        assert!(mail.bytes.split(|&byte| byte == b'\n').all(|line| line.len() <= 999));
        let (file, _) = invitation(&mail).unwrap();
        assert!(file.split("\r\n").all(|line| line.len() <= 75 && !line.contains(['\r', '\n'])));
        assert_eq!(file.matches("\r\nBEGIN:").count(), 1);
        assert_eq!(file.matches("\r\nATTENDEE;").count(), 2);
    }

    #[test]
    fn every_template_gets_an_answer(text in template(), page in mjml()) {
        let source = TemplateSource { subject: None, text: Some(text), html: Some(Html::Mjml(page)) };
        // Refused or accepted; a template that was accepted shows every sample, which is how it was accepted.
        let _ = Template::compile(NoticeKind::Reschedule, &source).map_err(|error| assert!(!error.reason.is_empty()));
        let page = TemplateSource { text: None, ..source };
        let _ = Template::compile(NoticeKind::Reschedule, &page).map_err(|error| assert!(!error.reason.is_empty()));
    }
}
