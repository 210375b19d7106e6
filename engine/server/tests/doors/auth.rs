//! Passwords: what is stored of them, what a stranger learns, and that nobody gets in without one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use genokura_server::pgwire::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::setup::{
    LAKE, RoleFile, Server, backend, genokura, must_fail, password, rows, soon, told,
};

/// Fails without: the conversation itself, and the constant-false of unknown names.
#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_and_nothing_else_does() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    roles.run(&["add", "nologin", "--no-password"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    assert_eq!(rows(&client, "select current_user").await, ["ann"]);
    for (user, word) in [
        ("ann", "wrong"),
        ("ann", ""),
        ("ann", "secret-ann "),
        ("bob", "secret-ann"),
        ("owner", ""),
        ("owner", "owner"),
        ("nologin", "secret-nologin"),
        ("nologin", ""),
    ] {
        let refused = server.try_connect(user, word).await.map(drop).unwrap_err();
        // An empty password is refused by the client already.
        let told = told(&refused);
        let expected = format!("28P01 password authentication failed for user \"{user}\"");
        assert!(told == expected || word.is_empty(), "{user}/{word}: {told}");
    }
}

/// Fails without: stored keys only. The salted password would let whoever reads the file log in.
#[test]
fn the_role_file_holds_neither_the_password_nor_what_logs_in() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    let text = std::fs::read_to_string(roles.path()).unwrap();
    let (_, rest) = text.split_once("SCRAM-SHA-256$").unwrap();
    let (iterations, rest) = rest.split_once(':').unwrap();
    let (salt, _) = rest.split_once('$').unwrap();
    let mut salted = [0; 32];
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA256,
        iterations.parse().unwrap(),
        &STANDARD.decode(salt).unwrap(),
        password("ann").as_bytes(),
        &mut salted,
    );
    let hmac = |key: &[u8], text: &[u8]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::sign(&key, text).as_ref().to_vec()
    };
    let client_key = hmac(&salted, b"Client Key");
    let stored = ring::digest::digest(&ring::digest::SHA256, &client_key);
    assert!(
        text.contains(&STANDARD.encode(stored.as_ref())),
        "the test derives as we do"
    );
    for secret in [&salted[..], &client_key] {
        assert!(!text.contains(&STANDARD.encode(secret)));
    }
    assert!(!text.contains("secret-ann"));
    let hex: String = salted.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.contains(&hex));
}

/// A connection below the level of clients.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn start(server: &Server, user: &str) -> Raw {
        let mut raw = Raw(TcpStream::connect(("127.0.0.1", server.port))
            .await
            .unwrap());
        let parameters = format!("user\0{user}\0database\0genokura\0\0");
        let mut out = BytesMut::new();
        out.put_i32(i32::try_from(8 + parameters.len()).unwrap());
        out.put_i32(196_608);
        out.put_slice(parameters.as_bytes());
        raw.0.write_all(&out).await.unwrap();
        raw
    }

    pub async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.0.read_u8().await.ok()?;
        let length = self.0.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        self.0.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    async fn password_message(&mut self, body: &[u8]) {
        let mut out = BytesMut::new();
        out.put_u8(b'p');
        out.put_i32(i32::try_from(4 + body.len()).unwrap());
        out.put_slice(body);
        self.0.write_all(&out).await.unwrap();
    }

    async fn first(&mut self, mechanism: &str, message: &str) {
        let mut body = BytesMut::new();
        body.put_slice(mechanism.as_bytes());
        body.put_u8(0);
        body.put_i32(i32::try_from(message.len()).unwrap());
        body.put_slice(message.as_bytes());
        self.password_message(&body).await;
    }
}

/// What a stranger sees of a conversation that fails: mechanisms, salt, iterations, and the end.
async fn conversation(server: &Server, user: &str) -> (Vec<u8>, String, String, Vec<u8>) {
    let mut raw = Raw::start(server, user).await;
    let (kind, offer) = raw.message().await.unwrap();
    assert_eq!(kind, b'R');
    raw.first("SCRAM-SHA-256", "n,,n=,r=abcdefghijkl").await;
    let (_, reply) = raw.message().await.unwrap();
    let reply = String::from_utf8(reply[4..].to_vec()).unwrap();
    let mut fields = reply.split(',');
    let nonce = fields.next().unwrap().to_owned();
    let salt = fields.next().unwrap().to_owned();
    let iterations = fields.next().unwrap().to_owned();
    let proof = STANDARD.encode([7; 32]);
    raw.password_message(format!("c=biws,{nonce},p={proof}").as_bytes())
        .await;
    let (kind, error) = raw.message().await.unwrap();
    assert_eq!(kind, b'E');
    assert!(raw.message().await.is_none(), "the server hangs up");
    (offer, salt, iterations, error)
}

