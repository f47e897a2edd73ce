//! A fake as a server on this machine.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that ends when this value is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Its base URL, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until it fails, which a listener on this machine does not.
    pub async fn forever(mut self) {
        // An error means that the task was stopped, which is an end as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves on a port of this machine; 0 means any free one.
///
/// # Panics
/// When the port cannot be listened to.
pub async fn serve(router: Router, port: u16) -> Served {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port can be listened to");
    let address = listener.local_addr().expect("a listener has an address");
    let task = tokio::spawn(async move {
        // Ends with the task.
        let _ = axum::serve(listener, router).await;
    });
    Served { address, task }
}
