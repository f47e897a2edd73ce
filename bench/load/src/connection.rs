//! One kept-alive connection, read by hand: whatever the measuring costs is taken from what is measured.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Room for an answer from the beginning, so that few reads bring it.
const RECEIVED_LEN: usize = 512 * 1_024;
/// Longest head of an answer.
const HEAD_LEN_MAX: usize = 16 * 1_024;

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// What the head of an answer says of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    len: usize,
    status: u16,
    body_len: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(RECEIVED_LEN) })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            self.read_some().await?;
            if let Some(head) = Head::read(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.len + head.body_len {
            self.read_some().await?;
        }
        Ok(Reply { status: head.status, body: &self.received[head.len..] })
    }

    async fn read_some(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Head {
    /// `None`: not all of it came yet.
    fn read(received: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = received.windows(4).take(HEAD_LEN_MAX).position(|window| window == b"\r\n\r\n") else {
            let too_long = received.len() > HEAD_LEN_MAX;
            return if too_long { Err(odd("its head has no end")) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&received[..end]).map_err(io::Error::other)?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| odd("its first line has no status"))?;
        let len = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let body_len = match (len, status) {
            (Some(len), _) => len,
            (None, 204) => 0,
            (None, _) => return Err(odd("it does not say how long it is")),
        };
        Ok(Some(Self { len: end + 4, status, body_len }))
    }
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer cannot be read: {why}"))
}

#[test]
fn heads_are_read() {
    let check = |text: &str, expected: Option<(usize, u16, usize)>| {
        let expected = expected.map(|(len, status, body_len)| Head { len, status, body_len });
        assert_eq!(Head::read(text.as_bytes()).ok(), Some(expected), "{text}");
    };
    check("HTTP/1.1 200 OK\r\ncontent-le", None);
    check("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{}", Some((39, 200, 12)));
    check("HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n", Some((35, 204, 0)));
    for odd in ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "SSH-2.0\r\n\r\n"] {
        assert!(Head::read(odd.as_bytes()).is_err(), "{odd}");
    }
}
