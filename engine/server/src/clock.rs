//! The clock of a statement: which zone its session lives in, what time it is, how its dates are read.

use std::any::Any;

use chrono::Utc;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{DataFusionError, Result};

use crate::zone::Zone;

/// In which order a date of three numbers names its day, when its year does not come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// What a statement knows of time. It is part of the configuration that functions are called with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The zone of the session.
    pub zone: Zone,
    /// How dates are read.
    pub order: DateOrder,
    /// When the transaction began, in microseconds since 1970.
    pub transaction: i64,
    /// When the statement came.
    pub statement: i64,
}

impl Clock {
    /// The clock of a configuration; one that stands still in Greenwich when it has none.
    pub(crate) fn of(config: &ConfigOptions) -> Clock {
        let known = config.extensions.get::<Clock>();
        known.copied().unwrap_or_default()
    }

    /// Microseconds since 1970 by the clock of this machine.
    pub(crate) fn read() -> i64 {
        Utc::now().timestamp_micros()
    }
}

impl ConfigExtension for Clock {
    const PREFIX: &'static str = "clock";
}

impl ExtensionOptions for Clock {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!(
            "the clock has no setting \"{key}\""
        )))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
