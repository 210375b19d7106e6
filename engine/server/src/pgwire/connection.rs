//! One connection: reads messages ahead, answers them in order, buffers what it writes.

use std::sync::Arc;

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, NotificationResponse,
    ReadyForQuery, TransactionStatus as WireStatus,
};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info};

use super::cancel::{Interrupts, connection_lost, shutting_down};
use super::inbox::{self, Inbox};
use super::incoming::{Incoming, Message};
use super::socket::{Socket, Tcp, Writer};
use super::{Server, startup};
use crate::pg_catalog::Ends;
use crate::session::{Session, TransactionStatus};
use crate::sqlstate::{ServerError, Severity};

/// Bytes gathered before the socket is written to.
pub(super) const FLUSH_BYTES: usize = 64 * 1024;

/// One client after start-up.
pub(super) struct Connection {
    socket: Writer,
    pub(super) out: BytesMut,
    inbox: Inbox,
    pub(super) interrupts: Interrupts,
    pub(super) session: Session,
    pub(super) server: Arc<Server>,
    /// An extended-protocol error: messages are ignored until Sync.
    skip_until_sync: bool,
    reported: Vec<(&'static str, String)>,
    queries: u64,
    _reader: AbortOnDropHandle<()>,
}

/// Serves one socket to its end.
pub(super) async fn run(socket: TcpStream, server: Arc<Server>) {
    let stranger = server.strangers.enter();
    let addresses = socket.peer_addr().ok().zip(socket.local_addr().ok());
    let tcp = Tcp::new(socket);
    let mut socket = Socket::Plain(tcp.clone());
    let limit = server.config.startup_timeout;
    let started = tokio::select! {
        () = server.drain.cancelled() => return,
        () = stranger.sent_away() => return debug!("too many clients on their way in"),
        started = tokio::time::timeout(limit, startup::open(&mut socket, &server)) => started,
    };
    let start = match started {
        Ok(Ok(Some(start))) => start,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => return refuse(&server, &mut socket, error).await,
        Err(_elapsed) => return debug!("start-up timeout"),
    };
    drop(stranger);
    let roles = server.roles.current();
    let role = roles.get(&start.user);
    let permit = match role {
        Some(role) if role.admin => server.connections.enter_as_admin(),
        _ => server.connections.enter(),
    };
    let _permit = match permit {
        Ok(permit) => permit,
        Err(error) => return refuse(&server, &mut socket, error).await,
    };
    let most = role.and_then(|role| role.limits.connections);
    let longest = role.and_then(|role| role.limits.memory_bytes);
    drop(roles);
    let ends = addresses.map(|(client, server)| Ends {
        client,
        server,
        encryption: socket.peer().map(|peer| peer.encryption.clone()),
    });
    let slot = match server
        .cancels
        .register(server.next_pid(), &start.user, most, ends)
    {
        Ok(slot) => slot,
        Err(error) => return refuse(&server, &mut socket, error).await,
    };
    let pid = slot.pid();
    server.metrics.connections.add(1);
    // Without roles the user name is whatever the client typed: it is not logged.
    match server.roles.authenticates() {
        true => info!(connection = pid, role = %start.user, "connected"),
        false => info!(connection = pid, "connected"),
    }
    let session = match startup::session(&start, pid, &server) {
        Ok(session) => session,
        Err(error) => {
            server.cancels.remove(pid);
            return refuse(&server, &mut socket, error).await;
        }
    };
    let (read, write) = socket.split();
    let hangup = CancellationToken::new();
    let (inbox, reading) = inbox::open(inbox::Ends {
        socket: read,
        tcp,
        begun: start.rest,
        pool: server.backend.memory(),
        most: longest,
        hangup: hangup.clone(),
    });
    let reader = tokio::spawn(reading);
    let interrupts = Interrupts::new(slot, hangup, server.force.clone());
    let mut connection = Connection {
        socket: write,
        out: BytesMut::with_capacity(2 * FLUSH_BYTES),
        inbox,
        interrupts,
        reported: session.settings().reported(),
        session,
        server: Arc::clone(&server),
        skip_until_sync: false,
        queries: 0,
        _reader: AbortOnDropHandle::new(reader),
    };
    let ended = connection.serve().await;
    server.cancels.remove(pid);
    info!(connection = pid, queries = connection.queries, reason = %ended, "disconnected");
}

fn is_good_bye(incoming: &Incoming) -> bool {
    matches!(incoming.message, Ok(Message::Terminate))
}

/// Counts, logs and tells a client why it is not served.
async fn refuse(server: &Server, socket: &mut Socket, error: ServerError) {
    info!(sqlstate = error.code(), "a client was refused");
    server.metrics.failed(error.code());
    startup::refuse(socket, error).await;
}

impl Connection {
    /// Answers messages to the end; returns why it ended, for the log.
    async fn serve(&mut self) -> ServerError {
        if let Err(error) = self.greet().await {
            return error;
        }
        loop {
            let message = match self.next_message().await {
                Ok(Some(message)) => message,
                Ok(None) => return ServerError::new("00000", "client terminated the session"),
                Err(error) => return self.fatal(error).await,
            };
            if let Err(error) = self.answer(message).await {
                return self.fatal(error).await;
            }
        }
    }

