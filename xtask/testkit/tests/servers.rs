//! The servers start, ask for what they should ask for, stop and come back.

use agentcal_testkit::{Server, ServerKind, radicale, status_of, xandikos};

fn check(server: Option<Server>, expected_kind: ServerKind, expected_status: u16) {
    let Some(mut server) = server else { return };
    let home = format!("/{}", server.home_url().trim_start_matches(&server.url()));
    assert_eq!(server.kind(), expected_kind);
    assert_eq!(status_of(server.address(), &home), Some(expected_status), "{}", server.said());
    server.stop();
    assert_eq!(status_of(server.address(), &home), None);
    server.start_again();
    assert_eq!(status_of(server.address(), &home), Some(expected_status), "{}", server.said());
}

#[test]
fn radicale_asks_for_a_password() {
    check(radicale(), ServerKind::Radicale, 401);
}

#[test]
fn xandikos_serves_everybody() {
    check(xandikos(), ServerKind::Xandikos, 200);
}
