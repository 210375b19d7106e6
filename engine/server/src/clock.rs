//! The clock of a statement: which zone its session lives in, what time it is, how its dates are read.

use std::sync::OnceLock;

use chrono::Utc;
use datafusion::common::config::ConfigOptions;

use crate::pgwire::encode::TextStyle;
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

/// What a statement knows of time.
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

/// When this server started, in microseconds since 1970: the first who asks is the server itself.
pub(crate) fn started() -> i64 {
    static STARTED: OnceLock<i64> = OnceLock::new();
    *STARTED.get_or_init(Clock::read)
}

impl Clock {
    /// The clock of a configuration; one that stands still in Greenwich when it has none.
    pub(crate) fn of(config: &ConfigOptions) -> Clock {
        TextStyle::of(config).clock
    }

    /// Microseconds since 1970 by the clock of this machine.
    pub(crate) fn read() -> i64 {
        Utc::now().timestamp_micros()
    }
}
