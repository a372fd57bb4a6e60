//! A TCP proxy in front of the server, which a test can interrupt.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::Failure;

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Forward,
    /// Forwards each response late.
    Delay(Duration),
    DropResponses,
    Disconnected,
    /// Forwards nothing on the connections that are open now. New ones are forwarded.
    Freeze,
    CaptivePortal,
}

/// The page of a captive portal, as a complete response.
const PORTAL: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 26\r\nConnection: close\r\n\r\n\
<h1>Your room number?</h1>";

/// A TCP proxy in front of the server.
pub(crate) struct Proxy {
    pub(crate) address: String,
    changes: mpsc::Sender<ModeChange>,
}

/// A new mode, and a channel that confirms it.
type ModeChange = (Mode, oneshot::Sender<()>);

impl Proxy {
    pub(crate) async fn start(server: String) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (changes, receiver) = mpsc::channel(1);
        tokio::spawn(accept_connections(listener, server, receiver));
        Ok(Self { address, changes })
    }

    /// Sets the mode. When this returns, no connection runs in another mode.
    pub(crate) async fn set_mode(&self, mode: Mode) -> Result<String, Failure> {
        let (confirm, confirmed) = oneshot::channel();
        self.changes.send((mode, confirm)).await?;
        confirmed.await?;
        Ok("done".to_owned())
    }
}

async fn accept_connections(listener: TcpListener, server: String, mut changes: mpsc::Receiver<ModeChange>) {
    let mode = watch::Sender::new(Mode::Forward);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((phone, _)) = listener.accept() => {
                let now = *mode.borrow();
                match now {
                    Mode::Disconnected => {}
                    Mode::CaptivePortal => {
                        connections.spawn(answer_as_portal(phone));
                    }
                    // A connection that is newer than the freeze.
                    Mode::Freeze => {
                        let forward_all = watch::Sender::new(Mode::Forward);
                        connections.spawn(forward(phone, server.clone(), forward_all.subscribe()));
                    }
                    Mode::Forward | Mode::Delay(_) | Mode::DropResponses => {
                        connections.spawn(forward(phone, server.clone(), mode.subscribe()));
                    }
                }
            }
            Some((new, confirm)) = changes.recv() => {
                let closes = matches!(new, Mode::Disconnected | Mode::CaptivePortal)
                    || matches!(*mode.borrow(), Mode::Freeze | Mode::CaptivePortal);
                mode.send_replace(new);
                if closes {
                    connections.shutdown().await;
                }
                // The receiver is gone only when the program exits.
                if confirm.send(()).is_err() {
                    return;
                }
            }
            Some(_) = connections.join_next() => {}
            else => return,
        }
    }
}

/// Reads the head of one request and answers it with a web page.
async fn answer_as_portal(mut phone: TcpStream) -> Result<(), std::io::Error> {
    let mut bytes = vec![0; 16 * 1024];
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match phone.read(&mut bytes).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(bytes.get(..read).unwrap_or_default()),
        }
    }
    phone.write_all(PORTAL).await?;
    phone.shutdown().await
}

/// Forwards a connection until either side closes it.
async fn forward(
    mut phone: TcpStream,
    server: String,
    mode: watch::Receiver<Mode>,
) -> Result<(), std::io::Error> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_phone, mut to_phone) = phone.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = from_phone.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            if *mode.borrow() == Mode::Freeze {
                std::future::pending::<()>().await;
            }
            to_server.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    };
    let responses = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let read = from_server.read(&mut bytes).await?;
            if read == 0 {
                return Ok(());
            }
            let now = *mode.borrow();
            match now {
                Mode::Forward | Mode::CaptivePortal => {}
                Mode::Delay(delay) => tokio::time::sleep(delay).await,
                Mode::Freeze => std::future::pending::<()>().await,
                Mode::DropResponses | Mode::Disconnected => return Ok(()),
            }
            to_phone.write_all(bytes.get(..read).unwrap_or_default()).await?;
        }
    };
    tokio::select! {
        done = requests => done,
        done = responses => done,
    }
}
