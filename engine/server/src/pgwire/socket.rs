//! A client's connection: TCP in clear or under TLS, one type to the protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection to a client.
pub(super) enum Socket {
    /// In clear.
    Plain(TcpStream),
    /// Encrypted, with what the handshake told.
    Tls(Box<TlsStream<TcpStream>>, super::tls::Peer),
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
            Socket::Plain(tcp) => {
                let (read, write) = tcp.into_split();
                (Box::new(read), Box::new(write))
            }
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
