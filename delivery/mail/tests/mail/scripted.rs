//! A mail server that does as it is told, however bad.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the server does when its turn comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// Says this, with line ends added.
    Say(&'static str),
    /// Says nothing, and keeps the connection.
    Hang,
    /// Ends the connection.
    Close,
    /// Says this, and ends the connection.
    SayAndClose(&'static str),
    /// Says this again and again, for as long as somebody listens.
    Flood(&'static str),
    /// Says this, and begins TLS.
    Encrypt(&'static str),
}

/// Chooses a turn: for `GREETING`, for each command line, and for `.`, the end of a mail.
pub(crate) type Script = fn(&str) -> Turn;

/// Takes everything.
pub(crate) fn friendly(line: &str) -> Turn {
    match line.split([' ', ':']).next().unwrap_or_default() {
        "GREETING" => Turn::Say("220 mail.example.com ready"),
        "EHLO" => Turn::Say("250-mail.example.com\r\n250 8BITMIME"),
        "DATA" => Turn::Say("354 go on"),
        "QUIT" => Turn::SayAndClose("221 2.0.0 goodbye"),
        "." => Turn::Say("250 2.0.0 Ok: queued as 1"),
        _ => Turn::Say("250 2.0.0 Ok"),
    }
}

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) commands: Mutex<Vec<String>>,
    pub(crate) mails: Mutex<Vec<String>>,
    pub(crate) connections: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) open_max: AtomicUsize,
}

impl Seen {
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.commands.lock().unwrap().iter().filter(|line| line.starts_with(verb)).count()
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

/// A server that runs until its runtime ends.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

#[derive(Clone)]
struct Play {
    script: Script,
    seen: Arc<Seen>,
    acceptor: Option<TlsAcceptor>,
    is_encrypted_from_the_start: bool,
}

impl Scripted {
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_with(script, None, false).await
    }

    pub(crate) async fn start_with(script: Script, acceptor: Option<TlsAcceptor>, from_the_start: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let play = Play { script, seen: Arc::clone(&seen), acceptor, is_encrypted_from_the_start: from_the_start };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(play.clone().serve(stream));
            }
        });
        Self { address, seen }
    }
}

impl Play {
    async fn serve(self, stream: TcpStream) {
        self.seen.connections.fetch_add(1, Ordering::SeqCst);
        let open = self.seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.open_max.fetch_max(open, Ordering::SeqCst);
        if self.is_encrypted_from_the_start {
            if let Ok(stream) = self.acceptor.as_ref().unwrap().accept(stream).await {
                self.converse(stream, "GREETING").await;
            }
        } else if let Some(stream) = self.converse(stream, "GREETING").await
            && let Some(acceptor) = &self.acceptor
            && let Ok(stream) = acceptor.accept(stream).await
        {
            self.converse(stream, "ENCRYPTED").await;
        }
        self.seen.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Talks until somebody has enough. Gives the stream back where TLS is to begin.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, first: &str) -> Option<S> {
        let mut stream = BufReader::new(stream);
        let mut line = first.to_owned();
        loop {
            let turn = if line == "ENCRYPTED" { Turn::Say("") } else { (self.script)(&line) };
            match turn {
                Turn::Say("") => {}
                Turn::Say(text) => say(&mut stream, text).await?,
                Turn::Hang => std::future::pending().await,
                Turn::Close => return None,
                Turn::SayAndClose(text) => {
                    say(&mut stream, text).await?;
                    return None;
                }
                Turn::Flood(text) => loop {
                    stream.get_mut().write_all(text.as_bytes()).await.ok()?;
                },
                Turn::Encrypt(text) => {
                    say(&mut stream, text).await?;
                    return Some(stream.into_inner());
                }
            }
            line = if line == "DATA" && matches!(turn, Turn::Say(text) if text.starts_with("354")) {
                let mail = content(&mut stream).await?;
                self.seen.mails.lock().unwrap().push(mail);
                ".".to_owned()
            } else {
                read(&mut stream).await?
            };
            self.seen.commands.lock().unwrap().push(line.clone());
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, text: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
    stream.get_mut().flush().await.ok()
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let len = stream.read_line(&mut line).await.ok()?;
    (len > 0).then(|| line.trim_end().to_owned())
}

/// A mail up to the line with nothing but a dot.
async fn content<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut content = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(content);
        }
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
