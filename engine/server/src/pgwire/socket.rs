//! A client's connection: TCP in clear or under TLS, one type to the protocol.

use std::future::pending;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection to a client.
pub(super) enum Socket {
    /// In clear.
    Plain(Tcp),
    /// Encrypted, with what the handshake told.
    Tls(Box<TlsStream<Tcp>>, super::tls::Peer),
    /// Between the two, and after a handshake that failed.
    Closed,
}

/// What is read from.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// What is written to.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Socket {
    /// The two directions, each to a task of its own.
    pub(super) fn split(self) -> (Reader, Writer) {
        match self {
            Socket::Plain(tcp) => (Box::new(tcp.clone()), Box::new(tcp)),
            Socket::Tls(tls, _) => {
                let (read, write) = tokio::io::split(*tls);
                (Box::new(read), Box::new(write))
            }
            Socket::Closed => (Box::new(tokio::io::empty()), Box::new(tokio::io::sink())),
        }
    }

    /// What is known of the client's end, when it is under TLS.
    pub(super) fn peer(&self) -> Option<&super::tls::Peer> {
        match self {
            Socket::Plain(_) | Socket::Closed => None,
            Socket::Tls(_, peer) => Some(peer),
        }
    }
}

/// A connection that one task reads, one writes and one watches.
#[derive(Clone, Debug)]
pub(super) struct Tcp(Arc<TcpStream>);

impl Tcp {
    /// What was accepted.
    pub(super) fn new(stream: TcpStream) -> Tcp {
        Tcp(Arc::new(stream))
    }

    /// Resolves when the other end has closed the connection or is gone, whatever was sent before and is not read yet.
    pub(super) async fn closed(&self) {
        // Out of file handles: whoever reads learns of it later.
        let Ok(watched) = self.watched() else {
            return pending().await;
        };
        loop {
            match watched.ready(Interest::READABLE).await {
                Ok(ready) if ready.is_read_closed() || ready.is_error() => return,
                // There is something to read. What is told next is what changes then.
                Ok(_) => {
                    let seen = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    let _ = watched.try_io(Interest::READABLE, seen);
                }
                Err(_) => return,
            }
        }
    }

    /// The same connection with a readiness of its own: to be seen here is not to be read.
    fn watched(&self) -> io::Result<TcpStream> {
        TcpStream::from_std(SockRef::from(self.0.as_ref()).try_clone()?.into())
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            // Into what is not initialised: a long message has room for all of it.
            match self.0.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.written(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(self.0.as_ref()).shutdown(Shutdown::Write))
    }
}

impl Tcp {
    /// What `write` wrote once the socket takes something.
    fn written(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls, _) => Pin::new(tls).poll_read(cx, buf),
            Socket::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Tls(tls, _) => Pin::new(tls).poll_write(cx, buf),
            Socket::Closed => Poll::Ready(Ok(0)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Socket::Tls(tls, _) => Pin::new(tls).poll_flush(cx),
            Socket::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Tls(tls, _) => Pin::new(tls).poll_shutdown(cx),
            Socket::Closed => Poll::Ready(Ok(())),
        }
    }
}
