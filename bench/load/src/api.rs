//! Requests under a key.

use serde_json::Value;

use crate::connection::Connection;

/// Whoever asks, by a key.
pub(crate) struct Api {
    secret_key: String,
}

impl Api {
    pub(crate) fn new(secret_key: &str) -> Self {
        Self { secret_key: secret_key.to_owned() }
    }

    /// Sends a body and reads the answer; one with another status than expected is an error.
    pub(crate) async fn send(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        body: &str,
        expected: u16,
    ) -> Result<Vec<u8>, String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.secret_key,
            body.len()
        );
        let reply =
            connection.exchange(request.as_bytes()).await.map_err(|error| format!("{method} failed: {error}"))?;
        if reply.status != expected {
            let shown = String::from_utf8_lossy(reply.body);
            return Err(format!("{method} {path} was answered with status {}: {shown}", reply.status));
        }
        Ok(reply.body.to_vec())
    }

    /// The same with JSON on both sides.
    pub(crate) async fn ask(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        body: &Value,
        expected: u16,
    ) -> Result<Value, String> {
        let answer = self.send(connection, method, path, &body.to_string(), expected).await?;
        serde_json::from_slice(&answer).map_err(|error| format!("{method} {path} was not answered with JSON: {error}"))
    }
}
