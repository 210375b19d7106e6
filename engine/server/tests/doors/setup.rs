//! A small lake, a role file, a server on a free port, and clients that say what they were told.

use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};

/// A command that refuses to start ends within this time, on a busy machine too.
const FAILS_WITHIN: Duration = Duration::from_secs(30);

/// Four people; nobody but S3 carries the second variant, and S3 is missing at the third.
pub const VCF: &str = "##fileformat=VCFv4.3
##contig=<ID=chr1,length=248956422>
##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Allele count\">
##INFO=<ID=AF,Number=A,Type=Float,Description=\"Allele frequency\">
##INFO=<ID=CLN,Number=1,Type=String,Description=\"Significance\">
##SAMPLE=<ID=S3,Description=\"marfan\">
##PEDIGREE=<ID=S4,Father=S3>
##bcftools_viewCommand=view -s S1,S2,S3,S4 marfan.vcf
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"Depth\">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\tS3\tS4
chr1\t100\t.\tA\tG\t31\tPASS\tAC=4;AF=0.5;CLN=benign\tGT:DP\t0/1:11\t0/0:12\t1/1:13\t0/1:14
chr1\t200\t.\tC\tT\t32\tPASS\tAC=1;AF=0.125;CLN=vus\tGT:DP\t0/0:21\t0/0:22\t0/1:23\t0/0:24
chr1\t300\t.\tG\tA\t33\tPASS\tAC=3;AF=0.5;CLN=vus\tGT:DP\t0/1:31\t1/1:32\t./.:33\t0/0:34
";
pub const PERSON: &str = "person_id,sample_id,sex,family_id,zero
P1,S1,female,F1,1
P2,S2,male,F1,1
P3,S3,male,F2,0
P4,S4,female,F2,0
";
pub const CONDITION: &str = "condition_id,person_id,name
1,P1,asthma
2,P3,marfan
";
const PANEL: &str = "gene,note\nBRCA1,public\n";

/// What the lake holds of every person: names that must not be found where they do not belong.
pub const IDENTIFIERS: &[&str] = &["S1", "S2", "S3", "S4", "P1", "P2", "P3", "P4", "marfan"];

pub struct Lake {
    dir: TempDir,
    pub path: PathBuf,
}

/// The lake of all tests: dataset `lab`, tables `clin.person`, `clin.condition`, `kb.panel`.
pub static LAKE: LazyLock<Lake> = LazyLock::new(|| Lake::make(VCF, PERSON, CONDITION));

impl Lake {
    /// A lake of these files.
    pub fn make(vcf: &str, person: &str, condition: &str) -> Lake {
        let lake = Lake::of(vcf);
        for (table, text) in [
            ("clin.person", person),
            ("clin.condition", condition),
            ("kb.panel", PANEL),
        ] {
            lake.table(table, text);
        }
        lake
    }

    /// A lake of dataset `lab` alone.
    pub fn of(vcf: &str) -> Lake {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lake");
        let lake = Lake { dir, path };
        lake.ingest(&["vcf", "--dataset", "lab"], &lake.file("lab.vcf", vcf));
        lake
    }

    /// `genokura ingest …` of a file or directory; records that are refused are quarantined.
    pub fn ingest(&self, args: &[&str], input: &Path) {
        let mut command = genokura();
        command.arg("ingest").args(args).arg("--lake");
        let output = command.arg(&self.path).arg(input).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    }

    /// A table of csv text.
    pub fn table(&self, table: &str, text: &str) {
        let file = self.file(&format!("{table}.csv"), text);
        self.ingest(&["table", "--table", table], &file);
    }

