//! A TCP proxy that can be cut, for a service that one node does not reach while others do, and that can lead elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy of one service.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<watch::Sender<bool>>,
    target: Arc<watch::Sender<String>>,
}

impl Proxy {
    /// Starts a proxy of the service at `target`, a host and a port.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let cut = Arc::new(watch::Sender::new(false));
        let state = Arc::clone(&cut);
        let target = Arc::new(watch::Sender::new(target));
        let targets = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (mut state, target) = (state.subscribe(), targets.borrow().clone());
                if *state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    tokio::select! {
                        () = forward(client, &target) => {}
                        _ = state.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self { address, cut, target }
    }

    /// The address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another target. The present ones stay.
    pub fn lead_to(&self, target: String) {
        self.target.send_replace(target);
    }

    /// Closes every connection, and each new one at once, until [`Self::restore`].
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Connects again.
    pub fn restore(&self) {
        self.cut.send_replace(false);
    }
}

async fn forward(mut client: TcpStream, target: &str) {
    if let Ok(mut service) = TcpStream::connect(target).await {
        // Either side may break off at any time.
        let _ = copy_bidirectional(&mut client, &mut service).await;
    }
}
