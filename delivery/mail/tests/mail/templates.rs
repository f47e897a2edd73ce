//! Templates as they should be, as authors break them, and as somebody writes them who means harm.

use std::sync::Arc;

use agentcal_delivery_mail::{
    Branding, Html, Language, NoticeEvent, NoticeKind, Part, ReaderRole, Template, TemplateSource, Templates, compose,
    default_source, preview, sample_notice,
};

use crate::world::{ODD_NAMES, all, events, notice, sender, to_host, with_many_hosts, with_odd_name};

fn subject(source: &str) -> TemplateSource {
    TemplateSource { subject: Some(source.to_owned()), ..TemplateSource::default() }
}

fn text(source: &str) -> TemplateSource {
    TemplateSource { text: Some(source.to_owned()), ..TemplateSource::default() }
}

fn html(source: &str) -> TemplateSource {
    TemplateSource { html: Some(Html::Plain(source.to_owned())), ..TemplateSource::default() }
}

fn mjml(body: &str) -> TemplateSource {
    let source = format!("<mjml>\n<mj-body>\n{body}\n</mj-body>\n</mjml>");
    TemplateSource { html: Some(Html::Mjml(source)), ..TemplateSource::default() }
}

fn compiled(source: &TemplateSource) -> Arc<Template> {
    Arc::new(Template::compile(NoticeKind::Confirmation, source).unwrap())
}

/// Line 0 stands for none.
#[track_caller]
fn refused(source: &TemplateSource, part: Part, line: usize, reason: &str) {
    let error = Template::compile(NoticeKind::Confirmation, source).expect_err(reason);
    assert_eq!((error.part, error.line.unwrap_or(0)), (part, line), "{error}");
    assert!(error.reason.contains(reason), "{error}");
}

#[test]
fn a_broken_template_is_refused_with_line_and_reason() {
    refused(&subject("{{ title "), Part::Subject, 1, "unexpected");
    refused(&text("a\n\n{% if title %}\nb"), Part::Text, 4, "end of input");
    refused(&text("a\n{{ titel }}"), Part::Text, 2, "undefined value");
    refused(&text("a\n{{ when.data }}"), Part::Text, 2, "undefined value");
    refused(&text("\n{{ title|reverse }}"), Part::Text, 2, "reverse");
    refused(&text("{{ title() }}"), Part::Text, 1, "");
    refused(&text("{{ range(10) }}"), Part::Text, 1, "range");
    refused(&text("\n\n\n{% include 'secrets.txt' %}"), Part::Text, 4, "`include` is no statement");
    refused(&text("{{ previous.date }}"), Part::Text, 1, "undefined");
    refused(&subject("{% if reason %}{{ reason }}{% endif %}"), Part::Subject, 0, "nothing comes out");
    refused(&html(" \n "), Part::Html, 0, "nothing comes out");
    refused(&text(&"a".repeat(65_537)), Part::Text, 0, "more than 65536 bytes");
}

#[test]
fn a_broken_mjml_is_refused_with_line_and_reason() {
    let good = "<mj-section><mj-column><mj-text>{{ title }}</mj-text></mj-column></mj-section>";
    compiled(&mjml(good));
    refused(&mjml("<mj-section>\n<mj-colum></mj-colum></mj-section>"), Part::Html, 4, "no element `mj-colum`");
    refused(&mjml("<mj-section><mj-column>"), Part::Html, 0, "");
    refused(&mjml("<mj-include path=\"/etc/passwd\" />"), Part::Html, 3, "nothing can be included");
    refused(&mjml(&good.replace("title", "titel")), Part::Html, 3, "undefined");
    refused(&mjml(&good.replace("}}", "}")), Part::Html, 3, "");
    refused(
        &TemplateSource { html: Some(Html::Mjml("<p>hello</p>".to_owned())), ..TemplateSource::default() },
        Part::Html,
        1,
        "",
    );
    let deep = format!("<mj-raw>{}{}</mj-raw>", "\n<div>".repeat(70), "</div>".repeat(70));
    refused(&mjml(&deep), Part::Html, 61, "elements lie more than 60 deep");
    refused(&mjml(&format!("<mj-raw>{}</mj-raw>", "<a>".repeat(20_000))), Part::Html, 3, "deep");
    refused(&mjml(&format!("<mj-raw>{}</mj-raw>", "<a><!-- </a> -->".repeat(3_000))), Part::Html, 3, "deep");
    let images = "\n<mj-carousel-image src=\"a\" />".repeat(2_000);
    refused(&mjml(&images), Part::Html, 24, "more than 20 pictures");
}