    async fn greet(&mut self) -> Result<(), ServerError> {
        let slot = Arc::clone(&self.interrupts.slot);
        startup::greeting(&mut self.out, &self.reported, &slot)?;
        self.ready_for_query()?;
        self.flush().await
    }

    /// The next message; None when the client says goodbye.
    async fn next_message(&mut self) -> Result<Option<Incoming>, ServerError> {
        let in_transaction = self.session.transaction_status() != TransactionStatus::Idle;
        let idle = self.session.settings().idle_timeout(in_transaction);
        let idle = async {
            match idle {
                Some(idle) => tokio::time::sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        let mut idle = std::pin::pin!(idle);
        let slot = Arc::clone(&self.interrupts.slot);
        let mailbox = self.session.mailbox();
        let message = loop {
            tokio::select! {
                biased;
                () = self.server.drain.cancelled() => return Err(shutting_down()),
                () = slot.terminated() => return Err(shutting_down()),
                message = self.inbox.next() => break message,
                () = mailbox.arrived(), if !in_transaction && !self.skip_until_sync => {
                    self.tell_words()?;
                    self.flush().await?;
                }
                () = &mut idle => return Err(idle_timeout(in_transaction)),
            }
        };
        match message {
            None => Ok(None),
            Some(Ok(incoming)) if is_good_bye(&incoming) => Ok(None),
            Some(Ok(incoming)) => Ok(Some(incoming)),
            Some(Err(error)) => Err(error),
        }
    }

    /// The next message of a COPY FROM STDIN; what stops the statement stops the wait.
    pub(super) async fn next_of_copy(&mut self) -> Result<Incoming, ServerError> {
        let next = self.inbox.next();
        let next = async { Ok(next.await) };
        match self.interrupts.race(next).await? {
            None => Err(connection_lost()),
            Some(Ok(incoming)) if is_good_bye(&incoming) => Err(connection_lost()),
            Some(arrived) => arrived,
        }
    }

    /// Whether another statement of the pipeline comes before the client waits for answers. What it sends until then
    /// is read here, and answered in its turn.
    pub(super) async fn is_followed(&mut self) -> Result<bool, ServerError> {
        for place in 0..inbox::LOOKED_AT_MAX {
            let next = self.inbox.look(place);
            let next = async { Ok(next.await) };
            match self.interrupts.race(next).await? {
                Some(b'S' | b'H') => return Ok(false),
                Some(b'C') => {}
                _ => return Ok(true),
            }
        }
        Ok(true)
    }

    /// Answers one message. An `Err` ends the session.
    async fn answer(&mut self, incoming: Incoming) -> Result<(), ServerError> {
        let Incoming {
            kind,
            message,
            memory: _held,
        } = incoming;
        // A Sync that cannot be read is one.
        self.skip_until_sync &= kind != b'S';
        // Late messages of a COPY that failed are ignored, as in PostgreSQL.
        if self.skip_until_sync || matches!(kind, b'd' | b'c' | b'f') {
            return Ok(());
        }
        if !Incoming::is_extended(kind) {
            return self.answer_alone(message).await;
        }
        let result = match message {
            Ok(Message::Parse { name, query, types }) => self.parse(&name, &query, &types).await,
            Ok(Message::Bind(bind)) => self.bind(bind).await,
            Ok(Message::Describe(target)) => self.describe(&target),
            Ok(Message::Execute { portal, limit }) => self.execute(&portal, limit).await,
            Ok(Message::Close(target)) => self.close(&target),
            Ok(Message::Flush) => return self.flush().await,
            Ok(_) => Err(ServerError::protocol("unexpected message").severity(Severity::Fatal)),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => self.flush_when_full().await,
            Err(error) => {
                self.report(&error)?;
                self.skip_until_sync = true;
                self.flush().await
            }
        }
    }

    /// Answers a message that ReadyForQuery follows, whatever comes of it.
    async fn answer_alone(
        &mut self,
        message: Result<Message, ServerError>,
    ) -> Result<(), ServerError> {
        match message {
            Ok(Message::Query(query)) => self.simple_query(&query).await?,
            Ok(Message::Sync) => {}
            Ok(Message::Call) => {
                let error = match self.session.transaction_status() {
                    TransactionStatus::Failed => ServerError::aborted(),
                    _ => ServerError::unsupported("function calls by OID are not supported")
                        .hint("Call the function in a SELECT."),
                };
                self.report(&error)?;
            }
            Ok(_) => {
                return Err(ServerError::protocol("unexpected message").severity(Severity::Fatal));
            }
            Err(error) => self.report(&error)?,
        }
        self.session.sync();
        self.ready_for_query()?;
        self.flush().await
    }

    /// Tells the client of an error that ends the statement; a fatal one is passed on.
    pub(super) fn report(&mut self, error: &ServerError) -> Result<(), ServerError> {
        self.session.fail();
        if error.is_fatal() {
            return Err(error.clone());
        }
        // The message may name what the user typed: it is the client's, not the log's.
        info!(
            connection = self.interrupts.slot.pid(),
            query = self.queries,
            sqlstate = error.code(),
            "statement failed"
        );
        self.server.metrics.failed(error.code());
        let told = self.told(error);
        self.put(PgWireBackendMessage::ErrorResponse(ErrorResponse::from(
            told.to_error_info(),
        )))
    }

    /// An error as the client may be told of it. Of a file that cannot be read the log gets place and reason.
    fn told(&mut self, told: &ServerError) -> ServerError {
        let (connection, query) = (self.interrupts.slot.pid(), self.queries);
        if let Some(cause) = told.logged_cause() {
            error!(
                connection,
                query,
                sqlstate = told.code(),
                cause,
                "a file cannot be read or written"
            );
        }
        let needs_hint = told.logged_cause().is_some() && told.hint_text().is_none();
        let told = self.session.told(told.clone());
        match needs_hint {
            true => told.hint(format!(
                "Whoever runs the server finds the cause in its log, as that of query {query} of connection {connection}."
            )),
            false => told,
        }
    }

    /// The last words of a session that the server ends.
    async fn fatal(&mut self, error: ServerError) -> ServerError {
        if error.code() == connection_lost().code() {
            return error;
        }
        let told = self.told(&error);
        let info = told.severity(Severity::Fatal).to_error_info();
        let sent = self.put(PgWireBackendMessage::ErrorResponse(ErrorResponse::from(
            info,
        )));
        if sent.is_ok() {
            let last = std::time::Duration::from_secs(1);
            let _ = tokio::time::timeout(last, self.flush_unraced()).await;
        }
        let _ = self.socket.shutdown().await;
        error
    }

    /// Appends a message to the output buffer.
    pub(super) fn put(&mut self, message: PgWireBackendMessage) -> Result<(), ServerError> {
        message
            .encode(&mut self.out)
            .map_err(|error| ServerError::internal(error.to_string()))
    }

    /// Tells what the session has to say beside its answers.
    pub(super) fn tell_notices(&mut self) -> Result<(), ServerError> {
        for notice in self.session.take_notices() {
            self.notice(&notice)?;
        }
        Ok(())
    }

    /// Tells what other sessions said where this one listens.
    fn tell_words(&mut self) -> Result<(), ServerError> {
        for word in self.session.mailbox().take() {
            let said =
                NotificationResponse::new(word.pid, word.channel.clone(), word.payload.clone());
            self.put(PgWireBackendMessage::NotificationResponse(said))?;
        }
        Ok(())
    }

    pub(super) fn notice(&mut self, warning: &ServerError) -> Result<(), ServerError> {
        if self.session.settings().silences(warning) {
            return Ok(());
        }
        let info = warning.to_error_info();
        self.put(PgWireBackendMessage::NoticeResponse(NoticeResponse::from(
            info,
        )))
    }

    pub(super) fn complete(&mut self, tag: &str) -> Result<(), ServerError> {
        let message = CommandComplete::new(tag.to_owned());
        self.put(PgWireBackendMessage::CommandComplete(message))
    }

    pub(super) fn empty_query(&mut self) -> Result<(), ServerError> {
        self.put(PgWireBackendMessage::EmptyQueryResponse(
            EmptyQueryResponse::new(),
        ))
    }

    /// ReadyForQuery, after telling which reported settings changed.
    fn ready_for_query(&mut self) -> Result<(), ServerError> {
        let reported = self.session.settings().reported();
        if reported != self.reported {
            for (new, old) in reported.iter().zip(&self.reported) {
                if new != old {
                    let status = ParameterStatus::new(new.0.to_owned(), new.1.clone());
                    status_message(&mut self.out, status)?;
                }
            }
            self.reported = reported;
        }
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.tell_words()?;
        }
        let status = match self.session.transaction_status() {
            TransactionStatus::Idle => WireStatus::Idle,
            TransactionStatus::Open => WireStatus::Transaction,
            TransactionStatus::Failed => WireStatus::Error,
        };
        let waits = match self.session.transaction_status() {
            TransactionStatus::Idle => "idle",
            TransactionStatus::Open => "idle in transaction",
            TransactionStatus::Failed => "idle in transaction (aborted)",
        };
        let application = self.session.settings().get("application_name");
        self.interrupts
            .slot
            .waits(waits, application.unwrap_or_default());
        self.put(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(
            status,
        )))
    }

