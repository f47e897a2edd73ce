//! What becomes of a mail, for each recipient, whatever the server does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentcal_delivery_mail::{NoticeEvent, Outcome, SmtpSettings, SmtpTimeouts, SmtpTransport, Transport};

use crate::scripted::Turn::{Close, Encrypt, Flood, Hang, Say, SayAndClose};
use crate::scripted::{Script, Scripted, friendly};
use crate::world::{mail_of, notice, plain_mail};

/// Long enough for everything that is not meant to end by it.
const PATIENT: SmtpTimeouts = SmtpTimeouts {
    connect: Duration::from_secs(30),
    command: Duration::from_secs(30),
    mail: Duration::from_secs(30),
    idle: Duration::from_secs(300),
};
/// For servers that never greet, never answer a mail, and never answer in between.
const UNTIL_GREETED: SmtpTimeouts = SmtpTimeouts { command: Duration::from_millis(300), ..PATIENT };
const UNTIL_TAKEN: SmtpTimeouts = SmtpTimeouts { mail: Duration::from_millis(300), ..PATIENT };
const UNTIL_ANSWERED: SmtpTimeouts = SmtpTimeouts { command: Duration::from_secs(6), ..PATIENT };

pub(crate) fn transport(url: &str, timeouts: SmtpTimeouts) -> SmtpTransport {
    let mut settings = SmtpSettings::parse(url).unwrap();
    settings.timeouts = timeouts;
    SmtpTransport::new(settings)
}

/// In words: what became of it, and why.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered(answer) => format!("delivered: {answer}"),
        Outcome::Refused(answer) => format!("refused: {answer}"),
        Outcome::Later(trouble) => format!("later: {trouble}"),
        Outcome::Unusable(trouble) => format!("unusable: {trouble}"),
    }
}

/// Sends one mail to Ada and Ben, and compares what became of it for each.
async fn check_with(url: &str, timeouts: SmtpTimeouts, script: Script, expected: [&str; 2]) -> Scripted {
    let server = Scripted::start(script).await;
    let transport = transport(&url.replace("HOST", &server.address.to_string()), timeouts);
    let deliveries = transport.send(&plain_mail(&["ada@example.com", "ben@example.com"])).await;
    let recipients: Vec<String> = deliveries.iter().map(|delivery| delivery.recipient.to_string()).collect();
    assert_eq!(recipients, ["ada@example.com", "ben@example.com"]);
    let outcomes: Vec<String> = deliveries.iter().map(|delivery| told(&delivery.outcome)).collect();
    assert_eq!(outcomes, expected);
    server
}

async fn check(script: Script, expected: [&str; 2]) -> Scripted {
    check_with("smtp://HOST", PATIENT, script, expected).await
}

#[tokio::test]
async fn a_mail_reaches_everybody() {
    let server = check(friendly, ["delivered: 250 2.0.0 Ok: queued as 1"; 2]).await;
    let mails = server.seen.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("\r\n.a line that begins with a dot\r\n"), "{}", mails[0]);
}

#[tokio::test]
async fn recipients_are_told_apart() {
    let script: Script = |line| match line {
        "RCPT TO:<ben@example.com>" => Say("550-5.1.1 <ben@example.com>:\r\n550 5.1.1 no such user"),
        _ => friendly(line),
    };
    let server = check(script, ["delivered: 250 2.0.0 Ok: queued as 1", "refused: 550 5.1.1 : no such user"]).await;
    assert_eq!(server.seen.mails().len(), 1);
    let script: Script = |line| match line {
        "RCPT TO:<ada@example.com>" => Say("451 4.7.1 Greylisted, please try again in 300 seconds"),
        _ => friendly(line),
    };
    let greylisted = "later: the server answered 451 4.7.1 Greylisted, please try again in 300 seconds";
    check(script, [greylisted, "delivered: 250 2.0.0 Ok: queued as 1"]).await;
}

#[tokio::test]
async fn nobody_left_means_no_mail_is_sent() {
    let script: Script = |line| match line {
        "RCPT TO:<ada@example.com>" => Say("550 5.7.1 go away"),
        "RCPT TO:<ben@example.com>" => Say("552 too many recipients"),
        _ => friendly(line),
    };
    let server =
        check(script, ["refused: 550 5.7.1 go away", "later: the server answered 552 too many recipients"]).await;
    assert_eq!(server.seen.count("DATA"), 0);
}

