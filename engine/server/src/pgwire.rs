//! The PostgreSQL wire server: accept loop, limits, drain.
//!
//! One task per connection on the runtime that calls [`serve`]; queries run on a runtime of
//! their own, so that CPU work never starves the sockets.

mod auth;
pub(crate) mod cancel;
pub mod column;
mod connection;
mod copy;
pub mod encode;
mod extended;
pub mod fuzzing;
mod inbox;
mod incoming;
mod scram;
mod simple;
mod socket;
mod startup;
pub(crate) mod strangers;
mod stream;
pub mod tls;

use std::io::IsTerminal as _;
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

use genokura_sql_ext::depth::STACK_BYTES;

use crate::limits::ConnectionLimit;
use crate::metrics::Metrics;
use crate::roles::RoleStore;
use crate::session::Backend;
use crate::sqlstate::ServerError;

use strangers::Strangers;

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
    /// The certificate; None: connections are in clear.
    pub tls: Option<tls::Tls>,
    /// Whether connections in clear are refused.
    pub require_tls: bool,
    /// Who may connect; None: whoever connects is the owner.
    pub roles: Option<Arc<RoleStore>>,
    /// Address of /healthz, /readyz and /metrics; None: none of them.
    pub admin: Option<SocketAddr>,
    /// Ends the drain when it is cancelled.
    pub at_once: CancellationToken,
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
            tls: None,
            require_tls: false,
            roles: None,
            admin: None,
            at_once: CancellationToken::new(),
        }
    }
}

/// Clients on their way in beyond the places there are: cancel requests must come through a full house.
const STRANGERS: usize = 100;

/// What all connections of a server share.
pub(crate) struct Server {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) config: ServerConfig,
    pub(crate) roles: Arc<RoleStore>,
    pub(crate) cancels: Arc<cancel::Registry>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) connections: ConnectionLimit,
    pub(crate) strangers: Arc<Strangers>,
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

/// How many tasks a thread goes on with before it looks for one that is new: those of a costly statement are long, and a
/// short one must not wait for dozens of them.
const TASKS_BEFORE_NEW: u32 = 4;

/// A runtime whose drop does not wait for blocking work.
struct QueryRuntime(Option<Runtime>);

impl QueryRuntime {
    fn new(threads: usize) -> std::io::Result<QueryRuntime> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("genokura-query")
            .global_queue_interval(TASKS_BEFORE_NEW)
            .thread_stack_size(STACK_BYTES)
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
    crate::clock::started();
    let roles = match &config.roles {
        Some(roles) => Arc::clone(roles),
        None => RoleStore::none()
            .map(Arc::new)
            .map_err(|error| ServerError::internal(error.to_string()))?,
    };
    may_listen(&listener, &roles, &config)?;
    let runtime = QueryRuntime::new(config.query_threads)
        .map_err(|error| ServerError::new("53000", format!("cannot start threads: {error}")))?;
    let queries = match &runtime.0 {
        Some(runtime) => runtime.handle().clone(),
        None => Handle::current(),
    };
    let force = CancellationToken::new();
    let server = Arc::new(Server {
        backend,
        roles,
        cancels: Arc::default(),
        metrics: Arc::default(),
        connections: ConnectionLimit::new(config.max_connections),
        strangers: Strangers::new(config.max_connections.saturating_add(STRANGERS)),
        queries,
        drain: shutdown.clone(),
        force: force.clone(),
        next_pid: AtomicI32::new(1),
        config,
    });
    let admin = match server.config.admin {
        Some(address) => Some(crate::admin::listen(address, &server).await?),
        None => None,
    };
    let tasks = TaskTracker::new();
    accept(&listener, &server, &tasks).await;
    drop(listener);
    drain(&server, &tasks).await;
    drop(admin);
    Ok(())
}

/// Refuses what would let others in unasked, whatever the caller has checked.
fn may_listen(
    listener: &TcpListener,
    roles: &RoleStore,
    config: &ServerConfig,
) -> Result<(), ServerError> {
    let address = listener
        .local_addr()
        .map_err(|error| ServerError::new("58030", error.to_string()))?;
    if !address.ip().is_loopback() && !roles.authenticates() {
        return Err(open_door(address));
    }
    if config.require_tls && config.tls.is_none() {
        let text = "connections must be encrypted, and there is no certificate";
        return Err(ServerError::new("F0000", text).hint("Set tls_certificate and tls_key."));
    }
    Ok(())
}

/// Without roles everybody who can connect owns the lake.
pub(crate) fn open_door(address: SocketAddr) -> ServerError {
    let text = format!(
        "{address} can be reached from other machines, and there are no roles: everybody would be the lake's owner"
    );
    ServerError::new("F0000", text)
        .hint("Listen on 127.0.0.1 or [::1], or make roles with \"genokura role add\" and start with --roles FILE.")
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
    let at_once = &server.config.at_once;
    let last = tokio::select! {
        () = tasks.wait() => return,
        () = at_once.cancelled() => Duration::from_secs(1),
        () = tokio::time::sleep(server.config.drain_timeout) => Duration::from_secs(5),
    };
    warn!(
        connections = tasks.len(),
        "drain ends: cancelling statements"
    );
    server.force.cancel();
    let _ = tokio::time::timeout(last, tasks.wait()).await;
}

/// What signals ask a server for.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// To take no more work, and to end when the work that there is has been done.
    pub shutdown: CancellationToken,
    /// To end at once.
    pub at_once: CancellationToken,
}

/// SIGTERM, Ctrl-C and the end of the terminal that the process runs in ask for a shutdown, a second of them ends the
/// process at once. Elsewhere SIGHUP asks a server to read its files again: roles are read whenever they change, and it
/// goes on.
///
/// # Errors
/// When signal handlers cannot be installed.
pub fn signals() -> std::io::Result<Signals> {
    let signals = Signals::default();
    let told = signals.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    tokio::spawn(async move {
        for token in [told.shutdown, told.at_once] {
            #[cfg(unix)]
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = tokio::signal::ctrl_c() => break,
                    _ = hangup.recv() => {
                        if std::io::stdin().is_terminal() {
                            break;
                        }
                        info!("SIGHUP: roles are read when their file changes, settings and certificates at the next start");
                    }
                }
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
            token.cancel();
        }
    });
    Ok(signals)
}
