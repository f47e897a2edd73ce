//! A wire between the program and a server that can be cut.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;

const OPEN: u8 = 0;
const CUT: u8 = 1;
const DEAF: u8 = 2;

/// A proxy on a port of its own. Its threads end with their connections, or with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be had");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mode = Arc::new(AtomicU8::new(OPEN));
        let seen = Arc::clone(&mode);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connect(client, upstream, &seen);
            }
        });
        Self { address, mode }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Everything passes.
    pub(crate) fn open(&self) {
        self.mode.store(OPEN, Ordering::SeqCst);
    }

    /// Nothing passes: connections break off before a byte of a request gets through.
    pub(crate) fn cut(&self) {
        self.mode.store(CUT, Ordering::SeqCst);
    }

    /// Writes pass, and their answers get lost.
    pub(crate) fn lose_answers_to_writes(&self) {
        self.mode.store(DEAF, Ordering::SeqCst);
    }
}

fn connect(client: TcpStream, upstream: SocketAddr, mode: &Arc<AtomicU8>) {
    if mode.load(Ordering::SeqCst) == CUT {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
    let is_deaf = Arc::new(AtomicBool::new(false));
    let (modes, deafened) = (Arc::clone(mode), Arc::clone(&is_deaf));
    thread::spawn(move || {
        pump(client, server, |bytes| {
            let mode = modes.load(Ordering::SeqCst);
            deafened.fetch_or(mode == DEAF && bytes.starts_with(b"PUT "), Ordering::SeqCst);
            if mode == CUT { Fate::Break } else { Fate::Pass }
        });
    });
    thread::spawn(move || {
        pump(server_again, client_again, |_| if is_deaf.load(Ordering::SeqCst) { Fate::Lose } else { Fate::Pass });
    });
}

enum Fate {
    Pass,
    Lose,
    Break,
}

/// Moves bytes until either side ends or the wire breaks.
fn pump(mut from: TcpStream, mut to: TcpStream, fate: impl Fn(&[u8]) -> Fate) {
    let mut buffer = [0u8; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let goes_on = match fate(&buffer[..length]) {
            Fate::Pass => to.write_all(&buffer[..length]).is_ok(),
            Fate::Lose => true,
            Fate::Break => false,
        };
        if !goes_on {
            break;
        }
    }
    // Either may be closed already, which is the aim.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
