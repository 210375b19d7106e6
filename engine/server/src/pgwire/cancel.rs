//! Stopping statements: CancelRequest, timeouts, hang-up and shutdown.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use pgwire::messages::startup::SecretKey;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::sqlstate::{ServerError, Severity};

/// The sessions that can be cancelled, by process id.
#[derive(Default)]
pub(crate) struct Registry {
    sessions: Mutex<HashMap<i32, Arc<Slot>>>,
}

/// The running statement of one session.
pub(crate) struct Slot {
    pid: i32,
    secret: i32,
    running: Mutex<Option<CancellationToken>>,
}

impl Registry {
    /// Registers a session under a fresh secret.
    pub(crate) fn register(self: &Registry, pid: i32) -> Arc<Slot> {
        let bytes = *uuid::Uuid::new_v4().as_bytes();
        let secret = i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let slot = Arc::new(Slot {
            pid,
            secret,
            running: Mutex::new(None),
        });
        self.sessions.lock().insert(pid, Arc::clone(&slot));
        slot
    }

    /// Forgets a session.
    pub(crate) fn remove(&self, pid: i32) {
        self.sessions.lock().remove(&pid);
    }

    /// Cancels the running statement of `pid` when the secret is right. Silent otherwise: the
    /// protocol has no answer.
    pub(crate) fn cancel(&self, pid: i32, secret: &SecretKey) {
        let slot = self.sessions.lock().get(&pid).cloned();
        if let Some(slot) = slot
            && secret.eq_value(&SecretKey::I32(slot.secret))
            && let Some(running) = slot.running.lock().as_ref()
        {
            running.cancel();
        }
    }
}

impl Slot {
    /// The secret the client was given.
    pub(crate) fn secret(&self) -> SecretKey {
        SecretKey::I32(self.secret)
    }

    /// The process id the client was given.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

/// Everything that may stop the statement of one connection.
pub(crate) struct Interrupts {
    pub(crate) slot: Arc<Slot>,
    /// The client is gone.
    pub(crate) hangup: CancellationToken,
    /// The server stops now.
    pub(crate) force: CancellationToken,
    cancel: CancellationToken,
    deadline: Option<Instant>,
}

impl Interrupts {
    pub(crate) fn new(
        slot: Arc<Slot>,
        hangup: CancellationToken,
        force: CancellationToken,
    ) -> Interrupts {
        Interrupts {
            slot,
            hangup,
            force,
            cancel: CancellationToken::new(),
            deadline: None,
        }
    }

    /// A statement begins: earlier cancel requests do not count, its clock starts.
    pub(crate) fn begin(&mut self, timeout: Option<std::time::Duration>) {
        self.cancel = CancellationToken::new();
        *self.slot.running.lock() = Some(self.cancel.clone());
        self.deadline = timeout.map(|timeout| Instant::now() + timeout);
    }

    /// The statement is over.
    pub(crate) fn end(&mut self) {
        *self.slot.running.lock() = None;
        self.deadline = None;
    }

    /// Runs `work` until it is done or something stops it; it is dropped then.
    pub(crate) async fn race<T>(
        &self,
        work: impl Future<Output = Result<T, ServerError>>,
    ) -> Result<T, ServerError> {
        tokio::select! {
            biased;
            error = self.stopped() => Err(error),
            result = work => result,
        }
    }

    /// Resolves when the statement must stop.
    async fn stopped(&self) -> ServerError {
        let timeout = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.hangup.cancelled() => connection_lost(),
            () = self.force.cancelled() => shutting_down(),
            () = self.cancel.cancelled() => ServerError::canceled("user request"),
            () = timeout => ServerError::canceled("statement timeout"),
        }
    }
}

/// 57P01: the server stops.
pub(crate) fn shutting_down() -> ServerError {
    ServerError::new(
        "57P01",
        "terminating connection due to administrator command",
    )
    .severity(Severity::Fatal)
}

/// The client hung up; nobody is left to tell.
pub(crate) fn connection_lost() -> ServerError {
    ServerError::new("08006", "connection to client lost").severity(Severity::Fatal)
}
