//! Where a listener listens: the socket is bound before anything runs, so that its real port can be told and a failure ends
//! the start, not a thread.
//!
//! It does not accept: [`Accepting`](super::Accepting) does.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::acceptor::Acceptor;

/// How many connections the kernel may complete ahead of us: beyond, it drops what clients send, and they try again a
/// second later.
const QUEUE: i32 = 4096;
/// Bytes that the kernel takes ahead of what a client's window lets it send: else it takes megabytes of each answer from
/// us, nobody reads them, and a reader below the minimum rate shows when they are gone.
const UNSENT: u32 = 128 * 1024;

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket, and who may open its file.
    Unix(PathBuf, FileAccess),
}

/// Who may open a socket's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAccess {
    /// Mode bits, as chmod takes them.
    pub mode: u32,
    /// The group of the file; `None`: the process's.
    pub group: Option<u32>,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(at) => at.fmt(f),
            Self::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listener that is bound, but not yet accepting.
pub struct Bound {
    pub(super) name: String,
    pub(super) acceptor: Acceptor,
    address: String,
}

impl Bound {
    /// Binds `address`.
    ///
    /// # Errors
    /// What the system says: the address is in use, not this machine's, not permitted. A Unix socket's file that
    /// nobody listens on any more is replaced; one that answers, and a file of another kind, are not.
    pub fn new(name: &str, address: &Address) -> io::Result<Self> {
        let (acceptor, told) = match address {
            Address::Tcp(at) => {
                let listener = bind_tcp(*at)?;
                let told = listener.local_addr()?.to_string();
                (Acceptor::Tcp(listener), told)
            }
            Address::Unix(path, access) => {
                let listener = bind_unix(path, *access)?;
                (Acceptor::Unix(listener, path.clone()), format!("unix:{}", path.display()))
            }
        };
        Ok(Self { name: name.to_owned(), acceptor, address: told })
    }

    /// The listener's name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The real address: with the port that the system chose, or `unix:/path`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

fn bind_tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(at), socket2::Type::STREAM, None)?;
    // Connections of a process that has ended do not keep the next one from listening.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets have it from this one.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(&at.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, access: FileAccess) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"));
        }
        std::fs::remove_file(path)?;
    }
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // Nobody connects before it listens, so nobody gets in by the mode that it was made with.
    std::os::unix::fs::chown(path, None, access.group)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(access.mode))?;
    socket.listen(QUEUE)?;
    Ok(std::os::fd::OwnedFd::from(socket).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_little_of_an_answer_ahead() {
        let listener = bind_tcp(([127, 0, 0, 1], 0).into()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let accepted = socket2::Socket::from(listener.accept().unwrap().0);
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), UNSENT);
    }
}
