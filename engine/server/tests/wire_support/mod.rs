//! A server over memory tables: schema `demo` with `t(id, name, score)` and `u`, schemas `other` and `wide`
//! with another `u` each.
#![allow(dead_code, unreachable_pub)]

pub mod raw;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::datasource::MemTable;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use futures::TryStreamExt;
use genokura_server::pgwire::{ServerConfig, serve_on};
use genokura_server::session::{Backend, DATABASE, Snapshot};
use genokura_server::sqlstate::ServerError;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Connection, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// Rows of `demo.t`.
pub const ROWS: i32 = 10_000;
/// Runs for minutes and gives no row before its end; counted by [`MemoryBackend::running`].
pub const SLOW: &str = "select sum(a.id * b.id + nap(c.id)) from t a, t b, t c";

pub struct MemoryBackend {
    version: AtomicU64,
    /// How often a planner asked for a table of `demo`.
    asked: Arc<AtomicU64>,
    /// When the last nap was taken, in milliseconds since the start.
    napped: Arc<AtomicI64>,
    start: std::time::Instant,
}

impl MemoryBackend {
    fn new() -> MemoryBackend {
        MemoryBackend {
            version: AtomicU64::new(1),
            asked: Arc::default(),
            napped: Arc::new(AtomicI64::new(i64::MIN)),
            start: std::time::Instant::now(),
        }
    }

    /// A new snapshot, with one row more in `demo.t`.
    pub fn commit(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// How often a statement that names one table of `demo` was planned since the last call.
    pub fn planned(&self) -> u64 {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// 1 when a slow statement did work in the last 200 ms.
    pub fn running(&self) -> usize {
        let now = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        usize::from(now.saturating_sub(self.napped.load(Ordering::SeqCst)) < 200)
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let version = self.version.load(Ordering::SeqCst);
        Ok(Snapshot {
            version: Some(version),
            state: Arc::new(version),
        })
    }

    fn context(
        &self,
        snapshot: &Snapshot,
        _principal: &str,
    ) -> Result<SessionContext, ServerError> {
        let extra = i32::try_from(snapshot.version.unwrap_or(1)).unwrap() - 1;
        let config = SessionConfig::new()
            .with_default_catalog_and_schema(DATABASE, "public")
            .with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        let catalog = MemoryCatalogProvider::new();
        for (name, who) in [("demo", "demo"), ("other", "other"), ("wide", "wide")] {
            let schema = MemorySchemaProvider::new();
            let u = match name {
                "wide" => t_batch(2),
                _ => who_batch(who),
            };
            schema.register_table("u".into(), table(u))?;
            if name == "demo" {
                schema.register_table("t".into(), table(t_batch(ROWS + extra)))?;
            }
            if name == "demo" {
                let counting = Counting {
                    schema,
                    asked: Arc::clone(&self.asked),
                };
                catalog.register_schema(name, Arc::new(counting))?;
            } else {
                catalog.register_schema(name, Arc::new(schema))?;
            }
        }
        context.register_catalog(DATABASE, Arc::new(catalog));
        // `doze` is what `nap` is, and may be part of a join's condition.
        for (name, volatility) in [
            ("nap", Volatility::Volatile),
            ("doze", Volatility::Immutable),
        ] {
            let (napped, start) = (Arc::clone(&self.napped), self.start);
            let nap = move |args: &[ColumnarValue]| {
                napped.store(
                    i64::try_from(start.elapsed().as_millis()).unwrap(),
                    Ordering::SeqCst,
                );
                std::thread::sleep(std::time::Duration::from_millis(1));
                let arrays = ColumnarValue::values_to_arrays(args)?;
                let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; arrays[0].len()]));
                Ok(ColumnarValue::Array(zeros))
            };
            context.register_udf(create_udf(
                name,
                vec![DataType::Int32],
                DataType::Int64,
                volatility,
                Arc::new(nap),
            ));
        }
        Ok(context)
    }
}

/// A schema that counts how often it is asked for a table: once per planning.
#[derive(Debug)]
struct Counting {
    schema: MemorySchemaProvider,
    asked: Arc<AtomicU64>,
}

#[async_trait]
impl SchemaProvider for Counting {
    fn table_names(&self) -> Vec<String> {
        self.schema.table_names()
    }

    async fn table(&self, name: &str) -> datafusion::error::Result<Option<Arc<dyn TableProvider>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.schema.table(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.schema.table_exist(name)
    }
}

fn table(batch: RecordBatch) -> Arc<MemTable> {
    let half = batch.num_rows() / 2;
    let parts = vec![
        vec![batch.slice(0, half)],
        vec![batch.slice(half, batch.num_rows() - half)],
    ];
    Arc::new(MemTable::try_new(batch.schema(), parts).unwrap())
}

fn who_batch(who: &str) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("who", DataType::Utf8, true)]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(StringArray::from(vec![who]))],
    )
    .unwrap()
}

fn t_batch(rows: i32) -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int32, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("score", DataType::Float64, true),
    ]);
    let names: Vec<String> = (0..rows).map(|id| format!("name {id}")).collect();
    let scores = (0..rows).map(|id| (id > 0).then(|| f64::from(id) / 2.0));
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int32Array::from_iter_values(0..rows)),
            Arc::new(StringArray::from(names)),
            Arc::new(scores.collect::<Float64Array>()),
        ],
    )
    .unwrap()
}

pub fn config() -> ServerConfig {
    ServerConfig {
        query_threads: 2,
        ..ServerConfig::default()
    }
}

pub struct TestServer {
    pub port: u16,
    pub backend: Arc<MemoryBackend>,
    pub stop: CancellationToken,
    pub ended: JoinHandle<Result<(), ServerError>>,
}

impl TestServer {
    pub async fn start() -> TestServer {
        TestServer::with(config()).await
    }

    pub async fn with(config: ServerConfig) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let backend = Arc::new(MemoryBackend::new());
        let stop = CancellationToken::new();
        let served = Arc::clone(&backend) as Arc<dyn Backend>;
        let ended = tokio::spawn(serve_on(listener, served, config, stop.clone()));
        TestServer {
            port,
            backend,
            stop,
            ended,
        }
    }

    fn client_config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("ann")
            .dbname("genokura")
            .options("-c search_path=demo");
        config
    }

    pub async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.client_config().connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub async fn connect(&self) -> Client {
        self.try_connect().await.unwrap()
    }

    pub async fn connect_parts(
        &self,
    ) -> (
        Client,
        Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
    ) {
        self.client_config().connect(NoTls).await.unwrap()
    }

    pub async fn raw(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    pub async fn copy(&self, client: &Client, sql: &str) -> Vec<u8> {
        let stream = client.copy_out(sql).await.unwrap();
        let chunks: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
        chunks.concat()
    }
}

/// The first column of all rows.
pub async fn column(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        })
        .collect()
}

/// All rows, the cells of each put together.
pub async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap();
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
                Some(cells.collect::<Vec<_>>().join("|"))
            }
            _ => None,
        })
        .collect()
}

/// The one value of a query.
pub async fn one(client: &Client, sql: &str) -> String {
    column(client, sql).await.remove(0)
}
