//! Programs the tests need: the Python environment and a real S3 server. Never skipped: what
//! cannot be started fails the test.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// The Python interpreter with the packages of `testdata/bin/python-tools.txt`.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/bin/python-tools.sh");
        let output = Command::new(script)
            .stderr(Stdio::inherit())
            .output()
            .expect("bash");
        assert!(
            output.status.success(),
            "the Python environment could not be made"
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    PYTHON.get_or_init(make).clone()
}

/// An S3 server of this test process (moto), stopped when the process ends.
pub struct S3Server {
    _child: Child,
    endpoint: String,
    bucket: String,
}

impl S3Server {
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<S3Server> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn start() -> Self {
        let script =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/bin/s3-server.py");
        let bucket = format!("genokura-{}", std::process::id());
        // The server ends when our end of its standard input closes, so it cannot outlive us.
        let mut child = Command::new(python())
            .arg(script)
            .arg(&bucket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the S3 server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let endpoint = line.trim().to_owned();
        assert!(
            endpoint.starts_with("http://"),
            "the S3 server said \"{endpoint}\""
        );
        register(&bucket, &endpoint);
        Self {
            _child: child,
            endpoint,
            bucket,
        }
    }
}

fn register(bucket: &str, endpoint: &str) {
    let store = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap();
    let base = format!("s3://{bucket}");
    genokura_storage::location::register(&base, std::sync::Arc::new(store)).unwrap();
}
