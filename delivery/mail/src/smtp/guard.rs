//! A connection to a server that is not trusted to keep to its turn, nor to end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Most bytes one connection may say in all its life; a hundred mails need a tenth.
const HEARD_LEN_MAX: usize = 1_024 * 1_024;
/// Most bytes of one answer, in the clear and encrypted, where a handshake is among them.
const ANSWER_LEN_MAX: usize = 16 * 1_024;
const ENCRYPTED_LEN_MAX: usize = 64 * 1_024;
/// Bytes read at once.
const CHUNK_LEN: usize = 4_096;
/// What the first message of a TLS handshake begins with, and no command does.
const TLS_HANDSHAKE: u8 = 0x16;

/// Hands on one line at a time, and refuses to write while something unread lies there: a server speaks when it was asked.
/// Without that, what somebody slips in before the encryption begins would count as said under it. Once encryption begins
/// above, bytes pass as they come.
pub(super) struct Guarded<S> {
    stream: S,
    peer: SocketAddr,
    unread: Vec<u8>,
    heard_len: usize,
    /// Since we last said something.
    answer_len: usize,
    is_encrypted_above: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, unread: Vec::new(), heard_len: 0, answer_len: 0, is_encrypted_above: false }
    }

    fn count(&mut self, len: usize) -> io::Result<()> {
        self.heard_len += len;
        self.answer_len += len;
        let answer_len_max = if self.is_encrypted_above { ENCRYPTED_LEN_MAX } else { ANSWER_LEN_MAX };
        if self.heard_len > HEARD_LEN_MAX || self.answer_len > answer_len_max {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not stop talking"));
        }
        Ok(())
    }

    /// What is unread up to the end of its first line, as far as there is room.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) {
        let line_len = self.unread.iter().position(|&byte| byte == b'\n').map_or(self.unread.len(), |at| at + 1);
        let rest = self.unread.split_off(line_len.min(buffer.remaining()));
        buffer.put_slice(&self.unread);
        self.unread = rest;
    }

    fn take_turn(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.answer_len = 0;
        if self.is_encrypted_above || bytes.is_empty() {
            return Ok(());
        }
        if !self.unread.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server spoke out of turn"));
        }
        self.is_encrypted_above = bytes[0] == TLS_HANDSHAKE;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_encrypted_above {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
            return Poll::Ready(this.count(buffer.filled().len() - before));
        }
        if this.unread.is_empty() {
            let mut chunk = [0; CHUNK_LEN];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            this.count(chunk.filled().len())?;
            this.unread.extend_from_slice(chunk.filled());
        }
        this.hand_on(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.take_turn(bytes)?;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guarded").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Guarded<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncTokioStream for Guarded<TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