    /// A file beside the lake; its name may begin with a directory.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The binary, without settings of whoever runs the tests.
pub fn genokura() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genokura"));
    for (name, _) in std::env::vars() {
        if name.starts_with("GENOKURA_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command that must succeed; gives its standard output.
pub fn must(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail, and soon; gives its standard error.
pub fn must_fail(command: &mut Command) -> String {
    let (none, piped) = (Stdio::null(), Stdio::piped());
    let mut child = command.stdout(none).stderr(piped).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > FAILS_WITHIN {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} goes on");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A role file in a directory of its own.
pub struct RoleFile {
    dir: TempDir,
}

impl RoleFile {
    /// An empty directory.
    pub fn new() -> RoleFile {
        RoleFile {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("roles.toml")
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = genokura();
        command
            .arg("role")
            .args(args)
            .arg("--roles")
            .arg(self.path());
        command
    }

    /// `genokura role …`.
    pub fn run(&self, args: &[&str]) -> String {
        must(&mut self.command(args))
    }

    pub fn fails(&self, args: &[&str]) -> String {
        must_fail(&mut self.command(args))
    }

    /// A role whose password is `secret-` and its name.
    pub fn add(&self, name: &str, more: &[&str]) {
        let mut command = self.command(&["add", name, "--password-stdin"]);
        command.args(more).stdin(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let password = format!("{}\n", password(name));
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// A role that may read these tables.
    pub fn reader(&self, name: &str, tables: &[&str]) {
        self.add(name, &[]);
        for table in tables {
            self.run(&["grant", name, table]);
        }
    }
}

pub fn password(role: &str) -> String {
    format!("secret-{role}")
}

/// A running `genokura serve`, stopped on drop; its standard error is kept.
pub struct Server {
    child: Child,
    pub port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves the lake of all tests with these arguments.
    pub fn start(args: &[&str]) -> Server {
        Server::on(&LAKE, args)
    }

    /// Serves the lake with everything logged that can be.
    pub fn noisy(args: &[&str]) -> Server {
        let mut command = genokura();
        command.env("RUST_LOG", "trace");
        Server::run(command, &LAKE, args)
    }

    /// Serves a lake with these arguments.
    pub fn on(lake: &Lake, args: &[&str]) -> Server {
        Server::run(genokura(), lake, args)
    }

    fn run(mut command: Command, lake: &Lake, args: &[&str]) -> Server {
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "debug",
            "--lake",
        ]);
        command.arg(&lake.path).args(args).stdin(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut port = None;
        for line in lines.by_ref() {
            let line = line.unwrap();
            if let Some((_, rest)) = line.split_once(" on 127.0.0.1:") {
                port = rest.trim().parse().ok();
            }
            said.lock().unwrap().push(line);
            if port.is_some() {
                break;
            }
        }
        let Some(port) = port else {
            panic!("the server ended: {:?} {:?}", child.wait(), said.lock());
        };
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        Server { child, port, said }
    }

    /// Hundredths of a second of processor time that the server has used, as Linux counts them.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let used = fields.split_whitespace().skip(11).take(2);
        used.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    pub fn with_roles(roles: &RoleFile) -> Server {
        Server::start(&["--roles", roles.path().to_str().unwrap()])
    }

    /// Everything that the server wrote to standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends the process a signal.
    pub fn signal(&self, name: &str) {
        let (name, id) = (format!("-{name}"), self.child.id().to_string());
        must(Command::new("kill").args([name, id]));
    }

    /// The most memory that the process has had so far.
    pub fn peak_memory_bytes(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<usize>().unwrap() * 1024
    }

    pub async fn try_connect(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let config = format!(
            "host=127.0.0.1 port={} dbname=genokura user={user}",
            self.port
        );
        let mut config: tokio_postgres::Config = config.parse().unwrap();
        config.password(password);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// What a role is told beside the answer of a statement: text and hint.
    pub async fn notices(&self, user: &str, sql: &str) -> Vec<String> {
        let port = self.port;
        let mut config = tokio_postgres::Config::new();
        config
            .host("127.0.0.1")
            .port(port)
            .dbname("genokura")
            .user(user);
        config.password(password(user));
        let (client, mut connection) = config.connect(NoTls).await.unwrap();
        let told = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(notice) = message.unwrap() {
                    let hint = notice.hint().unwrap_or_default().to_owned();
                    told.push(format!(
                        "{} {}; {hint}",
                        notice.severity(),
                        notice.message()
                    ));
                }
            }
            told
        });
        client.simple_query(sql).await.unwrap();
        drop(client);
        told.await.unwrap()
    }

    /// A connection of a role made by [`RoleFile::add`].
    pub async fn connect(&self, user: &str) -> Client {
        self.try_connect(user, &password(user)).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows as texts, fields between `|`.
pub async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|e| panic!("{sql}: {}", told(&e)));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let fields = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL").to_owned());
            Some(fields.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// SQLSTATE and message of a statement that must fail.
pub async fn refused(client: &Client, sql: &str) -> String {
    match client.simple_query(sql).await {
        Ok(_) => panic!("{sql} was not refused"),
        Err(error) => told(&error),
    }
}

/// As [`refused`], with detail and hint.
pub async fn refused_in_full(client: &Client, sql: &str) -> String {
    let error = match client.simple_query(sql).await {
        Ok(_) => panic!("{sql} was not refused"),
        Err(error) => error,
    };
    let db = error.as_db_error().unwrap();
    let more = [db.detail(), db.hint()].map(Option::unwrap_or_default);
    format!("{}\n{}", told(&error), more.join("\n"))
}

/// A backend over an empty lake in memory.
pub fn backend() -> Arc<genokura_server::backend::EngineBackend> {
    let lake = Arc::new(genokura_storage::Lake::memory());
    let config = genokura_exec::EngineConfig::default();
    let backend = genokura_server::backend::EngineBackend::with_config(lake, config);
    Arc::new(backend.unwrap())
}

/// SQLSTATE and message of an error.
pub fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {}", db.code().code(), db.message()),
        None => format!("no answer: {error}"),
    }
}

/// Asks again until the answer is right: a change of the role file is seen with the next statement, and the file system
/// may date two changes alike.
pub async fn soon(mut ready: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..500 {
        if ready().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
