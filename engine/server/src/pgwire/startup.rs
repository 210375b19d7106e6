//! Start-up: TLS and GSS requests, cancel requests, the start-up message, the greeting.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::response::ErrorResponse;
use pgwire::messages::startup::{
    Authentication, BackendKeyData, GssEncRequest, NegotiateProtocolVersion, ParameterStatus,
    SslRequest,
};
use pgwire::messages::{DecodeContext, Message, PgWireBackendMessage, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Server;
use super::cancel::Slot;
use super::connection::status_message;
use super::incoming::Body;
use super::socket::Socket;
use crate::pg_input::utf8;
use crate::roles::Role;
use crate::session::{DATABASE, Session, SessionOptions, Settings};
use crate::sqlstate::{ServerError, Severity};

/// Packets before authentication are short.
const STARTUP_BYTES_MAX: usize = 10_000;

/// What a client asked for in its start-up message.
pub(super) struct Start {
    pub(super) user: String,
    /// The role that it proved to be.
    role: Option<Arc<Role>>,
    settings: Vec<(String, String)>,
    /// Bytes that came after the start-up message.
    pub(super) rest: BytesMut,
}

/// Answers the requests before the start-up message and lets the client prove who it is. None: a cancel request or a
/// hang-up.
///
/// # Errors
/// FATAL errors to send before closing.
pub(super) async fn open(
    socket: &mut Socket,
    server: &Server,
) -> Result<Option<Start>, ServerError> {
    let Some(mut start) = negotiate(socket, server).await? else {
        return Ok(None);
    };
    if server.roles.authenticates() {
        let roles = server.roles.current();
        super::auth::authenticate(socket, &mut start.rest, &start.user, &roles).await?;
        start.role = roles.get(&start.user).cloned();
    }
    Ok(Some(start))
}

async fn negotiate(socket: &mut Socket, server: &Server) -> Result<Option<Start>, ServerError> {
    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        let Some(mut packet) = read_packet(socket, &mut buffer).await? else {
            return Ok(None);
        };
        let ssl = SslRequest::is_ssl_request_packet(&packet);
        if ssl || GssEncRequest::is_gss_enc_request_packet(&packet) {
            if !encrypt(socket, server, ssl, &buffer).await? {
                return Ok(None);
            }
            continue;
        }
        if CancelRequest::is_cancel_request_packet(&packet) {
            let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
            context.awaiting_frontend_ssl = false;
            if let Ok(Some(request)) = CancelRequest::decode(&mut packet, &context) {
                server.cancels.cancel(request.pid, &request.secret_key);
            }
            return Ok(None);
        }
        let major = (&packet[4..6]).get_u16();
        if major != 3 {
            return Err(fatal(
                "0A000",
                format!("unsupported frontend protocol {major}"),
            ));
        }
        if server.config.require_tls && socket.peer().is_none() {
            let error = fatal("28000", "this server takes encrypted connections only");
            return Err(error.hint("Connect with sslmode=require, or verify-full with its CA."));
        }
        let minor = (&packet[6..8]).get_u16();
        let parameters = parameters(packet.split_off(8).freeze())?;
        return start(socket, minor, parameters, buffer).await.map(Some);
    }
}

/// Answers SSLRequest and GSSENCRequest; false when the connection is at its end.
///
/// # Errors
/// FATAL 08P01 for bytes that came before the handshake: whoever sent them could pass them off as the client's.
async fn encrypt(
    socket: &mut Socket,
    server: &Server,
    ssl: bool,
    buffer: &BytesMut,
) -> Result<bool, ServerError> {
    let tls = server.config.tls.as_ref().filter(|_| ssl);
    let (Some(tls), None) = (tls, socket.peer()) else {
        // 'N': not this kind of encryption; the client decides whether it goes on in clear.
        return Ok(socket.write_all(b"N").await.is_ok());
    };
    if !buffer.is_empty() {
        return Err(fatal(
            "08P01",
            "received unencrypted data after SSL request",
        ));
    }
    if socket.write_all(b"S").await.is_err() {
        return Ok(false);
    }
    let Socket::Plain(tcp) = std::mem::replace(socket, Socket::Closed) else {
        return Ok(false);
    };
    match tls.accept(tcp).await {
        Ok((stream, peer)) => {
            *socket = Socket::Tls(stream, peer);
            Ok(true)
        }
        Err(error) => {
            tracing::info!(%error, "a TLS handshake failed");
            Ok(false)
        }
    }
}