/// What grows without end is either not part of the language, or runs out.
#[test]
fn templates_without_end_end() {
    let nested = |depth: usize| {
        let (open, close) = ("{% for a in with %}".repeat(depth), "{% endfor %}".repeat(depth));
        format!("x{open}{{% if a %}}{{% endif %}}{close}")
    };
    refused(&text(&nested(30)), Part::Text, 1, "too many steps");
    let wide = format!("{{% for a in intro %}}{{% for b in intro %}}{}{{% endfor %}}{{% endfor %}}", "x".repeat(4_000));
    refused(&text(&wide), Part::Text, 0, "more than 262144 bytes come out");
    refused(&text(&nested(101)), Part::Text, 1, "more than 100 deep");
    refused(&text("{% set a = title ~ title %}"), Part::Text, 1, "`set` is no statement");
    refused(&text("{{ title * 1000000000 }}"), Part::Text, 1, "`*` is not part");
    refused(
        &text(&format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000))),
        Part::Text,
        1,
        "more than 20 deep",
    );
    refused(&text(&format!("{{{{ {}1 }}}}", "not ".repeat(10_000))), Part::Text, 1, "one tag");
    refused(&text(&format!("{{{{ title{} }}}}", "|upper".repeat(10_000))), Part::Text, 1, "one tag");
}

#[test]
fn html_is_escaped_and_text_is_not() {
    let script = "</td><script>alert('1')</script>\" onload=\"x";
    let evil = with_odd_name(notice(NoticeEvent::Confirmation), script);
    let mut sources =
        vec![TemplateSource::default(), html("<p title=\"{{ title }}\">{{ title|title }}{{ title|upper }}</p>")];
    sources.push(mjml(
        "<mj-section><mj-column><mj-text>{{ title }}</mj-text><mj-button href=\"{{ title }}\">a</mj-button>\
         <mj-raw><i title='{{ title }}'></i></mj-raw></mj-column></mj-section>",
    ));
    for source in sources {
        let shown = preview(&evil, &compiled(&source)).unwrap();
        let html = shown.html.to_lowercase();
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("\" onload"), "{html}");
        assert!(html.contains("&lt;script&gt;"), "{html}");
        assert!(shown.text.contains("<script>alert('1')</script>"), "{}", shown.text);
    }
}

#[test]
fn an_accounts_template_goes_before_its_organizations() {
    let (account, organization) = (compiled(&subject("account {{ title }}")), compiled(&subject("organization")));
    let kind = NoticeKind::Confirmation;
    let of = |templates: &Templates, event| compose(&notice(event), &sender(), templates).mail.shown.subject;
    let both = Templates::default().with_account(kind, account).with_organization(kind, Arc::clone(&organization));
    assert_eq!(of(&both, NoticeEvent::Confirmation), "account Introductory call");
    let one = Templates::default().with_organization(kind, organization);
    assert_eq!(of(&one, NoticeEvent::Confirmation), "organization");
    let reminder = of(&both, NoticeEvent::Reminder { minutes_before: 60 });
    assert_eq!(reminder, "Reminder: Introductory call, 24 November 2026, 09:00");
}

