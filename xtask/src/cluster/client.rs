//! The least HTTP it takes to ask a node on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::run::Failure;

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A node that is ready says so at once; one that is paused never does.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// An answer.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Its content; null when it is not JSON.
    pub(super) body: Value,
}

/// Somebody with a key.
pub(super) struct Client<'a> {
    /// The node that is asked.
    pub(super) address: SocketAddr,
    /// The key.
    pub(super) secret_key: &'a str,
}

impl Client<'_> {
    /// Reads.
    pub(super) fn get(&self, path: &str) -> Option<Answer> {
        self.send("GET", path, None)
    }

    /// Writes, and returns what was made.
    pub(super) fn write(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        match self.send(method, path, Some(body)) {
            Some(Answer { status: 200..=299, body }) => Ok(body),
            Some(Answer { status, body }) => Err(Failure(format!("{method} {path} was answered {status}: {body}"))),
            None => Err(Failure(format!("{method} {path} was not answered"))),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Answer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.secret_key,
            body.len(),
        );
        answer_in(&exchange(self.address, &request, ANSWER_WITHIN)?)
    }
}

/// Whether a node says it is to be sent requests.
pub(super) fn is_ready(address: SocketAddr) -> bool {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, &request, READY_WITHIN).and_then(|text| answer_in(&text));
    answer.is_some_and(|answer| answer.status == 200)
}

fn exchange(address: SocketAddr, request: &str, within: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).ok()?;
    stream.set_read_timeout(Some(within)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

fn answer_in(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some(Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::answer_in;

    #[test]
    fn answers_are_read_and_nothing_else_is_taken_for_one() {
        let check = |text: &str, expected: Option<(u16, Value)>| {
            assert_eq!(answer_in(text).map(|answer| (answer.status, answer.body)), expected, "{text}");
        };
        check("HTTP/1.1 201 Created\r\nA: b\r\n\r\n{\"id\":1}", Some((201, json!({"id": 1}))));
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, Value::Null)));
        check("HTTP/1.1 200 OK\r\n", None);
        check("SSH-2.0-Open\r\n\r\n", None);
    }
}
