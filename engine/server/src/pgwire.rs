//! The PostgreSQL wire server: accept loop, limits, drain.
//!
//! One task per connection on the runtime that calls [`serve`]; queries run on a runtime of
//! their own, so that CPU work never starves the sockets.

pub(crate) mod cancel;
pub mod column;
mod connection;
mod copy;
pub mod encode;
mod extended;
mod simple;
mod startup;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::limits::ConnectionLimit;
use crate::session::Backend;
use crate::sqlstate::ServerError;

/// How the server listens and what a client may take.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address to listen on. Without roles nobody is asked for a password: loopback only.
    pub listen: SocketAddr,
    /// Connections at once; one more is told 53300.
    pub max_connections: usize,
    /// Default of `statement_timeout`; None: no limit.
    pub statement_timeout: Option<Duration>,
    /// How long running statements may go on after shutdown was asked for.
    pub drain_timeout: Duration,
    /// How long a client may take to send its start-up message.
    pub startup_timeout: Duration,
    /// Threads that run queries.
    pub query_threads: usize,
    /// Bytes one query may take from the engine's memory pool; None: all of it.
    pub query_memory_bytes: Option<usize>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 5433)),
            max_connections: 200,
            statement_timeout: None,
            drain_timeout: Duration::from_secs(30),
            startup_timeout: Duration::from_secs(60),
            query_threads: std::thread::available_parallelism().map_or(2, usize::from),
            query_memory_bytes: None,
        }
    }
}

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: ServerConfig,
    pub(crate) cancels: cancel::Registry,
    pub(crate) connections: ConnectionLimit,
    pub(crate) queries: Handle,
    /// Stop taking work: idle sessions end.
    pub(crate) drain: CancellationToken,
    /// Stop now: running statements are cancelled.
    pub(crate) force: CancellationToken,
    next_pid: AtomicI32,
}

impl Server {
    pub(crate) fn next_pid(&self) -> i32 {
        self.next_pid.fetch_add(1, Ordering::Relaxed)
    }
}

/// A runtime whose drop does not wait for blocking work.
struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    fn new(threads: usize) -> std::io::Result<QueryRuntime> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("genokura-query")
            .thread_stack_size(8 << 20)
            .enable_all()
            .build()?;
        Ok(QueryRuntime(Some(runtime)))
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Listens on `config.listen` and serves until `shutdown` is cancelled and the drain is over.
///
/// # Errors
/// When the address cannot be bound or the query runtime cannot start.
pub async fn serve(
    backend: Arc<dyn Backend>,
    config: ServerConfig,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        ServerError::new(
            "58030",
            format!("cannot listen on {}: {error}", config.listen),
        )
        .hint("Is another server using the port? Choose one with --listen.")
    })?;
    serve_on(listener, backend, config, shutdown).await
}

/// As [`serve`], on a listener that is bound already; `config.listen` is not used.
///
/// # Errors
/// When the query runtime cannot start.
pub async fn serve_on(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    config: ServerConfig,
    shutdown: CancellationToken,
) -> Result<(), ServerError> {
    let runtime = QueryRuntime::new(config.query_threads)
        .map_err(|error| ServerError::new("53000", format!("cannot start threads: {error}")))?;
    let queries = match &runtime.0 {
        Some(runtime) => runtime.handle().clone(),
        None => Handle::current(),
    };
    let force = CancellationToken::new();
    let server = Arc::new(Server {
        backend,
        cancels: cancel::Registry::default(),
        connections: ConnectionLimit::new(config.max_connections),
        queries,
        drain: shutdown.clone(),
        force: force.clone(),
        next_pid: AtomicI32::new(1),
        config,
    });
    let tasks = TaskTracker::new();
    accept(&listener, &server, &tasks).await;
    drop(listener);
    drain(&server, &tasks).await;
    Ok(())
}

/// Accepts until the drain begins.
async fn accept(listener: &TcpListener, server: &Arc<Server>, tasks: &TaskTracker) {
    loop {
        let accepted = tokio::select! {
            () = server.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _peer)) => {
                if let Err(error) = tune(&socket) {
                    debug!(%error, "socket options");
                }
                let server = Arc::clone(server);
                tasks.spawn(async move { connection::run(socket, server).await });
            }
            Err(error) => {
                // Out of file handles and the like: wait instead of spinning.
                warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn tune(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10));
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

/// Waits for running statements, then cancels them.
async fn drain(server: &Server, tasks: &TaskTracker) {
    tasks.close();
    info!(connections = tasks.len(), "draining");
    if tokio::time::timeout(server.config.drain_timeout, tasks.wait())
        .await
        .is_err()
    {
        warn!(
            connections = tasks.len(),
            "drain timeout: cancelling statements"
        );
        server.force.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await;
    }
}

/// A token that is cancelled by SIGTERM or Ctrl-C.
///
/// # Errors
/// When signal handlers cannot be installed.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        cancelled.cancel();
    });
    Ok(token)
}
