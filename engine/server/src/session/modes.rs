//! Modes of transactions: their isolation, and whether they only read.
//!
//! Each transaction has settings of its own for them, which begin as those of `default_transaction_…` say. Every one reads
//! one state of the lake, whatever isolation it asks for; the words are kept, since clients ask for them again.

use super::statement::{Modes, Statement};
use super::transactions::outside_block;
use super::{Outcome, Session, Settings};
use crate::session::statement::cohort::CohortCommand;
use crate::session::statement::rights::RightsCommand;
use crate::session::statement::temp::TempCommand;
use crate::sqlstate::ServerError;

/// The settings of a transaction, each with that of the next ones.
const OF_TRANSACTION: [(&str, &str); 3] = [
    ("transaction_deferrable", "default_transaction_deferrable"),
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
];
const READ_ONLY: &str = "transaction_read_only";
const ISOLATION: &str = "transaction_isolation";

/// The setting of the next transactions that one of a transaction begins as.
pub(super) fn next_of(name: &str) -> Option<&'static str> {
    let known = OF_TRANSACTION.iter().find(|(own, _)| *own == name);
    known.map(|(_, next)| *next)
}

/// Whether a setting is one of a transaction.
pub(super) fn is_of_transaction(name: &str) -> bool {
    next_of(&name.to_ascii_lowercase()).is_some()
}

impl Modes {
    /// The settings that they are.
    fn settings(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let word = |on: bool| if on { "on" } else { "off" };
        [
            (ISOLATION, self.isolation),
            (READ_ONLY, self.read_only.map(word)),
            ("transaction_deferrable", self.deferrable.map(word)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Session {
    /// Sets the modes of the transaction that just began.
    pub(super) fn begin_as(&mut self, modes: Modes) -> Result<(), ServerError> {
        modes
            .settings()
            .try_for_each(|(name, value)| self.settings.set(name, Some(value), true))
    }

    /// SET TRANSACTION, and SET SESSION CHARACTERISTICS for the next ones.
    pub(super) fn set_modes(
        &mut self,
        modes: Modes,
        of_session: bool,
    ) -> Result<Outcome, ServerError> {
        if of_session {
            self.before_change();
            for (name, value) in modes.settings() {
                self.settings
                    .set(&format!("default_{name}"), Some(value), false)?;
            }
            return Ok(Outcome::done("SET"));
        }
        if !self.in_block() {
            return Ok(Outcome::Done {
                tag: "SET".to_owned(),
                warning: Some(outside_block("SET TRANSACTION")),
            });
        }
        for (name, value) in modes.settings() {
            self.may_set_mode(name, value)?;
            self.before_change();
            self.settings.set(name, Some(value), true)?;
        }
        Ok(Outcome::done("SET"))
    }

    /// Refuses modes that come too late for the transaction.
    ///
    /// # Errors
    /// 25001.
    pub(super) fn may_set_mode(&self, name: &str, value: &str) -> Result<(), ServerError> {
        let late = |text: &str| Err(ServerError::new("25001", text));
        let Some(transaction) = &self.transaction else {
            return Ok(());
        };
        let (asked, within) = (
            transaction.pinned.is_some(),
            !transaction.savepoints.is_empty(),
        );
        let mut next = self.settings.clone();
        next.set(name, Some(value), true)?;
        if next.get(name) == self.settings.get(name) {
            return Ok(());
        }
        match (name.to_ascii_lowercase().as_str(), next.get(name)) {
            (READ_ONLY, Some("off")) if within => {
                late("cannot set transaction read-write mode inside a read-only transaction")
            }
            (READ_ONLY, Some("off")) if asked => {
                late("transaction read-write mode must be set before any query")
            }
            (ISOLATION, _) if asked => {
                late("SET TRANSACTION ISOLATION LEVEL must be called before any query")
            }
            (ISOLATION, _) if within => {
                late("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
            }
            _ => Ok(()),
        }
    }

    /// Refuses a statement that changes more than rows of temporary tables, in a transaction that only reads.
    ///
    /// # Errors
    /// 25006.
    pub(super) fn may_run(&self, statement: &Statement) -> Result<(), ServerError> {
        match changes(statement) {
            Some(what) => self.may_write(&what),
            None => Ok(()),
        }
    }

    /// Refuses to write in a transaction that only reads.
    ///
    /// # Errors
    /// 25006.
    pub(super) fn may_write(&self, what: &str) -> Result<(), ServerError> {
        match self.settings.get(READ_ONLY) {
            Some("on") => {
                let text = format!("cannot execute {what} in a read-only transaction");
                Err(ServerError::new("25006", text))
            }
            _ => Ok(()),
        }
    }
}

impl Settings {
    /// The modes of the transaction, for the one that AND CHAIN begins.
    pub(super) fn modes(&self) -> Vec<(&'static str, String)> {
        let names = OF_TRANSACTION.iter().map(|(name, _)| *name);
        names
            .filter_map(|name| Some((name, self.get(name)?.to_owned())))
            .collect()
    }

    /// The modes of a transaction that goes on as another one.
    pub(super) fn keep_modes(&mut self, modes: Vec<(&'static str, String)>) {
        for (name, value) in modes {
            // A value that a setting had it takes again.
            let (Ok(()) | Err(_)) = self.set(name, Some(&value), true);
        }
    }
}

/// What PostgreSQL calls a statement that a transaction which only reads does not run; `None` for one that it runs.
fn changes(statement: &Statement) -> Option<String> {
    let word = match statement {
        Statement::Temp(command) => match command.as_ref() {
            TempCommand::Create { .. } => "CREATE TABLE",
            TempCommand::CreateAs { .. } | TempCommand::CreateAsExecute { .. } => "CREATE TABLE AS",
            TempCommand::CreateView { .. } => "CREATE VIEW",
            TempCommand::Truncate { .. } => "TRUNCATE TABLE",
            TempCommand::CreateIndex(_) => "CREATE INDEX",
            TempCommand::DropIndex { .. } => "DROP INDEX",
            TempCommand::Alter { .. } => "ALTER TABLE",
            TempCommand::Comment { .. } => "COMMENT",
            TempCommand::Drop { kind, .. } => return Some(format!("DROP {}", kind.word())),
            _ => return None,
        },
        Statement::Cohort(command) => match command.as_ref() {
            CohortCommand::Create { .. } => "CREATE COHORT",
            CohortCommand::Drop { .. } => "DROP COHORT",
        },
        Statement::Rights(command) => match command {
            RightsCommand::Create { .. } => "CREATE ROLE",
            RightsCommand::Alter(..) => "ALTER ROLE",
            RightsCommand::Drop { .. } => "DROP ROLE",
            _ => "GRANT",
        },
        _ => return None,
    };
    Some(word.to_owned())
}