/// One length-prefixed packet; None when the client hangs up or speaks something else.
async fn read_packet(
    socket: &mut Socket,
    buffer: &mut BytesMut,
) -> Result<Option<BytesMut>, ServerError> {
    loop {
        if let Some(header) = buffer.get(..4) {
            let length = usize::try_from((&mut &*header).get_u32()).unwrap_or(usize::MAX);
            if !(8..=STARTUP_BYTES_MAX).contains(&length) {
                return Ok(None);
            }
            if buffer.len() >= length {
                return Ok(Some(buffer.split_to(length)));
            }
        }
        match socket.read_buf(buffer).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => {}
        }
    }
}

/// Names and values of a start-up message.
///
/// # Errors
/// FATAL: 08P01 for another layout, 22021 for what is not UTF-8.
fn parameters(body: Bytes) -> Result<BTreeMap<String, String>, ServerError> {
    let layout = |_| {
        let text = "invalid startup packet layout: expected terminator as last byte";
        fatal("08P01", text)
    };
    let (mut body, mut found) = (Body(body), BTreeMap::new());
    loop {
        let name = body.string().map_err(layout)?;
        if name.is_empty() {
            break;
        }
        let value = body.string().map_err(layout)?;
        let text = |bytes: &[u8]| {
            let text = utf8(bytes).map(str::to_owned);
            text.map_err(|error| error.severity(Severity::Fatal))
        };
        let value = match name[..] == b"application_name"[..] {
            // It may be in any encoding: what is not ASCII is not shown.
            true => value.iter().map(|byte| shown(*byte)).collect(),
            false => text(&value)?,
        };
        found.insert(text(&name)?, value);
    }
    match body.0.is_empty() {
        true => Ok(found),
        false => Err(layout(ServerError::protocol("more bytes"))),
    }
}

/// The byte of an application's name as PostgreSQL shows it.
fn shown(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        _ => '?',
    }
}

async fn start(
    socket: &mut Socket,
    minor: u16,
    mut parameters: BTreeMap<String, String>,
    rest: BytesMut,
) -> Result<Start, ServerError> {
    let options: Vec<String> = parameters
        .keys()
        .filter(|name| name.starts_with("_pq_."))
        .cloned()
        .collect();
    if minor > 0 || !options.is_empty() {
        let mut out = BytesMut::new();
        let message = NegotiateProtocolVersion::new(0, options);
        PgWireBackendMessage::NegotiateProtocolVersion(message)
            .encode(&mut out)
            .map_err(|error| fatal("XX000", error.to_string()))?;
        if socket.write_all(&out).await.is_err() {
            return Err(super::cancel::connection_lost());
        }
    }
    parameters.retain(|name, _| !name.starts_with("_pq_."));
    let user = parameters.remove("user").filter(|user| !user.is_empty());
    let user = user.ok_or_else(|| {
        fatal(
            "28000",
            "no PostgreSQL user name specified in startup packet",
        )
    })?;
    let database = parameters.remove("database").unwrap_or_default();
    let known = ["", DATABASE, "postgres"].contains(&database.as_str()) || database == user;
    if !known {
        return Err(
            fatal("3D000", format!("database \"{database}\" does not exist"))
                .hint(format!("This server has one database, \"{DATABASE}\".")),
        );
    }
    if let Some(replication) = parameters.remove("replication")
        && !matches!(replication.as_str(), "false" | "off" | "no" | "0")
    {
        return Err(fatal("0A000", "replication connections are not supported"));
    }
    let mut settings = command_line(&parameters.remove("options").unwrap_or_default());
    settings.extend(parameters);
    Ok(Start {
        user,
        role: None,
        settings,
        rest,
    })
}

