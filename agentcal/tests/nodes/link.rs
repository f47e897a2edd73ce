//! Links that can be cut: everything nodes say to each other and to their servers passes through here.
//!
//! Of what passes, each proxy knows from which node it comes. That is told by the system: whose socket it is at the other
//! end, and what that process was told about itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::origin::origin;

/// Longest wait for whom a connection leads to.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const CHUNK_LEN: usize = 16 * 1024;

/// What becomes of what is sent over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It gets there.
    Whole,
    /// Connections are reset, new ones too.
    Reset,
    /// It gets nowhere, and nobody is told.
    Silent,
    /// It gets there, and answers do not come back.
    Deaf,
}

/// The ways of cutting a link.
pub(crate) const CUTS: [Link; 3] = [Link::Reset, Link::Silent, Link::Deaf];

impl Link {
    fn passes(self, way: Way) -> bool {
        match self {
            Self::Whole => true,
            Self::Reset | Self::Silent => false,
            Self::Deaf => way == Way::There,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Stands before one listener.
pub(crate) struct Proxy {
    address: SocketAddr,
    ends: Arc<Ends>,
}

struct Ends {
    /// Whom it leads to; `None`: to nobody.
    target: Mutex<Option<SocketAddr>>,
    /// The address it comes from at the other end.
    from: Mutex<Ipv4Addr>,
    /// By who connects.
    links: Vec<watch::Sender<Link>>,
}

impl Proxy {
    /// One for several nodes, which are told apart.
    pub(crate) fn start(runtime: &Runtime, sources: usize) -> Self {
        let links = (0..sources).map(|_| watch::Sender::new(Link::Whole)).collect();
        let ends = Ends { target: Mutex::new(None), from: Mutex::new(Ipv4Addr::LOCALHOST), links };
        let ends = Arc::new(ends);
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port can be had");
        let address = listener.local_addr().expect("a bound listener has an address");
        runtime.spawn(accept(listener, Arc::clone(&ends)));
        Self { address, ends }
    }

    /// One for a single node, with whom it leads to.
    pub(crate) fn to(runtime: &Runtime, target: SocketAddr) -> Self {
        let proxy = Self::start(runtime, 1);
        proxy.lead_to(Some(target));
        proxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections somewhere else, or nowhere.
    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        *self.ends.target.lock().unwrap() = target;
    }

    /// Has new connections come from this address.
    pub(crate) fn come_from(&self, from: Ipv4Addr) {
        *self.ends.from.lock().unwrap() = from;
    }

    /// Cuts or mends the link of one node.
    pub(crate) fn set(&self, source: usize, link: Link) {
        self.ends.links[source].send_replace(link);
    }

    /// Mends the links of all.
    pub(crate) fn mend(&self) {
        for link in &self.ends.links {
            link.send_replace(Link::Whole);
        }
    }
}

async fn accept(listener: TcpListener, ends: Arc<Ends>) {
    loop {
        // A connection that was given up before it was taken is nobody's.
        let Ok((near, peer)) = listener.accept().await else { continue };
        let (ends, here) = (Arc::clone(&ends), listener.local_addr());
        tokio::spawn(async move {
            let source = match (ends.links.len(), here) {
                (1, _) => Some(0),
                (_, Ok(here)) => tokio::task::spawn_blocking(move || origin(peer, here)).await.ok().flatten(),
                (_, Err(_)) => None,
            };
            if let Some(link) = source.and_then(|source| ends.links.get(source)) {
                lead(near, &ends, link.subscribe()).await;
            }
        });
    }
}

async fn lead(near: TcpStream, ends: &Ends, mut link: watch::Receiver<Link>) {
    // Asked before anything else is: a link that is cut leads nowhere from the beginning.
    let first = *link.borrow_and_update();
    if first == Link::Silent && link.wait_for(|link| *link != Link::Silent).await.is_err() {
        return;
    }
    let far = if *link.borrow() == Link::Reset { None } else { connect(ends).await };
    let Some(far) = far else {
        reset(&near);
        return;
    };
    // Whoever sends little wants it sent at once.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    carry(near, far, link).await;
}

async fn connect(ends: &Ends) -> Option<TcpStream> {
    let (target, from) = (*ends.target.lock().unwrap(), *ends.from.lock().unwrap());
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).ok()?;
    tokio::time::timeout(CONNECT_MAX, socket.connect(target?)).await.ok()?.ok()
}

/// Carries both ways until either end is done, or the link is reset.
async fn carry(mut near: TcpStream, mut far: TcpStream, link: watch::Receiver<Link>) {
    let mut cut = link.clone();
    let is_reset = {
        let ((near_read, near_write), (far_read, far_write)) = (near.split(), far.split());
        tokio::select! {
            _ = pump(near_read, far_write, link.clone(), Way::There) => false,
            _ = pump(far_read, near_write, link, Way::Back) => false,
            _ = cut.wait_for(|link| *link == Link::Reset) => true,
        }
    };
    if is_reset {
        reset(&near);
        reset(&far);
    }
}

/// Carries one way. What was taken up when the link was cut gets there when it is whole again.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut link: watch::Receiver<Link>,
    way: Way,
) -> Option<()> {
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        let len = from.read(&mut chunk).await.ok().filter(|len| *len > 0);
        // The end of a connection is no news that gets through a link that is cut either.
        link.wait_for(|link| link.passes(way)).await.ok()?;
        to.write_all(&chunk[..len?]).await.ok()?;
    }
}

/// Has the connection end with a reset when it is dropped.
fn reset(stream: &TcpStream) {
    // One that has ended already cannot be reset.
    let _ = stream.set_zero_linger();
}