/// Each verdict, where in the conversation it comes.
#[tokio::test]
async fn verdicts_count_for_whom_they_are_about() {
    check(
        |line| if line == "GREETING" { Say("554 5.7.1 blocked") } else { friendly(line) },
        ["unusable: the server answered 554 5.7.1 blocked"; 2],
    )
    .await;
    check(
        |line| if line == "GREETING" { Say("421 4.3.2 closing") } else { friendly(line) },
        ["later: the server answered 421 4.3.2 closing"; 2],
    )
    .await;
    check(
        |line| if line.starts_with("MAIL") { Say("550 5.7.60 not your sender") } else { friendly(line) },
        ["unusable: the server answered 550 5.7.60 not your sender"; 2],
    )
    .await;
    check(
        |line| if line.starts_with("MAIL") { Say("452 4.3.1 full") } else { friendly(line) },
        ["later: the server answered 452 4.3.1 full"; 2],
    )
    .await;
    check(
        |line| if line.starts_with("RCPT") { Say("530 5.7.0 log in first") } else { friendly(line) },
        ["unusable: the server answered 530 5.7.0 log in first"; 2],
    )
    .await;
    check(
        |line| if line == "DATA" { Say("451 4.3.0 not now") } else { friendly(line) },
        ["later: the server answered 451 4.3.0 not now"; 2],
    )
    .await;
    check(
        |line| if line == "." { Say("554 5.7.1 Message \"plain\" looks like spam") } else { friendly(line) },
        ["refused: 554 5.7.1 Message looks like spam"; 2],
    )
    .await;
    check(
        |line| if line == "." { Say("451 4.3.0 disk full") } else { friendly(line) },
        ["later: the server answered 451 4.3.0 disk full"; 2],
    )
    .await;
}

#[tokio::test]
async fn silence_ends_by_itself() {
    let hangs_at_once: Script = |line| if line == "GREETING" { Hang } else { friendly(line) };
    check_with(
        "smtp://HOST",
        UNTIL_GREETED,
        hangs_at_once,
        ["later: the server was silent for too long while greeting"; 2],
    )
    .await;
    let hangs_at_data: Script = |line| if line == "DATA" { Hang } else { friendly(line) };
    check_with(
        "smtp://HOST",
        UNTIL_ANSWERED,
        hangs_at_data,
        ["later: the server was silent for too long before the mail"; 2],
    )
    .await;
    let hangs_at_the_end: Script = |line| if line == "." { Hang } else { friendly(line) };
    check_with(
        "smtp://HOST",
        UNTIL_TAKEN,
        hangs_at_the_end,
        ["later: no answer came to the mail, which may have been taken"; 2],
    )
    .await;
}

#[tokio::test]
async fn connections_are_lost_at_any_moment() {
    check(
        |line| if line == "GREETING" { Close } else { friendly(line) },
        ["later: the connection was lost while greeting"; 2],
    )
    .await;
    let at_ben: Script = |line| if line.starts_with("RCPT TO:<ben") { Close } else { friendly(line) };
    check(at_ben, ["later: the connection was lost before the mail"; 2]).await;
    let says_so_at_ben: Script = |line| match line {
        "RCPT TO:<ada@example.com>" => Say("550 5.1.1 unknown"),
        "RCPT TO:<ben@example.com>" => SayAndClose("421 4.4.2 too slow"),
        _ => friendly(line),
    };
    check(says_so_at_ben, ["refused: 550 5.1.1 unknown", "later: the server answered 421 4.4.2 too slow"]).await;
    check(
        |line| if line == "DATA" { Close } else { friendly(line) },
        ["later: the connection was lost before the mail"; 2],
    )
    .await;
}

/// A mail that may have been taken comes again as the same mail.
#[tokio::test]
async fn doubt_is_told_and_the_next_attempt_can_be_recognised() {
    let script: Script = |line| if line == "." { Close } else { friendly(line) };
    let server = Scripted::start(script).await;
    let transport = transport(&format!("smtp://{}", server.address), PATIENT);
    for _ in 0..2 {
        let deliveries = transport.send(&mail_of(&notice(NoticeEvent::Confirmation))).await;
        assert_eq!(told(&deliveries[0].outcome), "later: no answer came to the mail, which may have been taken");
    }
    let mails = server.seen.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].contains("Message-ID: <"));
    assert_eq!(mails[0], mails[1]);
}

const GARBLED_BEFORE: &str = "later: the server's answer made no sense before the mail";

#[tokio::test]
async fn nonsense_is_not_listened_to_for_ever() {
    let garbled = ["later: the server's answer made no sense while greeting"; 2];
    check(|line| if line == "GREETING" { Say("HTTP/1.1 400 Bad Request") } else { friendly(line) }, garbled).await;
    check(|line| if line == "GREETING" { Flood("x") } else { friendly(line) }, garbled).await;
    check(|line| if line == "EHLO" { friendly(line) } else { Flood("220-go on\r\n") }, garbled).await;
    check(|line| if line == "GREETING" { Say("220 \u{fffd}\u{0}") } else { Flood("\u{0}\r\n") }, garbled).await;
    check(|line| if line == "DATA" { Say("250 fine") } else { friendly(line) }, [GARBLED_BEFORE; 2]).await;
    check(|line| if line.starts_with("RCPT") { Say("354 go on") } else { friendly(line) }, [GARBLED_BEFORE; 2]).await;
    let doubtful = ["later: no answer came to the mail, which may have been taken"; 2];
    check(|line| if line == "." { Say("well, yes") } else { friendly(line) }, doubtful).await;
    check(|line| if line == "." { Say("354 go on") } else { friendly(line) }, doubtful).await;
}

