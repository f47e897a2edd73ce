//! The least HTTP it takes to ask whether a server answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The status a server on this machine answers a GET with; `None` when it does not answer in HTTP.
pub fn status_of(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut head = [0u8; 12];
    stream.read_exact(&mut head).ok()?;
    status_in(&head)
}

/// The status in the first twelve bytes of an answer, `HTTP/1.1 200`.
fn status_in(head: &[u8; 12]) -> Option<u16> {
    let text = std::str::from_utf8(head).ok()?;
    text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::status_in;

    #[test]
    fn a_status_is_read_and_nothing_else_is_taken_for_one() {
        let check = |head: &[u8; 12], expected| assert_eq!(status_in(head), expected);
        check(b"HTTP/1.1 200", Some(200));
        check(b"HTTP/1.0 503", Some(503));
        check(b"SSH-2.0-Open", None);
        check(b"HTTP/1.1 abc", None);
    }
}