/// Fails without: the made-up salt of names that do not exist.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_a_role_cannot_be_told_from_one_with() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    roles.run(&["add", "card", "--no-password"]);
    roles.run(&["certificate", "card", "card.example"]);
    let server = Server::with_roles(&roles);
    let known = conversation(&server, "ann").await;
    for stranger in ["bob", "card", "x"] {
        let one = conversation(&server, stranger).await;
        let two = conversation(&server, stranger).await;
        assert_eq!(one.0, known.0, "mechanisms");
        assert_eq!(one.1.len(), known.1.len(), "length of the salt");
        assert_eq!(one.1, two.1, "the salt stays the same");
        assert_eq!(one.2, known.2, "iterations");
        let text = |error: &[u8], user: &str| String::from_utf8_lossy(error).replace(user, "?");
        assert_eq!(
            text(&one.3, stranger),
            text(&known.3, "ann"),
            "the last word"
        );
    }
    // The made-up salts stay after a restart: they come from the file.
    let before = conversation(&server, "bob").await.1;
    drop(server);
    let server = Server::with_roles(&roles);
    assert_eq!(conversation(&server, "bob").await.1, before);
}

/// Fails without: the check of `c=`, of the nonce, and of the message form.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_out_of_order_ends() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    let server = Server::with_roles(&roles);
    for (mechanism, first) in [
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"),
        ("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc"),
        ("SCRAM-SHA-256", "n,a=root,n=,r=abc"),
        ("SCRAM-SHA-1", "n,,n=,r=abc"),
        ("SCRAM-SHA-256", ""),
    ] {
        let mut raw = Raw::start(&server, "ann").await;
        raw.message().await.unwrap();
        raw.first(mechanism, first).await;
        assert_eq!(raw.message().await.unwrap().0, b'E', "{mechanism} {first}");
        assert!(raw.message().await.is_none());
    }
    // Asking a question before the end of the conversation ends it.
    let mut raw = Raw::start(&server, "ann").await;
    raw.message().await.unwrap();
    raw.0.write_all(b"Q\0\0\0\x0dselect 1\0").await.unwrap();
    assert_eq!(raw.message().await.unwrap().0, b'E');
    assert!(raw.message().await.is_none());
    // Nor does a message of another kind count for its contents.
    let mut raw = Raw::start(&server, "ann").await;
    raw.message().await.unwrap();
    let mut disguised = b"Q".to_vec();
    let body = b"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd";
    disguised.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    disguised.extend(body);
    raw.0.write_all(&disguised).await.unwrap();
    assert_eq!(raw.message().await.unwrap().0, b'E');
    assert!(raw.message().await.is_none());
    // A nonce of another conversation does not count, nor does a huge message.
    let mut raw = Raw::start(&server, "ann").await;
    raw.message().await.unwrap();
    raw.first("SCRAM-SHA-256", "n,,n=,r=abc").await;
    raw.message().await.unwrap();
    let proof = STANDARD.encode([7; 32]);
    raw.password_message(format!("c=biws,r=abcOther,p={proof}").as_bytes())
        .await;
    let (kind, error) = raw.message().await.unwrap();
    assert!(kind == b'E' && String::from_utf8_lossy(&error).contains("08P01"));
    let mut raw = Raw::start(&server, "ann").await;
    raw.message().await.unwrap();
    raw.0.write_all(b"p\x7f\xff\xff\xff").await.unwrap();
    assert_eq!(raw.message().await.unwrap().0, b'E');
}

/// Fails without: a nonce of its own for each conversation. A proof that was overheard would count again.
#[tokio::test(flavor = "multi_thread")]
async fn no_conversation_is_like_another() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    let server = Server::with_roles(&roles);
    let mut nonces = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut raw = Raw::start(&server, "ann").await;
        raw.message().await.unwrap();
        raw.first("SCRAM-SHA-256", "n,,n=,r=abc").await;
        let (_, reply) = raw.message().await.unwrap();
        let reply = String::from_utf8(reply[4..].to_vec()).unwrap();
        let (nonce, _) = reply.split_once(',').unwrap();
        assert!(
            nonce.starts_with("r=abc") && nonce.len() > 5 + 20,
            "{nonce}"
        );
        nonces.insert(nonce.to_owned());
    }
    assert_eq!(nonces.len(), 3);
}

