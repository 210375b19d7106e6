//! Transaction blocks and savepoints: what they pin, and what their end takes back.

use datafusion::execution::memory_pool::MemoryReservation;

use super::channels::Mark;
use super::statement::Statement;
use super::temp::TempState;
use super::{Outcome, Pinned, Session, Settings};
use crate::advisory::Holder;
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

/// What the statements of a query string, or of a pipeline up to its Sync, go back to when one of them fails.
#[derive(Clone)]
pub(super) struct Implicit {
    pub(super) settings: Settings,
    pub(super) temporary: TempState,
}

/// What the statements of a query string, or of a pipeline up to its Sync, share outside of a transaction block.
#[derive(Default)]
pub(super) struct Shared {
    /// The state of the lake that the first of them read.
    pub(super) pinned: Option<Pinned>,
    /// What `now()` says in them.
    pub(super) time: Option<i64>,
    /// Another statement follows the one that runs.
    followed: bool,
}

/// What ROLLBACK TO goes back to.
pub(super) struct Savepoint {
    pub(super) name: String,
    /// How many portals had been opened: later ones go away.
    pub(super) portals: u64,
    /// How many advisory locks the transaction held: later ones are given up.
    pub(super) locks: usize,
    pub(super) settings: Settings,
    pub(super) temporary: TempState,
    /// What this takes of the session's memory.
    pub(super) _held: Option<MemoryReservation>,
    /// How much had been said to other sessions.
    pub(super) said: Mark,
}