/// `-c name=value` and `--name=value` of the `options` parameter.
fn command_line(options: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--") {
            Some(long) => Some(long.to_owned()),
            None if word == "-c" => words.next(),
            None => word.strip_prefix("-c").map(str::to_owned),
        };
        if let Some((name, value)) = assignment.as_deref().and_then(|a| a.split_once('=')) {
            found.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    found
}

/// Splits at spaces; a backslash keeps the next character.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn fatal(code: &'static str, message: impl Into<String>) -> ServerError {
    ServerError::new(code, message).severity(Severity::Fatal)
}

/// Sends a FATAL error and closes.
pub(super) async fn refuse(socket: &mut Socket, error: ServerError) {
    let info = error.severity(Severity::Fatal).to_error_info();
    let mut out = BytesMut::new();
    let message = PgWireBackendMessage::ErrorResponse(ErrorResponse::from(info));
    if message.encode(&mut out).is_ok() {
        let _ = socket.write_all(&out).await;
    }
    let _ = socket.shutdown().await;
}

/// The session a start-up message asks for.
///
/// # Errors
/// FATAL for settings that do not exist or take another value.
pub(super) fn session(
    start: &Start,
    pid: i32,
    server: &Arc<Server>,
) -> Result<Session, ServerError> {
    let asked = start
        .settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut settings = Settings::new(asked).map_err(|error| error.severity(Severity::Fatal))?;
    if let Some(timeout) = server.config.statement_timeout
        && settings.statement_timeout().is_none()
    {
        settings.force("statement_timeout", &timeout.as_millis().to_string());
    }
    settings.force("session_authorization", &start.user);
    settings.force(
        "max_connections",
        &server.config.max_connections.to_string(),
    );
    if server.config.tls.is_some() {
        settings.force("ssl", "on");
    }
    let roles = server.roles.current();
    if roles.get(&start.user).is_some_and(|role| role.admin) {
        settings.force("is_superuser", "on");
    }
    let identity = |(name, value): &&(String, String)| {
        let identity = ["role", "session_authorization"].contains(&&*name.to_ascii_lowercase());
        identity && ![start.user.as_str(), "none"].contains(&value.as_str())
    };
    if let Some((_, other)) = start.settings.iter().find(identity) {
        return Err(fatal("22023", format!("role \"{other}\" does not exist")));
    }
    let options = SessionOptions {
        user: start.user.clone(),
        pid,
        runtime: server.queries.clone(),
        memory_limit: server.config.query_memory_bytes,
    };
    let session = Session::new(Arc::clone(&server.backend), options, settings);
    Ok(session
        .with_roles(Arc::clone(&server.roles), start.role.clone())
        .with_sessions(Arc::clone(&server.cancels)))
}

/// AuthenticationOk, ParameterStatus, BackendKeyData.
pub(super) fn greeting(
    out: &mut BytesMut,
    reported: &[(&'static str, String)],
    slot: &Slot,
) -> Result<(), ServerError> {
    let internal = |error: pgwire::error::PgWireError| ServerError::internal(error.to_string());
    PgWireBackendMessage::Authentication(Authentication::Ok)
        .encode(out)
        .map_err(internal)?;
    for (name, value) in reported {
        status_message(out, ParameterStatus::new((*name).to_owned(), value.clone()))?;
    }
    let key = BackendKeyData::new(slot.pid(), slot.secret());
    PgWireBackendMessage::BackendKeyData(key)
        .encode(out)
        .map_err(internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_give_settings() {
        let pairs = command_line("-c search_path=a\\ b --statement-timeout=5s -cx.y=z");
        let expected = [
            ("search_path", "a b"),
            ("statement_timeout", "5s"),
            ("x.y", "z"),
        ];
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, expected);
    }
}
