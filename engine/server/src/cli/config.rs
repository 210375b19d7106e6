//! `genokura config`: the settings of a server, documented by the program itself.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::config::Settings;

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(after_long_help = crate::config::help())]
pub(super) struct ConfigArgs {
    /// A TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting; may be given more than once
    #[arg(long = "set", value_name = "NAME=VALUE")]
    assignments: Vec<String>,
    /// Load the role file and the certificate too, and say whether a server would start with them
    #[arg(long)]
    check: bool,
}

/// Prints what the file, the environment and the flags come to, as a file that says the same.
///
/// # Errors
/// As a server that starts with these settings would report them.
pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    let mut settings = Settings::load(args.config.as_deref())?;
    settings.apply(&args.assignments)?;
    print!("{}", settings.to_file());
    if args.check {
        let roles = settings.open_roles()?;
        settings.load_tls()?;
        anyhow::ensure!(
            settings.listen.ip().is_loopback() || roles.authenticates(),
            "{}",
            crate::pgwire::open_door(settings.listen)
        );
        tell!("genokura: a server would start with these settings");
    }
    Ok(Outcome::Done)
}
