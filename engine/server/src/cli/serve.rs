//! `genokura serve`: a lake behind the PostgreSQL wire protocol.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use genokura_storage::Lake;
use tokio::net::TcpListener;

use super::{LakeArg, Outcome};
use crate::backend::EngineBackend;
use crate::config::Settings;
use crate::pgwire::{self, ServerConfig};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Address and port [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR", env = "GENOKURA_LISTEN")]
    listen: Option<SocketAddr>,
    /// A TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Structured logs: off, error, warn, info, debug (RUST_LOG is read too)
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
}

/// Runs `genokura serve`.
pub(super) async fn run(args: ServeArgs) -> anyhow::Result<Outcome> {
    start_logs(&args.log);
    let mut settings = Settings::load(args.config.as_deref())?;
    if let Some(listen) = args.listen {
        settings.listen = listen;
    }
    let lake = args.lake.open().await?;
    let listener = bind(settings.listen).await?;
    let address = listener.local_addr()?;
    eprintln!("genokura: serving {} on {address}", lake.url());
    eprintln!("genokura: {}", psql_line(address, None));
    serve(lake, &settings, listener).await?;
    Ok(Outcome::Done)
}

/// Serves until SIGTERM or Ctrl-C, then drains.
pub(super) async fn serve(
    lake: Arc<Lake>,
    settings: &Settings,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let backend = Arc::new(EngineBackend::open(lake, settings)?);
    let stop = pgwire::shutdown_on_signal().context("cannot watch for SIGTERM")?;
    let config = ServerConfig {
        max_connections: settings.max_connections,
        statement_timeout: settings.statement_timeout(),
        drain_timeout: settings.drain_timeout(),
        ..ServerConfig::default()
    };
    Ok(pgwire::serve_on(listener, backend, config, stop).await?)
}

/// Binds the address: loopback only, since without roles every user is the owner.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    anyhow::ensure!(
        address.ip().is_loopback(),
        "{address} can be reached from other machines, and this lake has no roles: \
         everybody would be its owner. Listen on 127.0.0.1 or [::1]"
    );
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another server there? Try --listen 127.0.0.1:0")
    })
}

/// The line that connects psql to a server.
pub(super) fn psql_line(address: SocketAddr, search_path: Option<&str>) -> String {
    let options = search_path
        .map(|path| format!("PGOPTIONS='-c search_path={path}' "))
        .unwrap_or_default();
    format!(
        "{options}psql -h {} -p {} -U owner genokura",
        address.ip(),
        address.port()
    )
}

fn start_logs(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("genokura={level}")));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if logs.json().try_init().is_err() {
        tracing::debug!("logs were started before");
    }
}