/// Fails without: the bounds of what is read of clients and kept for them before they have said who they are.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_take_little() {
    let server = Server::start(&["--set", "max_connections=1"]);
    let ended = async |raw: &mut TcpStream| {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), raw.read_to_end(&mut rest));
        read.await.is_ok()
    };
    // A packet that says it is long is not waited for.
    let mut raw = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    raw.write_all(b"\x7f\xff\xff\xff\0\x03\0\0").await.unwrap();
    assert!(ended(&mut raw).await);
    // Beyond a hundred and the server's own connections, nobody waits at the door: one is sent away for each who comes.
    let mut waiting = Vec::new();
    for _ in 0..102 {
        waiting.push(
            TcpStream::connect(("127.0.0.1", server.port))
                .await
                .unwrap(),
        );
    }
    let is_sent_away = |raw: &&TcpStream| match raw.try_read(&mut [0; 1]) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    assert!(soon(async || waiting.iter().any(|raw| is_sent_away(&raw))).await);
    // They keep nobody out who says what he wants.
    server.try_connect("anybody", "").await.unwrap();
    let is_waiting = |raw: &&TcpStream| !is_sent_away(raw);
    assert!(waiting.iter().filter(is_waiting).count() >= 99);
}

/// Fails without: the loopback rule of the embedded default.
#[tokio::test(flavor = "multi_thread")]
async fn without_roles_only_this_machine_is_answered() {
    let serve = |args: &[&str]| {
        let mut command = genokura();
        command.args(["serve", "--lake"]).arg(&LAKE.path).args(args);
        command
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = must_fail(&mut serve(&["--listen", address]));
        assert!(
            said.contains("no roles") && said.contains("genokura role add"),
            "{said}"
        );
    }
    // An empty role file is no lock either.
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    roles.run(&["drop", "ann"]);
    let path = roles.path();
    let path = path.to_str().unwrap();
    let said = must_fail(&mut serve(&["--listen", "0.0.0.0:0", "--roles", path]));
    assert!(said.contains("no roles"), "{said}");
    // A role file that is not there does not mean "no roles".
    let said = must_fail(&mut serve(&[
        "--listen",
        "127.0.0.1:0",
        "--roles",
        "/nowhere",
    ]));
    assert!(said.contains("/nowhere"), "{said}");
    let server = Server::start(&[]);
    let client = server.try_connect("anybody", "").await.unwrap();
    assert_eq!(
        rows(&client, "select count(*) from lab.variants").await,
        ["3"]
    );
    for _ in 0..100 {
        if server
            .said()
            .contains("whoever connects from this machine is the lake's owner")
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{}", server.said());
}

/// Fails without: the rules of the server itself, whatever the command line has checked before.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_refuses_to_listen_where_everybody_would_own_the_lake() {
    let refused = async |address: &str, require_tls: bool| {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let config = ServerConfig {
            require_tls,
            ..ServerConfig::default()
        };
        // It would stop at once.
        let stop = CancellationToken::new();
        stop.cancel();
        let served = genokura_server::pgwire::serve_on(listener, backend(), config, stop).await;
        served.err().map(|error| error.to_string())
    };
    for open in ["0.0.0.0:0", "[::]:0"] {
        let told = refused(open, false).await.unwrap();
        assert!(
            told.contains("everybody would be the lake's owner"),
            "{told}"
        );
    }
    let told = refused("127.0.0.1:0", true).await.unwrap();
    assert!(told.contains("must be encrypted"), "{told}");
    assert_eq!(refused("127.0.0.1:0", false).await, None);
}

/// Fails without: `subtle` in the comparison. What a clock could tell cannot be tested on a busy machine; the source can.
#[test]
fn proofs_are_compared_in_constant_time() {
    let source = include_str!("../../src/pgwire/scram.rs");
    let (source, _) = source.split_once("#[cfg(test)]").unwrap();
    assert!(source.contains("sha256(&client_key).ct_eq(&keys.stored_key) & self.scram.known"));
    for name in ["stored_key ==", "== keys", "== self.scram", "proof =="] {
        assert!(!source.contains(name), "{name}");
    }
}
