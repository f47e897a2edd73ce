//! The folder in place of a server.

use agentcal_delivery_mail::{NoticeEvent, OUTBOX_MAILS_MAX, Outbox, Outcome, Transport};

use crate::world::{at, mail_of, notice, plain_mail};

#[tokio::test]
async fn mails_are_kept_listed_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(&folder.path().join("mail")).unwrap();
    for number in 1..=3 {
        let mut mail = plain_mail(&["ada@example.com", "ben@example.com"]);
        mail.message_id = format!("{number}@acme.example");
        mail.shown.subject = format!("mail {number}");
        let deliveries = outbox.send(&mail).await;
        assert_eq!(deliveries.len(), 2);
        assert!(deliveries.iter().all(|delivery| matches!(delivery.outcome, Outcome::Delivered(_))));
    }
    let listed = outbox.list(2).await.unwrap();
    let subjects: Vec<&str> = listed.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(subjects, ["mail 3", "mail 2"]);
    assert_eq!(listed[0].to, ["ada@example.com", "ben@example.com"]);
    let (page, bytes) = outbox.read(&listed[0].name).await.unwrap().unwrap();
    assert_eq!(page, listed[0]);
    assert_eq!(bytes, plain_mail(&[]).bytes);
}

#[tokio::test]
async fn a_mail_is_kept_with_its_date_and_invitation() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    for event in [NoticeEvent::Confirmation, NoticeEvent::Reminder { minutes_before: 60 }] {
        outbox.send(&mail_of(&notice(event))).await;
    }
    let kept = outbox.list(9).await.unwrap();
    assert!(kept.iter().all(|mail| mail.at == at("2026-11-21T18:30:00.5Z")), "{kept:#?}");
    let invitations: Vec<_> = kept.into_iter().map(|mail| mail.invitation).collect();
    assert_eq!(invitations[0], None);
    assert!(invitations[1].as_ref().unwrap().contains("\r\nMETHOD:REQUEST\r\n"), "{invitations:?}");
}

#[tokio::test]
async fn the_same_mail_again_is_one_mail() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    outbox.send(&plain_mail(&["ada@example.com"])).await;
    outbox.send(&plain_mail(&["ada@example.com"])).await;
    assert_eq!(outbox.list(9).await.unwrap().len(), 1);
    let again = Outbox::open(folder.path()).unwrap();
    let mut other = plain_mail(&["ada@example.com"]);
    other.message_id = "other@acme.example".to_owned();
    again.send(&other).await;
    let names: Vec<String> = again.list(9).await.unwrap().into_iter().map(|mail| mail.name).collect();
    assert!(names[0].starts_with("0000000002-") && names[1].starts_with("0000000001-"), "{names:?}");
}

#[tokio::test]
async fn the_oldest_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    for number in 0..OUTBOX_MAILS_MAX + 5 {
        let mut mail = plain_mail(&["ada@example.com"]);
        mail.message_id = format!("{number}@acme.example");
        outbox.send(&mail).await;
    }
    let listed = outbox.list(usize::MAX).await.unwrap();
    assert_eq!(listed.len(), OUTBOX_MAILS_MAX);
    assert_eq!(listed.last().unwrap().message_id, "5@acme.example");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2 * OUTBOX_MAILS_MAX);
}

/// Names come from addresses of pages, and pages can be asked for anything.
#[tokio::test]
async fn nothing_outside_is_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret.eml"), "secret").unwrap();
    std::fs::write(folder.path().join("secret.json"), "{}").unwrap();
    let outbox = Outbox::open(&folder.path().join("mail")).unwrap();
    for name in
        ["../secret", "secret", "", "..", "0000000001-", "0000000001-0123456789abcdeg", "0000000001-0123456789abcdef"]
    {
        assert!(outbox.read(name).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    drop(folder);
    let deliveries = outbox.send(&plain_mail(&["ada@example.com"])).await;
    assert!(matches!(deliveries[0].outcome, Outcome::Later(_)));
}
