//! A bound socket that accepts, for whichever worker is to serve what it accepts.
//!
//! Connections leave here known to no reactor: the worker registers them with its own.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::SystemTime;

use futures_util::FutureExt;

use super::Peer;
use super::socket::Socket;

/// A bound socket.
pub(super) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A bound socket whose readiness is watched.
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, PathBuf),
}

/// A connection that no reactor knows yet.
pub(super) enum Accepted {
    Tcp(TcpStream, SocketAddr),
    /// From a process of this user, as the system tells.
    Unix(UnixStream, Option<u32>),
}

impl Listening {
    pub(super) fn new(acceptor: Acceptor) -> io::Result<Self> {
        Ok(match acceptor {
            Acceptor::Tcp(listener) => Self::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Acceptor::Unix(listener, path) => Self::Unix(tokio::net::UnixListener::from_std(listener)?, path),
        })
    }

    /// The next connection.
    pub(super) async fn next(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Accepted::Tcp(stream.into_std()?, peer)
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|who| who.uid());
                Accepted::Unix(stream.into_std()?, uid)
            }
        })
    }

    /// A connection that is known to wait already.
    pub(super) fn at_once(&self) -> Option<io::Result<Accepted>> {
        self.next().now_or_never()
    }

    /// Accepts no more, and takes a Unix socket's file away.
    pub(super) fn close(self) {
        if let Self::Unix(listener, path) = self {
            drop(listener);
            drop(std::fs::remove_file(path));
        }
    }
}

impl Accepted {
    /// The other end.
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_, peer) => Peer::Address(*peer),
            Self::Unix(_, uid) => Peer::User(*uid),
        }
    }

    /// Its number.
    pub(super) fn descriptor(&self) -> RawFd {
        match self {
            Self::Tcp(stream, _) => stream.as_raw_fd(),
            Self::Unix(stream, _) => stream.as_raw_fd(),
        }
    }

    /// Registers the connection with the reactor of the calling thread.
    pub(super) fn register(self, at: SystemTime) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(stream, peer) => Socket::tcp(tokio::net::TcpStream::from_std(stream)?, peer, at),
            Self::Unix(stream, uid) => Socket::unix(tokio::net::UnixStream::from_std(stream)?, uid, at),
        })
    }
}
