//! A client that speaks bytes, and the messages that it sends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::TestServer;

/// A client that speaks bytes.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects and reads the greeting; answers its messages.
    pub async fn start(server: &TestServer) -> (Raw, Vec<(u8, Vec<u8>)>) {
        let mut raw = Raw(server.raw().await);
        raw.0
            .write_all(&startup(&[("user", "ann"), ("database", "genokura")]))
            .await
            .unwrap();
        let greeting = raw.until_ready().await;
        (raw, greeting)
    }

    /// Sends these.
    pub async fn send(&mut self, messages: &[Vec<u8>]) {
        self.0.write_all(&messages.concat()).await.unwrap();
    }

    /// The next message; None at the end of the connection.
    pub async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.0.read_u8().await.ok()?;
        let length = self.0.read_u32().await.unwrap() as usize - 4;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        Some((kind, body))
    }

    /// Messages up to ReadyForQuery, or to the end.
    pub async fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        while let Some(message) = self.message().await {
            let ready = message.0 == b'Z';
            messages.push(message);
            if ready {
                break;
            }
        }
        messages
    }
}

/// A start-up message.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(name.bytes().chain([0]).chain(value.bytes()).chain([0]));
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap();
    [length.to_be_bytes().to_vec(), body].concat()
}

/// A message of this kind.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// A query string.
pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

/// Parse of the unnamed statement.
pub fn parse(sql: &str) -> Vec<u8> {
    message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

/// Bind of the unnamed portal, without values.
pub fn bind() -> Vec<u8> {
    message(b'B', b"\0\0\0\0\0\0\0\0")
}

/// Execute of the unnamed portal.
pub fn execute(rows: u32) -> Vec<u8> {
    message(b'E', &[b"\0", &rows.to_be_bytes()[..]].concat())
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// The kinds of messages.
pub fn kinds(messages: &[(u8, Vec<u8>)]) -> String {
    messages.iter().map(|(kind, _)| char::from(*kind)).collect()
}

/// Parse, Bind and Execute of one statement.
pub fn run(sql: &str) -> Vec<u8> {
    [parse(sql), bind(), execute(0)].concat()
}

/// The texts of command tags, of the one cell of rows, and SQLSTATEs.
pub fn texts(messages: &[(u8, Vec<u8>)]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = messages.iter().filter_map(|message| match message.0 {
        b'C' => Some(text(message.1.strip_suffix(b"\0").unwrap())),
        b'D' => Some(text(&message.1[6..])),
        b'E' | b'N' => Some(sqlstate(message)),
        _ => None,
    });
    told.collect()
}

/// The SQLSTATE of an error.
pub fn sqlstate(message: &(u8, Vec<u8>)) -> String {
    let fields = message.1.split(|byte| *byte == 0);
    let code = fields
        .filter_map(|field| field.strip_prefix(b"C"))
        .next()
        .unwrap();
    String::from_utf8_lossy(code).into_owned()
}
