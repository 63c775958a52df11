//! TCP and Unix sockets behind one name, with what tests need of them: cuts, resets, both halves at once.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

impl Address {
    /// Reads the form that configurations use.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.parse().unwrap_or_else(|_| panic!("{text} is no address"))),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// With `TCP_NODELAY`.
    Tcp(TcpStream),
    /// A stream socket.
    Unix(UnixStream),
}

impl Socket {
    /// Connects, or panics.
    pub async fn connect(address: &Address) -> Self {
        Self::try_connect(address).await.unwrap_or_else(|error| panic!("{address} does not answer: {error}"))
    }

    /// Connects.
    pub async fn try_connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Address::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
        }
    }

    fn raw(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }

    /// Closes so that a TCP peer gets RST instead of FIN.
    pub fn reset(self) {
        self.raw().set_linger(Some(Duration::ZERO)).expect("linger");
    }

    /// Sends FIN; reading goes on.
    pub fn finish_writing(&self) {
        drop(self.raw().shutdown(std::net::Shutdown::Write));
    }

    /// Bounds the kernel's receive buffer, so that a reader that does not read is felt soon.
    pub fn set_receive_buffer(&self, bytes: usize) {
        self.raw().set_recv_buffer_size(bytes).expect("SO_RCVBUF");
    }

    /// Reads what there is, at least one byte unless the peer is done (0).
    pub async fn read_some(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Writes all of `bytes`.
    pub async fn write_whole(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP
    Tcp(TcpListener),
    /// Unix
    Unix(UnixListener),
}

/// A TCP address that nobody else gets as long as this is there, whether or not somebody listens on it.
#[derive(Debug)]
pub struct Kept {
    _socket: socket2::Socket,
}

impl Kept {
    /// Keeps an address that [`listen_tcp`] has bound.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { _socket: shared_socket(address)? })
    }
}

/// Listens on an address, port 0 being the system's choice, also where it is [`Kept`].
pub fn listen_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = shared_socket(address)?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn shared_socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

impl Listener {
    /// Binds at once, without a runtime, and says where; [`Listener::adopt`] makes it usable within one.
    pub fn bind(address: &Address) -> io::Result<(Bound, Address)> {
        match address {
            Address::Tcp(address) => {
                let listener = listen_tcp(*address)?;
                let address = Address::Tcp(listener.local_addr()?);
                listener.set_nonblocking(true)?;
                Ok((Bound::Tcp(listener), address))
            }
            Address::Unix(path) => {
                drop(std::fs::remove_file(path));
                let listener = std::os::unix::net::UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok((Bound::Unix(listener), address.clone()))
            }
        }
    }

    /// Registers a bound socket with the runtime that this is called in.
    pub fn adopt(bound: Bound) -> io::Result<Self> {
        Ok(match bound {
            Bound::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Bound::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

/// A socket that is bound and belongs to no runtime yet.
#[derive(Debug)]
pub enum Bound {
    /// TCP
    Tcp(std::net::TcpListener),
    /// Unix
    Unix(std::os::unix::net::UnixListener),
}
