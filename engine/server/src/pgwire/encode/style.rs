//! The settings of a session that change the text form of values.

use datafusion::common::config::ConfigOptions;

use super::{DateStyle, IntervalStyle};
use crate::clock::Clock;

/// Session settings that change the text form of values. They are part of the configuration that functions are called
/// with, so that a cast to text prints as results do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// The clock by whose zone `timestamptz` is shown, and by which times are read.
    pub clock: Clock,
    /// `DateStyle`, without its order of day and month, which is the clock's.
    pub dates: DateStyle,
    /// `bytea_output = escape`; hex otherwise.
    pub bytea_escape: bool,
    /// `IntervalStyle`.
    pub intervals: IntervalStyle,
    /// `extra_float_digits` of 0 and less: floats are rounded to so many digits more than 15, and than 6 of four bytes.
    pub fewer_float_digits: Option<i32>,
}

impl TextStyle {
    /// The style of a configuration; the default one when it has none.
    pub(crate) fn of(config: &ConfigOptions) -> TextStyle {
        let known = config.extensions.get::<TextStyle>();
        known.copied().unwrap_or_default()
    }

    /// The same with dates as JSON has them.
    pub(crate) fn in_json(self) -> TextStyle {
        TextStyle {
            dates: DateStyle::Json,
            ..self
        }
    }
}

genokura_exec::carried_in_options!(TextStyle, "text_style");
