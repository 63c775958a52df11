//! Where a service is reached: a TCP port or a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

/// Connections that the kernel completes before they are accepted.
const BACKLOG: u32 = 1024;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An IP address and a port, 0 for any free one.
    Tcp(SocketAddr),
    /// A Unix socket's path. What is left there by a process that is gone is replaced.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A service's listening socket. Dropping it removes a Unix socket's path.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    address: String,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _path: OwnPath },
}

/// An accepted connection.
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Bound {
    /// Listens; inside a runtime only.
    ///
    /// # Errors
    /// What the system says, `AddrInUse` for a Unix socket that somebody serves.
    pub fn new(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                socket.set_reuseaddr(true)?;
                // Accepted sockets inherit it: a peer that vanished without a word is found out some day.
                socket.set_keepalive(true)?;
                socket.bind(*address)?;
                let listener = socket.listen(BACKLOG)?;
                let address = listener.local_addr()?.to_string();
                Ok(Self { socket: Socket::Tcp(listener), address })
            }
            Listen::Unix(path) => {
                make_way(path)?;
                let listener = UnixListener::bind(path)?;
                let socket = Socket::Unix { listener, _path: OwnPath(path.clone()) };
                Ok(Self { socket, address: listen.to_string() })
            }
        }
    }

    /// `127.0.0.1:9401`, with the real port, or `unix:/path`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next connection. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Every write is a whole batch. A failure is a connection that is already gone; the first read says so.
                drop(stream.set_nodelay(true));
                Ok(Accepted::Tcp(stream))
            }
            Socket::Unix { listener, .. } => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

/// Removes a socket that nobody serves.
fn make_way(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody serves this socket")),
    }
}

#[derive(Debug)]
struct OwnPath(PathBuf);

impl Drop for OwnPath {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}
