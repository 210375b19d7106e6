//! The admin port: `/healthz` (the process answers), `/readyz` (the lake answers) and `/metrics` (Prometheus), over
//! HTTP/1.1, one request a connection. It tells numbers of the server and nothing of the data; it takes no orders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::pgwire::Server;
use crate::pgwire::strangers::Strangers;
use crate::sqlstate::ServerError;

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// How long a client may take for its request, and for reading the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests at once; one more takes the place of whoever has been silent for longest.
const REQUESTS: usize = 256;
/// How long the lake may take to answer `/readyz`.
const LAKE_PATIENCE: Duration = Duration::from_secs(4);

/// How long the threads of queries may be busy before `/readyz` says so.
const QUERY_PATIENCE: Duration = Duration::from_millis(800);

/// Listens on `address` until the handle is dropped.
///
/// # Errors
/// 58030 when the address cannot be bound.
pub(crate) async fn listen(
    address: SocketAddr,
    server: &Arc<Server>,
) -> Result<AbortOnDropHandle<()>, ServerError> {
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|error| {
        ServerError::new(
            "58030",
            format!("cannot listen on {address} (admin_listen): {error}"),
        )
    })?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, "admin port");
    }
    let server = Arc::clone(server);
    Ok(AbortOnDropHandle::new(tokio::spawn(accept(
        listener, server,
    ))))
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let places = Strangers::new(REQUESTS);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let server = Arc::clone(&server);
                let place = places.enter();
                tokio::spawn(async move {
                    tokio::select! {
                        () = place.sent_away() => {}
                        _ = tokio::time::timeout(2 * PATIENCE, answer(socket, &server)) => {}
                    }
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut socket: TcpStream, server: &Server) -> std::io::Result<()> {
    let request = tokio::time::timeout(PATIENCE, read(&mut socket)).await;
    let (status, body) = match request {
        Ok(Ok(Some(request))) => respond(&request, server).await,
        Ok(Ok(None)) => ("400 Bad Request", "no HTTP request\n".to_owned()),
        Ok(Err(error)) => return Err(error),
        Err(_) => ("408 Request Timeout", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body.as_bytes()).await?;
    socket.shutdown().await
}

/// Method and path of a request; the rest of it is read and dropped.
async fn read(socket: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > REQUEST_BYTES_MAX || socket.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    let line = request
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    Ok(Some((method.to_owned(), path.to_owned())))
}

async fn respond((method, path): &(String, String), server: &Server) -> (&'static str, String) {
    if method != "GET" {
        return ("405 Method Not Allowed", "only GET\n".to_owned());
    }
    match path.split('?').next().unwrap_or_default() {
        "/healthz" => ("200 OK", "ok\n".to_owned()),
        "/readyz" => ready(server).await,
        "/metrics" => ("200 OK", metrics(server)),
        _ => (
            "404 Not Found",
            "/healthz, /readyz and /metrics are here\n".to_owned(),
        ),
    }
}

/// Ready: the lake's newest commit can be read, and there is a thread that takes work.
async fn ready(server: &Server) -> (&'static str, String) {
    let no = |why: &str| ("503 Service Unavailable", format!("{why}\n"));
    if server.drain.is_cancelled() {
        return no("draining");
    }
    match tokio::time::timeout(LAKE_PATIENCE, server.backend.snapshot()).await {
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return no("the lake cannot be read"),
        Err(_) => return no("the lake does not answer"),
    }
    let work = server.queries.spawn(std::future::ready(()));
    match tokio::time::timeout(QUERY_PATIENCE, work).await {
        Ok(Ok(())) => ("200 OK", "ready\n".to_owned()),
        Ok(Err(_)) | Err(_) => no("every thread for queries is taken"),
    }
}

fn metrics(server: &Server) -> String {
    let (open, running) = server.cancels.count();
    let (locks, waiting) = server.cancels.locks().count();
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut gauges = vec![
        ("genokura_sessions", "Open sessions.", number(open)),
        (
            "genokura_sessions_running",
            "Sessions that run a statement.",
            number(running),
        ),
        (
            "genokura_statements_left",
            "Statements that nobody waits for any more and that still run.",
            number(server.cancels.left().count()),
        ),
        (
            "genokura_sessions_limit",
            "Sessions that may be open at once.",
            number(server.config.max_connections),
        ),
        (
            "genokura_advisory_locks",
            "Advisory locks that sessions hold.",
            number(locks),
        ),
        (
            "genokura_advisory_locks_waiting",
            "Sessions that wait for an advisory lock.",
            number(waiting),
        ),
    ];
    gauges.extend(server.backend.gauges());
    server.metrics.text(&gauges)
}
