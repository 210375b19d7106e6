//! Who is there: the conversation between the start-up message and the greeting.
//!
//! A role with a password proves it by SCRAM; a role with a certificate and no password shows the certificate. All
//! others, unknown names among them, are led through a SCRAM conversation that nobody can win, and every failure
//! reads "password authentication failed".

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::startup::Authentication;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scram::Scram;
use super::socket::Socket;
use crate::roles::{Role, Roles};
use crate::sqlstate::{ServerError, Severity};

/// Messages before authentication are short.
const MESSAGE_BYTES_MAX: usize = 8192;
/// Type byte of SASLInitialResponse and SASLResponse.
const PASSWORD_MESSAGE: u8 = b'p';

/// Lets the client prove that it is `user`. `rest` holds bytes that came after the start-up message.
///
/// # Errors
/// FATAL: 28P01 when it cannot, 08P01 when it does not follow the protocol, 08006 when it hangs up.
pub(super) async fn authenticate(
    socket: &mut Socket,
    rest: &mut BytesMut,
    user: &str,
    roles: &Roles,
) -> Result<(), ServerError> {
    let role = roles.get(user);
    let peer = socket.peer().cloned().unwrap_or_default();
    let shown = shows_certificate(role.map(AsRef::as_ref), peer.common_name.as_deref());
    if let Some(role) = role
        && role.password.is_none()
        && role.certificate.is_some()
        && shown
    {
        return Ok(());
    }
    let keys = role.and_then(|role| role.password.clone());
    let may = keys.is_some() && shown;
    // Made up for everybody, so that both take the same time.
    let mock = roles.mock_keys(user);
    let keys = keys.unwrap_or(mock);
    let scram = Scram::new(keys, may, peer.binding)?;
    let mechanisms = scram.mechanisms();
    send(socket, Authentication::SASL(mechanisms)).await?;

    let mut message = read(socket, rest).await?;
    let (mechanism, first) = initial_response(&mut message)?;
    let (waiting, reply) = scram.first(&mechanism, &first)?;
    send(socket, Authentication::SASLContinue(reply.into())).await?;

    let last = read(socket, rest).await?;
    match waiting.last(&last)? {
        Some(proof) => send(socket, Authentication::SASLFinal(proof.into())).await,
        None => Err(failed(user)),
    }
}

/// Whether the client has shown the certificate that the role asks for, if it asks for one.
fn shows_certificate(role: Option<&Role>, common_name: Option<&str>) -> bool {
    match role.and_then(|role| role.certificate.as_deref()) {
        None => true,
        Some(wanted) => common_name == Some(wanted),
    }
}

/// 28P01, whatever was wrong.
fn failed(user: &str) -> ServerError {
    let text = format!("password authentication failed for user \"{user}\"");
    ServerError::new("28P01", text).severity(Severity::Fatal)
}

/// Mechanism and data of SASLInitialResponse.
fn initial_response(message: &mut BytesMut) -> Result<(String, Vec<u8>), ServerError> {
    let malformed = || protocol("malformed SASL response");
    let end = message.iter().position(|byte| *byte == 0);
    let end = end.ok_or_else(malformed)?;
    let mechanism = message.split_to(end);
    message.advance(1);
    if message.len() < 4 {
        return Err(malformed());
    }
    let length = usize::try_from(message.get_i32()).map_err(|_| malformed())?;
    if length != message.len() {
        return Err(malformed());
    }
    let mechanism = String::from_utf8(mechanism.to_vec()).map_err(|_| malformed())?;
    Ok((mechanism, message.to_vec()))
}

/// The body of the next message, which must be a password message.
async fn read(socket: &mut Socket, buffer: &mut BytesMut) -> Result<BytesMut, ServerError> {
    loop {
        if let Some((kind, mut length)) = buffer.get(..5).and_then(<[u8]>::split_first) {
            let length = usize::try_from(length.get_u32()).unwrap_or(usize::MAX);
            if *kind != PASSWORD_MESSAGE || !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                return Err(protocol("expected SASL response"));
            }
            if buffer.len() > length {
                let mut message = buffer.split_to(length + 1);
                message.advance(5);
                return Ok(message);
            }
        }
        match socket.read_buf(buffer).await {
            Ok(0) | Err(_) => return Err(super::cancel::connection_lost()),
            Ok(_) => {}
        }
    }
}

async fn send(socket: &mut Socket, message: Authentication) -> Result<(), ServerError> {
    let mut out = BytesMut::new();
    PgWireBackendMessage::Authentication(message)
        .encode(&mut out)
        .map_err(|error| ServerError::internal(error.to_string()))?;
    let sent = async {
        socket.write_all(&out).await?;
        socket.flush().await
    };
    sent.await.map_err(|_| super::cancel::connection_lost())
}

fn protocol(what: &str) -> ServerError {
    ServerError::protocol(what).severity(Severity::Fatal)
}
