//! TLS: what cannot be loaded stops the start, what must be encrypted is, and certificates say who is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::setup::{LAKE, RoleFile, Server, genokura, must, must_fail, password, told};

/// A certificate authority and what it signed, made by openssl.
struct Authority {
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority { dir };
        openssl(
            &authority.dir,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-subj",
                "/CN=test authority",
                "-days",
                "2",
            ],
        );
        authority
    }

    /// A certificate for a common name, also valid for 127.0.0.1 and localhost.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        self.sign_for(name, 2)
    }

    /// As [`Authority::sign`], for so many days.
    fn sign_for(&self, name: &str, days: i32) -> (PathBuf, PathBuf) {
        let (key, request, pem) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        openssl(
            &self.dir,
            &[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-keyout",
                &key,
                "-out",
                &request,
                "-subj",
                &format!("/CN={name}"),
            ],
        );
        let extensions = self.file("san.cnf");
        std::fs::write(&extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(
            &self.dir,
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-out",
                &pem,
                "-days",
                &days.to_string(),
                "-extfile",
                "san.cnf",
            ],
        );
        only_mine(&self.file(&key));
        (self.file(&pem), self.file(&key))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn openssl(dir: &tempfile::TempDir, args: &[&str]) {
    must(Command::new("openssl").args(args).current_dir(dir.path()));
}

fn only_mine(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn setting(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// Arguments of a server with this certificate.
fn certificate(pair: &(PathBuf, PathBuf)) -> Vec<String> {
    vec![
        "--set".to_owned(),
        setting("tls_certificate", &pair.0),
        "--set".to_owned(),
        setting("tls_key", &pair.1),
    ]
}

fn start(args: &[String]) -> Server {
    Server::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// psql with a connection string; standard output, or the error.
fn psql(server: &Server, options: &str, sql: &str) -> Result<String, String> {
    let port = server.port;
    let conninfo =
        format!("host=localhost hostaddr=127.0.0.1 port={port} dbname=genokura {options}");
    let mut command = Command::new("psql");
    command.args(["-X", "-A", "-t", "-c", sql, "-d", &conninfo]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    let output = command.env("PGCONNECT_TIMEOUT", "20").output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Fails without: the refusal to start. Each of these once served in clear elsewhere.
#[test]
fn a_certificate_that_cannot_be_loaded_stops_the_start() {
    let authority = Authority::new();
    let (pem, key) = authority.sign("localhost");
    let (_, other) = authority.sign("other");
    let garbage = authority.file("garbage.pem");
    std::fs::write(&garbage, "no PEM").unwrap();
    only_mine(&garbage);
    let open = authority.file("open.key");
    std::fs::copy(&key, &open).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&open, mode).unwrap();
    let nowhere = PathBuf::from("/nowhere.pem");
    for (certificate, key, said) in [
        (&nowhere, &key, "/nowhere.pem"),
        (&garbage, &key, "garbage.pem"),
        (&pem, &nowhere, "/nowhere.pem"),
        (&pem, &garbage, "garbage.pem"),
        (&pem, &other, "does not fit"),
        (&pem, &open, "mode 644"),
    ] {
        let mut serve = genokura();
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--lake"])
            .arg(&LAKE.path);
        serve.args(["--set", &setting("tls_certificate", certificate)]);
        serve.args(["--set", &setting("tls_key", key)]);
        let text = must_fail(&mut serve);
        assert!(
            text.contains(said) && !text.contains("serving"),
            "{said}: {text}"
        );
    }
    let mut serve = genokura();
    serve.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--set",
        "require_tls=true",
        "--lake",
    ]);
    let text = must_fail(serve.arg(&LAKE.path));
    assert!(text.contains("tls_certificate"), "{text}");
    // A variable that nobody filled is no setting that is left out.
    for name in ["roles", "tls_certificate"] {
        let mut serve = genokura();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--lake"]);
        serve.arg(&LAKE.path);
        serve.env(format!("GENOKURA_{}", name.to_uppercase()), "");
        let text = must_fail(&mut serve);
        assert!(text.contains("name a file"), "{name}: {text}");
    }
}

/// Fails without: the look at the dates of the certificate.
#[test]
fn a_certificate_out_of_date_is_told_at_the_start() {
    let authority = Authority::new();
    let old = start(&certificate(&authority.sign_for("localhost", -1)));
    let said = "THE CERTIFICATE HOLDS FROM";
    for _ in 0..100 {
        if old.said().contains(said) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(old.said().contains(said), "{}", old.said());
    let new = start(&certificate(&authority.sign("localhost")));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!new.said().contains(said), "{}", new.said());
}

/// A server that asks for passwords, those of role `ann`, and takes no connection in clear.
fn only_by_tls(authority: &Authority) -> (RoleFile, Server) {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    let mut args = certificate(&authority.sign("localhost"));
    args.extend(["--set".to_owned(), "require_tls=true".to_owned()]);
    args.extend(["--roles".to_owned(), roles.path().display().to_string()]);
    let server = start(&args);
    (roles, server)
}

/// Fails without: TLS, the chain that is sent, channel binding, and `require_tls`.
#[test]
fn psql_verifies_the_server_and_binds_its_password_to_the_connection() {
    let authority = Authority::new();
    let (_roles, server) = only_by_tls(&authority);
    let ca = authority.file("ca.pem");
    let verified = format!(
        "sslmode=verify-full sslrootcert={} user=ann password={}",
        ca.display(),
        password("ann")
    );
    for more in [
        "channel_binding=require",
        "channel_binding=disable",
        "channel_binding=require ssl_min_protocol_version=TLSv1.3",
        "channel_binding=require ssl_max_protocol_version=TLSv1.2",
    ] {
        let answer = psql(
            &server,
            &format!("{verified} {more}"),
            "select current_user",
        );
        assert_eq!(answer.as_deref(), Ok("ann"), "{more}");
    }
    // OpenSSL's names, as psql tells them of its own end.
    for (version, cipher) in [
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ] {
        let only = format!("{verified} ssl_max_protocol_version={version}");
        let told = "select ssl, version, cipher, bits, client_dn is null from pg_stat_ssl \
                    where pid = pg_backend_pid()";
        let expected = format!("t|{version}|{cipher}|256|t");
        assert_eq!(psql(&server, &only, told), Ok(expected));
    }
    let big =
        "select sum(length(repeat('x', 1000) || i::text)) from generate_series(1, 20000) as t(i)";
    assert!(psql(&server, &verified, big).is_ok());
    let many = psql(
        &server,
        &verified,
        "select repeat('x', 1000) from generate_series(1, 3000)",
    );
    assert_eq!(many.unwrap().len(), 3000 * 1001 - 1);
    // Another authority, and no encryption at all.
    let stranger = Authority::new();
    let wrong = verified.replace(
        &*ca.to_string_lossy(),
        &stranger.file("ca.pem").to_string_lossy(),
    );
    assert!(
        psql(&server, &wrong, "select 1")
            .unwrap_err()
            .contains("verify failed")
    );
    let clear = format!("sslmode=disable user=ann password={}", password("ann"));
    let told = psql(&server, &clear, "select 1").unwrap_err();
    assert!(told.contains("encrypted connections only"), "{told}");
    let told = psql(&server, &verified.replace("secret-ann", "x"), "select 1").unwrap_err();
    assert!(told.contains("password authentication failed"), "{told}");
}

/// Fails without: the check that the certificate names the role, and that a known authority signed it.
#[test]
fn a_client_certificate_opens_its_own_role_only() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let roles = RoleFile::new();
    roles.run(&["add", "robot", "--no-password"]);
    roles.run(&["certificate", "robot", "robot.example"]);
    roles.add("both", &[]);
    roles.run(&["certificate", "both", "robot.example"]);
    let mut args = certificate(&authority.sign("localhost"));
    let ca = authority.file("ca.pem");
    args.extend(["--set".to_owned(), setting("tls_client_ca", &ca)]);
    args.extend(["--roles".to_owned(), roles.path().display().to_string()]);
    let server = start(&args);
    let mine = authority.sign("robot.example");
    let other = authority.sign("other.example");
    let forged = stranger.sign("robot.example");
    let with = |pair: &(PathBuf, PathBuf), more: &str| {
        format!(
            "sslmode=verify-full sslrootcert={} sslcert={} sslkey={} {more}",
            ca.display(),
            pair.0.display(),
            pair.1.display()
        )
    };
    let who = "select current_user";
    assert_eq!(
        psql(&server, &with(&mine, "user=robot"), who).as_deref(),
        Ok("robot")
    );
    let shown = "select client_dn, issuer_dn from pg_stat_ssl \
                 where pid = pg_backend_pid()";
    assert_eq!(
        psql(&server, &with(&mine, "user=robot"), shown).as_deref(),
        Ok("/CN=robot.example|/CN=test authority")
    );
    let both = "user=both password=secret-both";
    assert_eq!(
        psql(&server, &with(&mine, both), who).as_deref(),
        Ok("both")
    );
    for (pair, more) in [
        (&other, "user=robot password=x"),
        (&other, both),
        (&mine, "user=both password=x"),
        (&mine, "user=nobody password=x"),
    ] {
        let told = psql(&server, &with(pair, more), who).unwrap_err();
        assert!(
            told.contains("password authentication failed"),
            "{more}: {told}"
        );
    }
    assert!(psql(&server, &with(&forged, "user=robot"), who).is_err());
    let bare = format!("sslmode=verify-full sslrootcert={} {both}", ca.display());
    assert!(psql(&server, &bare, who).is_err());
}

/// Fails without: the check that nothing follows SSLRequest in clear (CVE-2021-23214 in PostgreSQL).
#[tokio::test(flavor = "multi_thread")]
async fn bytes_sent_before_the_handshake_are_not_taken_for_the_clients() {
    let authority = Authority::new();
    let server = start(&certificate(&authority.sign("localhost")));
    let mut raw = tokio::net::TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let parameters = b"user\0mallory\0\0";
    let mut out = vec![0, 0, 0, 8, 4, 210, 22, 47];
    out.extend([
        0,
        0,
        0,
        u8::try_from(8 + parameters.len()).unwrap(),
        0,
        3,
        0,
        0,
    ]);
    out.extend(parameters);
    raw.write_all(&out).await.unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.first(), Some(&b'E'));
    assert!(String::from_utf8_lossy(&answer).contains("08P01"));
}

/// Fails without: `require_tls` before the password conversation.
#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_asked_for_in_clear_where_tls_is_required() {
    let authority = Authority::new();
    let (_roles, server) = only_by_tls(&authority);
    let refused = server
        .try_connect("ann", &password("ann"))
        .await
        .map(drop)
        .unwrap_err();
    assert!(told(&refused).starts_with("28000"), "{}", told(&refused));
}