/// What no sample shows can still go wrong. The mail is sent, and the mistake is told.
#[test]
fn the_default_stands_in_for_a_template_that_fails() {
    let fragile = compiled(&text("{{ hosts|length }}\n{% if hosts|length > 40 %}{{ nothing }}{% endif %}"));
    let templates = Templates::default().with_account(NoticeKind::Confirmation, fragile);
    let good = compose(&notice(NoticeEvent::Confirmation), &sender(), &templates);
    assert_eq!((good.mail.shown.text.as_str(), good.template_error), ("1\n", None));
    let bad = compose(&with_many_hosts(notice(NoticeEvent::Confirmation)), &sender(), &templates);
    assert!(bad.mail.shown.text.contains("Your booking is confirmed"));
    let error = bad.template_error.unwrap();
    assert_eq!((error.part, error.line), (Part::Text, Some(2)));
}

#[test]
fn the_default_template_shows_every_notice() {
    for notice in all() {
        let mail = compose(&notice, &sender(), &Templates::default()).mail;
        for content in [&mail.shown.text, &mail.shown.html] {
            assert!(!content.contains("{{") && !content.contains("{%"), "{content}");
        }
        assert!(!mail.shown.subject.contains(['\r', '\n']));
    }
    for kind in NoticeKind::ALL {
        Template::compile(kind, default_source()).unwrap();
    }
}

#[test]
fn the_text_says_everything() {
    let text = |notice| compose(&notice, &sender(), &Templates::default()).mail.shown.text;
    let links = "See your booking:
https://cal.acme.example/manage/eyJ0b2tlbiI6MX0

Choose another time:
https://cal.acme.example/manage/eyJ0b2tlbiI6MX0/reschedule

Cancel:
https://cal.acme.example/manage/eyJ0b2tlbiI6MX0/cancel

-- \nSent by Acme GmbH\n";
    let moved = "Your booking has a new time

Hello Ada Lovelace,

“Introductory call” with Grace Hopper now takes place at another time.

When: Tuesday, 24 November 2026
    09:00 to 09:30
    Europe/Berlin (UTC+01:00)
Before: Monday, 23 November 2026, 11:00 to 11:30, Europe/Berlin (UTC+01:00)
Where: https://meet.example.com/room?a=1&b=2
With: Grace Hopper
";
    assert_eq!(text(notice(events()[1].clone())), format!("{moved}\n{links}"));
    let mut cancelled = to_host(notice(events()[2].clone()));
    cancelled.reader.language = Language::German;
    let expected = "Ein Termin wurde abgesagt

Guten Tag Grace Hopper,

„Introductory call“ mit Ada Lovelace wurde abgesagt und findet nicht statt.

Wann: Dienstag, 24. November 2026
    09:00 bis 09:30 Uhr
    Europe/Berlin (UTC+01:00)
Mit: Ada Lovelace (ada@example.com)
Grund: I am ill; sorry, all.
See you\\soon

Termin ansehen:
https://cal.acme.example/manage/eyJ0b2tlbiI6MX0

-- \nGesendet von Acme GmbH\n";
    assert_eq!(text(cancelled), expected);
}

/// No mail loads more than its logo from elsewhere, and runs nothing.
#[test]
fn the_page_loads_the_logo_and_nothing_else() {
    for name in ODD_NAMES {
        let shown =
            preview(&with_odd_name(notice(NoticeEvent::Confirmation), name), &compiled(&TemplateSource::default()));
        let html = shown.unwrap().html;
        assert_eq!(html.matches("src=").count(), 1);
        assert!(html.contains("src=\"https://acme.example/logo.png\""), "{html}");
        for forbidden in ["<script", "<link", "@import", "url(", "<iframe", "<object", "<form"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
    }
}

#[test]
fn a_preview_shows_a_sample() {
    let branding = Branding { organization: "Acme".to_owned(), logo_url: None, accent: None };
    for kind in NoticeKind::ALL {
        let template = Template::compile(kind, &TemplateSource::default()).unwrap();
        for language in Language::ALL {
            for role in [ReaderRole::Attendee, ReaderRole::Host] {
                let shown = preview(&sample_notice(kind, language, role, branding.clone()), &template).unwrap();
                assert!(shown.html.contains("Lovelace") && shown.text.contains("Lovelace"));
                assert!(shown.html.contains(&format!("lang=\"{}\"", language.tag())));
            }
        }
    }
}