impl Session {
    pub(super) fn transaction_command(
        &mut self,
        statement: &Statement,
    ) -> Result<Outcome, ServerError> {
        match statement {
            Statement::Begin { tag, modes } => {
                let warning = self.transaction.is_some().then(|| {
                    ServerError::new("25001", "there is already a transaction in progress")
                        .severity(crate::sqlstate::Severity::Warning)
                });
                if self.transaction.is_none() {
                    self.begin();
                    self.begin_as(*modes)?;
                }
                Ok(Outcome::Done {
                    tag: (*tag).to_owned(),
                    warning,
                })
            }
            Statement::TransactionModes { modes, of_session } => {
                self.set_modes(*modes, *of_session)
            }
            Statement::Commit { chain } => {
                let Some(transaction) = self.transaction.take() else {
                    chains_nothing("COMMIT", *chain)?;
                    self.commit_implicit();
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
                    chains_nothing("ROLLBACK", *chain)?;
                    self.roll_back_implicit();
                    return Ok(no_transaction("ROLLBACK"));
                };
                transaction.failed = true;
                self.end(transaction, *chain);
                Ok(Outcome::done("ROLLBACK"))
            }
            Statement::Savepoint(name) => {
                let held = match self.transaction.is_some() {
                    true => self.memory_of_savepoint(name)?,
                    false => None,
                };
                let savepoint = Savepoint {
                    name: name.clone(),
                    portals: self.portals_opened,
                    locks: self.locks.as_ref().map_or(0, Holder::in_transaction),
                    settings: self.settings.clone(),
                    temporary: self.temporary.clone(),
                    _held: held,
                    said: self.voice.mark(),
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
                let (settings, temporary, portals, locks, said) = (
                    savepoint.settings.clone(),
                    savepoint.temporary.clone(),
                    savepoint.portals,
                    savepoint.locks,
                    savepoint.said,
                );
                transaction.savepoints.truncate(at + 1);
                transaction.failed = false;
                self.settings.restore(settings);
                self.temporary = temporary;
                self.release_locks(locks);
                self.voice.back_to(said);
                self.portals.retain(|_, portal| portal.number <= portals);
                Ok(Outcome::done("ROLLBACK"))
            }
            _ => Err(ServerError::internal("a statement without a way to run it")),
        }
    }

    pub(super) fn begin(&mut self) {
        // What the query string did and read before BEGIN becomes part of the block.
        let before = self.implicit.take().unwrap_or_else(|| Implicit {
            settings: self.settings.clone(),
            temporary: self.temporary.clone(),
        });
        self.transaction = Some(Transaction {
            settings: before.settings,
            temporary: before.temporary,
            pinned: self.shared.pinned.take(),
            time: self.shared.time.take().or_else(|| Some(Clock::read())),
            ..Transaction::default()
        });
    }

    pub(super) fn end(&mut self, transaction: Transaction, chain: bool) {
        if transaction.failed {
            self.settings.restore(transaction.settings);
            self.temporary = transaction.temporary;
            self.voice.back_to(Mark::default());
            self.forget_new_portals();
        } else {
            self.temporary = self.temporary.committed();
            self.voice.commit();
        }
        let modes = chain.then(|| self.settings.modes());
        self.end_of_transaction();
        if let Some(modes) = modes {
            self.begin();
            self.settings.keep_modes(modes);
        }
    }

    /// When the transaction block began, in microseconds since 1970; None outside of one.
    #[must_use]
    pub fn transaction_time(&self) -> Option<i64> {
        self.transaction
            .as_ref()
            .and_then(|transaction| transaction.time)
    }

    /// Marks the transaction block as failed, or takes back what an implicit one did: called for every error a client
    /// is told of.
    pub fn fail(&mut self) {
        self.implicit_block = false;
        self.shared.followed = false;
        match &mut self.transaction {
            Some(transaction) => {
                transaction.failed = true;
                let savepoint = transaction.savepoints.last();
                let kept = savepoint.map_or(0, |savepoint| savepoint.locks);
                self.release_locks(kept);
            }
            None => self.roll_back_implicit(),
        }
    }

    /// The end of an implicit transaction.
    pub fn sync(&mut self) {
        self.implicit_block = false;
        self.shared.followed = false;
        if self.transaction.is_none() {
            self.commit_implicit();
        }
    }

    /// The statements from here to [`Session::sync`] are one transaction, as those of a query string are.
    pub fn begin_implicit_block(&mut self) {
        self.implicit_block = true;
    }

    /// Whether other statements of the query string or pipeline follow the next one.
    pub fn followed(&mut self, followed: bool) {
        self.shared.followed = followed;
    }

    /// 25001 for what cannot be taken back, unless nothing comes after it that may fail.
    ///
    /// # Errors
    /// In a transaction block, and before other statements of its query string or pipeline.
    pub(super) fn must_be_last(&self, what: &str) -> Result<(), ServerError> {
        if self.transaction.is_some() {
            return Err(inside_block(what));
        }
        match (self.shared.followed, self.implicit_block) {
            (false, _) => Ok(()),
            (true, true) => Err(inside_block(what)),
            (true, false) => {
                let text = format!("{what} cannot be executed within a pipeline");
                Err(ServerError::new("25001", text))
            }
        }
    }

    /// Whether more than one statement can belong to the transaction.
    pub(super) fn in_block(&self) -> bool {
        self.transaction.is_some() || self.implicit_block
    }

    /// Remembers what there is, to take back what changes when the implicit transaction fails.
    pub(super) fn before_change(&mut self) {
        if self.transaction.is_none() && self.implicit.is_none() {
            self.implicit = Some(Implicit {
                settings: self.settings.clone(),
                temporary: self.temporary.clone(),
            });
        }
    }

    fn commit_implicit(&mut self) {
        self.implicit = None;
        self.temporary = self.temporary.committed();
        self.voice.commit();
        self.end_of_transaction();
    }

    fn roll_back_implicit(&mut self) {
        self.voice.back_to(Mark::default());
        if let Some(before) = self.implicit.take() {
            self.settings.restore(before.settings);
            self.temporary = before.temporary;
        }
        self.forget_new_portals();
        self.end_of_transaction();
    }

    /// Gives up the advisory locks of the transaction but the first `kept`.
    fn release_locks(&mut self, kept: usize) {
        if let Some(locks) = &mut self.locks {
            locks.end_transaction(kept);
        }
    }

    /// Portals of a transaction that was rolled back never were, held or not.
    fn forget_new_portals(&mut self) {
        let before = self.portals_before;
        self.portals.retain(|_, portal| portal.number <= before);
    }

    fn end_of_transaction(&mut self) {
        self.release_locks(0);
        (self.shared.pinned, self.shared.time) = (None, None);
        self.settings.end_transaction();
        self.portals.retain(|_, portal| portal.is_held());
        self.portals_before = self.portals_opened;
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

/// # Errors
/// 25P01 for an end that is to begin another transaction where there is none.
fn chains_nothing(command: &str, chain: bool) -> Result<(), ServerError> {
    match chain {
        true => {
            let text = format!("{command} AND CHAIN can only be used in transaction blocks");
            Err(ServerError::new("25P01", text))
        }
        false => Ok(()),
    }
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
