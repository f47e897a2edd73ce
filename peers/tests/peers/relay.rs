//! A wire between two nodes that can be held or cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Bytes pass.
    Open,
    /// Bytes wait.
    Held,
    /// Connections end; what waited is lost.
    Cut,
}

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    wire: watch::Sender<Wire>,
    connections: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) async fn to(target: SocketAddr, wire: Wire) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, watched) = watch::channel(wire);
        let relay = Self { address, wire, connections: Arc::default(), sent: Arc::default() };
        let (connections, sent) = (Arc::clone(&relay.connections), Arc::clone(&relay.sent));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(target).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, watched.clone(), Arc::clone(&sent)));
                tokio::spawn(carry(far_in, near_out, watched.clone(), Arc::default()));
            }
        });
        relay
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Connections made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Bytes that came from whoever asks, passed on or not.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
    seen: Arc<AtomicUsize>,
) {
    let (mut waiting, mut chunk) = (Vec::new(), vec![0; 64 * 1_024]);
    loop {
        let now = *wire.borrow_and_update();
        match now {
            Wire::Cut => return,
            Wire::Open if !waiting.is_empty() => {
                if to.write_all(&waiting).await.is_err() {
                    return;
                }
                waiting.clear();
            }
            Wire::Open | Wire::Held => {}
        }
        tokio::select! {
            changed = wire.changed() => if changed.is_err() { return },
            read = from.read(&mut chunk) => match read {
                Ok(len) if len > 0 => {
                    seen.fetch_add(len, Ordering::SeqCst);
                    waiting.extend_from_slice(&chunk[..len]);
                }
                _ => return,
            },
        }
    }
}