    /// Writes all that is buffered; stops when the client is gone or the session must end.
    pub(super) async fn flush(&mut self) -> Result<(), ServerError> {
        let (hangup, force, slot) = (
            self.interrupts.hangup.clone(),
            self.interrupts.force.clone(),
            Arc::clone(&self.interrupts.slot),
        );
        tokio::select! {
            biased;
            result = self.flush_unraced() => result,
            () = hangup.cancelled() => Err(connection_lost()),
            () = force.cancelled() => Err(shutting_down()),
            () = slot.terminated() => Err(shutting_down()),
        }
    }

    async fn flush_unraced(&mut self) -> Result<(), ServerError> {
        while !self.out.is_empty() {
            // write_buf takes from the buffer only what the socket took: safe to drop half-way.
            match self.socket.write_buf(&mut self.out).await {
                Ok(0) | Err(_) => return Err(connection_lost()),
                Ok(_) => {}
            }
        }
        // Under TLS what was written may still wait to be sent.
        self.socket.flush().await.map_err(|_| connection_lost())
    }

    pub(super) async fn flush_when_full(&mut self) -> Result<(), ServerError> {
        if self.out.len() >= FLUSH_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// As [`Connection::flush`], also stopped by what stops the statement.
    pub(super) async fn flush_statement(&mut self) -> Result<(), ServerError> {
        let (socket, out) = (&mut self.socket, &mut self.out);
        let write = async {
            while !out.is_empty() {
                match socket.write_buf(out).await {
                    Ok(0) | Err(_) => return Err(connection_lost()),
                    Ok(_) => {}
                }
            }
            socket.flush().await.map_err(|_| connection_lost())
        };
        self.interrupts.race(write).await
    }

    /// Lets others know what the session is about to run. What may stop it is in place before.
    pub(super) fn runs(&self, text: &str) {
        let application = self.session.settings().get("application_name");
        let transaction = self.session.transaction_time();
        let application = application.unwrap_or_default();
        self.interrupts.runs(text, application, transaction);
    }

    /// A statement that came to its end: one line in the log, with numbers only.
    pub(super) fn done(&self, query: u64, rows: u64, started: std::time::Instant) {
        let elapsed = started.elapsed();
        self.server.metrics.statement(rows, elapsed);
        info!(
            connection = self.interrupts.slot.pid(),
            query,
            rows,
            milliseconds = elapsed.as_secs_f64() * 1e3,
            "statement"
        );
    }

    /// Counts a statement and starts its clock.
    pub(super) fn begin_statement(&mut self) -> u64 {
        self.queries += 1;
        self.interrupts.begin(self.session.statement_timeout());
        self.queries
    }
}

pub(super) fn status_message(
    out: &mut BytesMut,
    status: ParameterStatus,
) -> Result<(), ServerError> {
    PgWireBackendMessage::ParameterStatus(status)
        .encode(out)
        .map_err(|error| ServerError::internal(error.to_string()))
}

fn idle_timeout(in_transaction: bool) -> ServerError {
    let (code, text) = match in_transaction {
        true => (
            "25P03",
            "terminating connection due to idle-in-transaction timeout",
        ),
        false => (
            "57P05",
            "terminating connection due to idle-session timeout",
        ),
    };
    ServerError::new(code, text).severity(Severity::Fatal)
}