#[tokio::test]
async fn encryption_that_fails_sends_nothing() {
    const REQUIRED: &str = "smtp://HOST?tls=required";
    let check = async |script: Script, expected: &str| {
        let server = check_with(REQUIRED, PATIENT, script, [expected; 2]).await;
        assert_eq!(server.seen.count("MAIL"), 0);
        server
    };
    check(friendly, "unusable: the server does not offer STARTTLS").await;
    check(|line| starttls(line, Say("454 4.7.0 no TLS now")), "later: the server answered 454 4.7.0 no TLS now").await;
    check(|line| starttls(line, Say("501 5.5.4 no")), "unusable: the server answered 501 5.5.4 no").await;
    check(|line| starttls(line, Encrypt("220 go")), "later: the connection was lost while greeting").await;
    // What is slipped in before the encryption is not taken for what was said under it.
    check(
        |line| starttls(line, Say("220 go\r\n250-mail.example.com\r\n250 AUTH PLAIN")),
        "later: the server's answer made no sense while greeting",
    )
    .await;
}

fn starttls(line: &str, turn: crate::scripted::Turn) -> crate::scripted::Turn {
    match line.split(' ').next() {
        Some("EHLO") => Say("250-mail.example.com\r\n250 STARTTLS"),
        Some("STARTTLS") => turn,
        _ => friendly(line),
    }
}

#[tokio::test]
async fn a_refused_login_is_the_operators_affair() {
    const URL: &str = "smtp://user:pass@HOST";
    let check = async |script: Script, expected: &str| {
        let server = check_with(URL, PATIENT, script, [expected; 2]).await;
        assert_eq!(server.seen.count("MAIL"), 0);
    };
    check(|line| auth(line, "535 5.7.8 wrong"), "unusable: the server answered 535 5.7.8 wrong").await;
    check(|line| auth(line, "454 4.7.0 try later"), "later: the server answered 454 4.7.0 try later").await;
    check(friendly, "unusable: the server offers no way to log in that is known here").await;
    let good: Script = |line| auth(line, "235 2.7.0 welcome");
    let server = check_with(URL, PATIENT, good, ["delivered: 250 2.0.0 Ok: queued as 1"; 2]).await;
    assert_eq!(server.seen.count("AUTH PLAIN AHVzZXIAcGFzcw=="), 1);
}

fn auth(line: &str, verdict: &'static str) -> crate::scripted::Turn {
    match line.split(' ').next() {
        Some("EHLO") => Say("250-mail.example.com\r\n250 AUTH PLAIN LOGIN"),
        Some("AUTH") => Say(verdict),
        _ => friendly(line),
    }
}

#[tokio::test]
async fn nobody_there_is_no_verdict() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let transport = transport(&format!("smtp://{address}"), PATIENT);
    let deliveries = transport.send(&plain_mail(&["ada@example.com"])).await;
    assert_eq!(told(&deliveries[0].outcome), "later: the server cannot be reached");
    assert!(transport.check().await.is_err());
}

#[tokio::test]
async fn connections_are_used_again_while_they_stand() {
    let server = Scripted::start(friendly).await;
    let transport = transport(&format!("smtp://{}", server.address), PATIENT);
    for _ in 0..60 {
        let deliveries = transport.send(&plain_mail(&["ada@example.com"])).await;
        assert_eq!(told(&deliveries[0].outcome), "delivered: 250 2.0.0 Ok: queued as 1");
    }
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 2, "fifty mails a connection");
    transport.check().await.unwrap();
}

/// A server may close what is idle: the next mail does not suffer from it.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    let script: Script = |line| if line == "." { SayAndClose("250 2.0.0 ok and goodbye") } else { friendly(line) };
    let server = Scripted::start(script).await;
    let transport = transport(&format!("smtp://{}", server.address), PATIENT);
    for _ in 0..3 {
        let deliveries = transport.send(&plain_mail(&["ada@example.com"])).await;
        assert_eq!(told(&deliveries[0].outcome), "delivered: 250 2.0.0 ok and goodbye");
    }
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let server = Scripted::start(friendly).await;
    let mut settings = SmtpSettings::parse(&format!("smtp://{}", server.address)).unwrap();
    settings.connections_max = 2;
    let transport = Arc::new(SmtpTransport::new(settings));
    let send = |_| {
        let transport = Arc::clone(&transport);
        tokio::spawn(async move { transport.send(&plain_mail(&["ada@example.com"])).await })
    };
    let sent: Vec<_> = (0..20).map(send).collect();
    for task in sent {
        assert_eq!(told(&task.await.unwrap()[0].outcome), "delivered: 250 2.0.0 Ok: queued as 1");
    }
    assert!(server.seen.open_max.load(Ordering::SeqCst) <= 2);
    assert_eq!(server.seen.mails().len(), 20);
}
