//! Transaction blocks and savepoints: what they pin, and what their end takes back.

use super::statement::Statement;
use super::temp::TempState;
use super::{Outcome, Pinned, Session, Settings};
use crate::clock::Clock;
use crate::sqlstate::ServerError;

#[derive(Default)]
pub(super) struct Transaction {
    pub(super) failed: bool,
    pub(super) settings: Settings,
    pub(super) temporary: TempState,
    pub(super) savepoints: Vec<Savepoint>,
    pub(super) pinned: Option<Pinned>,
    /// What `now()` says in it.
    pub(super) time: Option<i64>,
}

/// What ROLLBACK TO goes back to.
pub(super) struct Savepoint {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) temporary: TempState,
}

impl Session {
    pub(super) fn transaction_command(
        &mut self,
        statement: &Statement,
    ) -> Result<Outcome, ServerError> {
        match statement {
            Statement::Begin { tag, .. } => {
                let warning = self.transaction.is_some().then(|| {
                    ServerError::new("25001", "there is already a transaction in progress")
                        .severity(crate::sqlstate::Severity::Warning)
                });
                if self.transaction.is_none() {
                    self.begin();
                }
                Ok(Outcome::Done {
                    tag: (*tag).to_owned(),
                    warning,
                })
            }
            Statement::TransactionModes { .. } => Ok(Outcome::done("SET")),
            Statement::Commit { chain } => {
                let Some(transaction) = self.transaction.take() else {
                    return Ok(no_transaction("COMMIT"));
                };
                let tag = if transaction.failed {
                    "ROLLBACK"
                } else {
                    "COMMIT"
                };
                self.end(transaction, *chain);
                Ok(Outcome::done(tag))
            }
            Statement::Rollback { chain } => {
                let Some(mut transaction) = self.transaction.take() else {
                    return Ok(no_transaction("ROLLBACK"));
                };
                transaction.failed = true;
                self.end(transaction, *chain);
                Ok(Outcome::done("ROLLBACK"))
            }
            Statement::Savepoint(name) => {
                let savepoint = Savepoint {
                    name: name.clone(),
                    settings: self.settings.clone(),
                    temporary: self.temporary.clone(),
                };
                let transaction = self.block("SAVEPOINT")?;
                transaction.savepoints.push(savepoint);
                Ok(Outcome::done("SAVEPOINT"))
            }
            Statement::Release(name) => {
                let transaction = self.block("RELEASE SAVEPOINT")?;
                let at = savepoint(transaction, name)?;
                transaction.savepoints.truncate(at);
                Ok(Outcome::done("RELEASE"))
            }
            Statement::RollbackTo(name) => {
                let transaction = self.block("ROLLBACK TO SAVEPOINT")?;
                let at = savepoint(transaction, name)?;
                let savepoint = &transaction.savepoints[at];
                let (settings, temporary) =
                    (savepoint.settings.clone(), savepoint.temporary.clone());
                transaction.savepoints.truncate(at + 1);
                transaction.failed = false;
                self.settings = settings;
                self.temporary = temporary;
                Ok(Outcome::done("ROLLBACK"))
            }
            _ => Err(ServerError::internal("a statement without a way to run it")),
        }
    }

    pub(super) fn begin(&mut self) {
        let settings = self.settings.clone();
        // What the query string did before BEGIN becomes part of the block.
        let temporary = self.implicit.take();
        self.transaction = Some(Transaction {
            settings,
            temporary: temporary.unwrap_or_else(|| self.temporary.clone()),
            time: Some(Clock::read()),
            ..Transaction::default()
        });
    }

    pub(super) fn end(&mut self, transaction: Transaction, chain: bool) {
        if transaction.failed {
            self.settings = transaction.settings;
            self.temporary = transaction.temporary;
        } else {
            self.temporary = self.temporary.committed();
        }
        self.settings.end_transaction();
        self.portals.retain(|_, portal| portal.hold);
        if chain {
            self.begin();
        }
    }

    pub(super) fn block(&mut self, what: &str) -> Result<&mut Transaction, ServerError> {
        self.transaction.as_mut().ok_or_else(|| {
            ServerError::new(
                "25P01",
                format!("{what} can only be used in transaction blocks"),
            )
        })
    }
}

pub(super) fn ends_transaction(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Commit { .. } | Statement::Rollback { .. } | Statement::RollbackTo(_)
    )
}

fn savepoint(transaction: &Transaction, name: &str) -> Result<usize, ServerError> {
    transaction
        .savepoints
        .iter()
        .rposition(|known| known.name == name)
        .ok_or_else(|| ServerError::new("3B001", format!("savepoint \"{name}\" does not exist")))
}

pub(super) fn no_transaction(tag: &str) -> Outcome {
    let warning = ServerError::new("25P01", "there is no transaction in progress")
        .severity(crate::sqlstate::Severity::Warning);
    Outcome::Done {
        tag: tag.to_owned(),
        warning: Some(warning),
    }
}

pub(super) fn outside_block(what: &str) -> ServerError {
    ServerError::new(
        "25P01",
        format!("{what} can only be used in transaction blocks"),
    )
    .severity(crate::sqlstate::Severity::Warning)
}

pub(super) fn inside_block(what: &str) -> ServerError {
    ServerError::new(
        "25001",
        format!("{what} cannot run inside a transaction block"),
    )
}
