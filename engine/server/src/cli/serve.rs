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
use crate::pgwire::tls::Tls;
use crate::pgwire::{self, ServerConfig};
use crate::roles::RoleStore;

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_long_help = crate::config::help())]
pub(super) struct ServeArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Address and port [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// A TOML file of settings; "genokura config" prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The role file, made by "genokura role"; without one whoever connects is the lake's owner
    #[arg(long, value_name = "FILE")]
    roles: Option<PathBuf>,
    /// Any setting; may be given more than once
    #[arg(long = "set", value_name = "NAME=VALUE")]
    assignments: Vec<String>,
    /// Structured logs: off, error, warn, info, debug (RUST_LOG is read too)
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
}

/// Runs `genokura serve`.
pub(super) async fn run(args: ServeArgs) -> anyhow::Result<Outcome> {
    start_logs(&args.log);
    log_panics();
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.apply(&args.assignments)?;
    if let Some(listen) = args.listen {
        settings.listen = listen;
    }
    if args.roles.is_some() {
        settings.roles = args.roles;
    }
    let doors = Doors::open(&settings)?;
    let lake = args.lake.open().await?;
    let listener = bind(settings.listen, &doors.roles).await?;
    let address = listener.local_addr()?;
    tell!("genokura: serving {} on {address}", lake.url());
    tell!("genokura: {}", doors.said(&settings));
    tell!("genokura: {}", psql_line(address, None));
    serve(lake, &settings, doors, listener).await?;
    Ok(Outcome::Done)
}

/// Has bugs logged by their place alone: what a panic says may hold data.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let place = place.unwrap_or_default();
        tracing::error!(%place, "the server ran into a bug of its own");
    }));
}

/// What decides who comes in: loaded before anything is served.
pub(super) struct Doors {
    roles: Arc<RoleStore>,
    tls: Option<Tls>,
}

impl Doors {
    /// Loads roles and certificate.
    ///
    /// # Errors
    /// When either is configured and cannot be used.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Doors> {
        Ok(Doors {
            roles: Arc::new(settings.open_roles()?),
            tls: settings.load_tls()?,
        })
    }

    /// One line on who may come in.
    fn said(&self, settings: &Settings) -> String {
        let who = match self.roles.authenticates() {
            true => format!(
                "{} role(s), every connection logs in",
                self.roles.current().iter().count()
            ),
            false => "no roles: whoever connects from this machine is the lake's owner".to_owned(),
        };
        let how = match (&self.tls, settings.require_tls) {
            (Some(_), true) => "encrypted connections only",
            (Some(_), false) => "encrypted where the client asks for it",
            (None, _) if settings.listen.ip().is_loopback() => "in clear, on this machine only",
            (None, _) => "IN CLEAR over the network: set tls_certificate and tls_key",
        };
        let old = self.tls.as_ref().and_then(Tls::out_of_date).map(|holds| {
            let (start, end) = (holds.start().date_naive(), holds.end().date_naive());
            format!(
                "; THE CERTIFICATE HOLDS FROM {start} TO {end}: clients that verify it stay away"
            )
        });
        format!("{who}; {how}{}", old.unwrap_or_default())
    }
}

/// Serves until SIGTERM or Ctrl-C, then drains; a second of them ends that.
pub(super) async fn serve(
    lake: Arc<Lake>,
    settings: &Settings,
    doors: Doors,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let backend = Arc::new(EngineBackend::open(lake, settings)?);
    let signals = pgwire::signals().context("cannot watch for SIGTERM")?;
    let config = ServerConfig {
        max_connections: settings.max_connections,
        statement_timeout: settings.statement_timeout(),
        drain_timeout: settings.drain_timeout(),
        query_memory_bytes: settings.query_memory_bytes,
        tls: doors.tls,
        require_tls: settings.require_tls,
        roles: Some(doors.roles),
        admin: settings.admin_listen,
        at_once: signals.at_once,
        ..ServerConfig::default()
    };
    Ok(pgwire::serve_on(listener, backend, config, signals.shutdown).await?)
}

/// Binds the address: loopback only where there are no roles, since every user is the owner then.
pub(super) async fn bind(address: SocketAddr, roles: &RoleStore) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() && !roles.authenticates() {
        let refused = pgwire::open_door(address);
        anyhow::bail!("{refused}. {}", refused.hint_text().unwrap_or_default());
    }
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

/// JSON lines on standard error, of our own crates only: what the engine below us logs may hold texts of statements.
fn start_logs(level: &str) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{EnvFilter, filter, fmt};
    let wanted = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("genokura={level}")));
    let logs = fmt::layer().json().with_writer(std::io::stderr);
    let ours = filter::filter_fn(|metadata| metadata.target().starts_with("genokura"));
    let started = tracing_subscriber::registry()
        .with(wanted)
        .with(ours)
        .with(logs)
        .try_init();
    if started.is_err() {
        tracing::debug!("logs were started before");
    }
}
