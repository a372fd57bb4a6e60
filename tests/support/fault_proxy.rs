//! A TCP proxy with faults: it delays, freezes and cuts connections at any byte of a request or of an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What happens to the connections through a proxy. The bytes count from the start of the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// Every byte passes.
    None,
    /// Every piece of data is late by this time.
    Delay(Duration),
    /// A connection ends after this many bytes of requests.
    CutRequest(u64),
    /// A connection ends after this many bytes of answers.
    CutAnswer(u64),
    /// No byte passes until the faults change. Connections stay open, and new ones are accepted.
    Freeze,
    /// New connections are closed at once, and open ones end.
    Refuse,
}

/// A proxy of one service.
pub struct FaultProxy {
    address: SocketAddr,
    faults: Arc<watch::Sender<Faults>>,
    connections: Arc<AtomicU64>,
    /// The connections up to this number are dead: nothing passes, and nobody is told.
    dead: Arc<AtomicU64>,
}

impl FaultProxy {
    /// Starts a proxy of the service at `target`, without faults.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let faults = Arc::new(watch::Sender::new(Faults::None));
        let connections = Arc::new(AtomicU64::new(0));
        let dead = Arc::new(AtomicU64::new(0));
        let (state, count, dead_ones) = (Arc::clone(&faults), Arc::clone(&connections), Arc::clone(&dead));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                if *state.borrow() == Faults::Refuse {
                    // Dropped with this option, the socket sends a reset.
                    let _ = client.set_zero_linger();
                    continue;
                }
                let state = State {
                    number,
                    dead: Arc::clone(&dead_ones),
                    faults: state.subscribe(),
                };
                tokio::spawn(carry(client, target, state));
            }
        });
        Self {
            address,
            faults,
            connections,
            dead,
        }
    }

    /// The address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of connections that were made so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Changes the faults, of open connections too.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }
}

impl FaultProxy {
    /// Lets every open connection die silently, as when a phone changes its network. New ones work.
    pub fn kill_silently(&self) {
        self.dead.store(self.connections(), Ordering::SeqCst);
    }
}

/// What a connection of the proxy follows.
#[derive(Clone)]
struct State {
    number: u64,
    dead: Arc<AtomicU64>,
    faults: watch::Receiver<Faults>,
}

/// The end of a connection that a fault cuts.
struct Cut;

async fn carry(client: TcpStream, target: SocketAddr, state: State) {
    let Ok(service) = TcpStream::connect(target).await else {
        return;
    };
    let (client_reader, client_writer) = client.into_split();
    let (service_reader, service_writer) = service.into_split();
    let up = forward(client_reader, service_writer, state.clone(), true);
    let down = forward(service_reader, client_writer, state.clone(), false);
    let mut refused = state.faults;
    tokio::select! {
        // Either side may break off at any time. The other one is dropped, which closes both sockets.
        _ = up => {}
        _ = down => {}
        _ = refused.wait_for(|faults| *faults == Faults::Refuse) => {}
    }
}

/// Copies one direction piece by piece.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: State,
    is_request: bool,
) -> Result<(), Cut> {
    let mut buffer = vec![0; 16 * 1024];
    // The faults since which bytes are counted, and how many passed since then.
    let (mut counted, mut passed) = (Faults::None, 0);
    loop {
        let length = from.read(&mut buffer).await.map_err(|_| Cut)?;
        if length == 0 {
            return Ok(());
        }
        let faults = &mut state.faults;
        let present = *faults
            .wait_for(|faults| *faults != Faults::Freeze)
            .await
            .map_err(|_| Cut)?;
        if state.number <= state.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if present != counted {
            (counted, passed) = (present, 0);
        }
        let limit = match present {
            Faults::CutRequest(limit) if is_request => Some(limit),
            Faults::CutAnswer(limit) if !is_request => Some(limit),
            Faults::Delay(delay) => {
                sleep(delay).await;
                None
            }
            _ => None,
        };
        let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(passed));
        let length = usize::try_from(room).unwrap_or(usize::MAX).min(length);
        let piece = buffer.get(..length).unwrap_or_default();
        to.write_all(piece).await.map_err(|_| Cut)?;
        passed += length as u64;
        if limit.is_some_and(|limit| passed >= limit) {
            return Err(Cut);
        }
    }
}
