//! What a statement may have got wrong and runs with all the same, found while it is planned.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;

/// Warnings that one statement keeps; more would be of the same cause.
const KEPT_MAX: usize = 3;

/// A warning of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What was found.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// The warnings of one statement: an extension of the options that it is planned with. Without it nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<Warning>>>);

impl Warnings {
    /// Adds a warning to those of a statement, once.
    pub(crate) fn add(options: &ConfigOptions, warning: impl FnOnce() -> Warning) {
        let Some(Self(kept)) = options.extensions.get::<Self>() else {
            return;
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = warning();
        if kept.len() < KEPT_MAX && !kept.contains(&warning) {
            kept.push(warning);
        }
    }

    /// Takes them.
    #[must_use]
    pub fn take(&self) -> Vec<Warning> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept)
    }
}

genokura_exec::carried_in_options!(Warnings, "genokura_warnings");
