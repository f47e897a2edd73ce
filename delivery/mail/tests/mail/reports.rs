//! What organizations are told of their own affairs.

use agentcal_delivery_mail::{Branding, Contact, Language, Mail, Report, ReportEvent, compose_report};

use crate::invitations::header_names;
use crate::world::{ODD_NAMES, address, at, sender};

pub(crate) fn report(language: Language) -> Report {
    Report {
        id: "webhook/hook_1/1".to_owned(),
        event: ReportEvent::WebhookDisabled {
            webhook_id: "hook_1".to_owned(),
            url: "https://example.com:8443/agentcal".to_owned(),
            is_gone: false,
            failing_since: at("2026-11-16T18:30:00.5Z"),
            last_status: Some(503),
            api_url: "https://cal.acme.example".to_owned(),
        },
        reader: Contact { name: "Acme GmbH".to_owned(), address: address("ops@acme.example") },
        language,
        branding: Branding { organization: "Acme GmbH".to_owned(), logo_url: None, accent: None },
        at: at("2026-11-21T18:30:00.5Z"),
    }
}

fn composed(report: &Report) -> Mail {
    compose_report(report, &sender())
}

#[test]
fn a_report_says_what_happened_and_what_to_do() {
    let mail = composed(&report(Language::English));
    assert_eq!(mail.shown.subject, "Webhook switched off: example.com:8443");
    let expected = "A webhook was switched off

Hello Acme GmbH,

One of your webhooks did nothing but fail for five days. Nothing is sent to it any more.

Address: https://example.com:8443/agentcal
Webhook: hook_1
Off since: 2026-11-21T18:30:00Z
Failing since: 2026-11-16T18:30:00Z
Last answer: 503

When it takes messages again, switch it on, and have sent again what was given up:

PATCH https://cal.acme.example/v1/webhooks/hook_1 {\"enabled\": true}
POST https://cal.acme.example/v1/webhooks/hook_1/replay {\"since\": \"2026-11-16T17:30:00Z\"}

What happens while it is off is not kept for it.

--\x20
Sent by Acme GmbH
";
    assert_eq!(mail.shown.text, expected);
    for said in ["A webhook was switched off", "https://example.com:8443/agentcal", "503", "/v1/webhooks/hook_1/replay"]
    {
        assert!(mail.shown.html.contains(said), "{said}: {}", mail.shown.html);
    }
    assert!(!mail.shown.html.contains("{{") && !mail.shown.html.contains("{%"), "{}", mail.shown.html);
}

#[test]
fn a_report_invites_to_nothing_and_is_not_answered_by_programs() {
    let mail = composed(&report(Language::English));
    let text = std::str::from_utf8(&mail.bytes).unwrap();
    assert_eq!((mail.invitation.as_ref(), text.contains("text/calendar")), (None, false));
    assert!(
        text.contains("Content-Type: multipart/alternative") && text.contains("Auto-Submitted: auto-generated\r\n")
    );
    let names = header_names(&mail);
    assert!(names.contains("X-Auto-Response-Suppress") && !names.contains("Reply-To"), "{names:?}");
    assert_eq!(mail.to, [address("ops@acme.example")]);
}

#[test]
fn reports_differ_by_what_they_tell() {
    let gone = |status| {
        let mut gone = report(Language::German);
        let ReportEvent::WebhookDisabled { is_gone, last_status, .. } = &mut gone.event;
        (*is_gone, *last_status) = (true, status);
        composed(&gone)
    };
    let (answered, silent) = (gone(Some(410)).shown.text, gone(None).shown.text);
    assert!(answered.contains("nicht mehr gibt (410)") && answered.contains("Letzte Antwort: 410"), "{answered}");
    assert!(silent.contains("Letzte Antwort: keine"), "{silent}");
}

#[test]
fn another_attempt_is_the_same_mail_and_another_report_another() {
    let first = report(Language::English);
    assert_eq!(composed(&first), composed(&first.clone()));
    let second = Report { id: "webhook/hook_1/2".to_owned(), ..first.clone() };
    assert_ne!(composed(&first).message_id, composed(&second).message_id);
}

#[test]
fn odd_names_break_out_of_nothing() {
    let plain = header_names(&composed(&report(Language::English)));
    for name in ODD_NAMES {
        let mut odd = report(Language::English);
        odd.reader.name = name.to_owned();
        odd.branding.organization = name.to_owned();
        let ReportEvent::WebhookDisabled { url, .. } = &mut odd.event;
        *url = format!("https://example.com/{name}");
        let mail = composed(&odd);
        assert_eq!(header_names(&mail), plain, "{name:?}");
        assert!(mail.bytes.is_ascii() && !mail.shown.html.contains("<script>"), "{name:?}");
    }
}
