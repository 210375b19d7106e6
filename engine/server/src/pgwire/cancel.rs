//! Stopping statements: CancelRequest, timeouts, hang-up and shutdown.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use pgwire::messages::startup::SecretKey;
use subtle::ConstantTimeEq as _;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::advisory::Locks;
use crate::pg_catalog::{Activity, Ends};
use crate::session::channels::Channels;
use crate::session::work::Left;
use crate::sqlstate::{ServerError, Severity};

/// The open sessions, by process id.
#[derive(Default)]
pub(crate) struct Registry {
    sessions: Mutex<BTreeMap<i32, Arc<Slot>>>,
    locks: Arc<Locks>,
    channels: Arc<Channels>,
    left: Arc<Left>,
}

/// One session as others may see and stop it.
pub(crate) struct Slot {
    pid: i32,
    secret: i32,
    user: String,
    ends: Option<Ends>,
    /// Microseconds since 1970.
    started: i64,
    running: Mutex<Option<CancellationToken>>,
    /// Cancelled when the session is to end.
    terminate: CancellationToken,
    doing: Mutex<Doing>,
}

/// What a session does at the moment.
#[derive(Clone, Debug, Default)]
struct Doing {
    application: String,
    state: &'static str,
    state_changed: i64,
    query: String,
    transaction_started: Option<i64>,
    query_started: Option<i64>,
}

impl Doing {
    /// A message with `text` is worked on. What others see changes at once: never the state of one statement beside
    /// the text of another.
    fn runs(&mut self, text: &str, application: &str, transaction: Option<i64>) {
        let now = now();
        let end = text.floor_char_boundary(QUERY_BYTES_MAX);
        text.get(..end)
            .unwrap_or_default()
            .clone_into(&mut self.query);
        application.clone_into(&mut self.application);
        self.becomes("active");
        self.query_started = Some(now);
        self.transaction_started = transaction.or(self.transaction_started).or(Some(now));
    }

    fn becomes(&mut self, state: &'static str) {
        if self.state != state {
            self.state = state;
            self.state_changed = now();
        }
    }
}

/// Text of a statement kept for `pg_stat_activity`, as PostgreSQL's `track_activity_query_size`.
const QUERY_BYTES_MAX: usize = 1024;

impl Registry {
    /// Registers a session under a fresh secret.
    ///
    /// # Errors
    /// 53300 when the role has `most` sessions already.
    pub(crate) fn register(
        &self,
        pid: i32,
        user: &str,
        most: Option<usize>,
        ends: Option<Ends>,
    ) -> Result<Arc<Slot>, ServerError> {
        let bytes = *uuid::Uuid::new_v4().as_bytes();
        let slot = Arc::new(Slot {
            pid,
            secret: i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            user: user.to_owned(),
            ends,
            started: now(),
            running: Mutex::new(None),
            terminate: CancellationToken::new(),
            doing: Mutex::new(Doing {
                state_changed: now(),
                ..Doing::default()
            }),
        });
        let mut sessions = self.sessions.lock();
        let open = sessions.values().filter(|slot| slot.user == user).count();
        if most.is_some_and(|most| open >= most) {
            let text = format!("too many connections for role \"{user}\"");
            return Err(ServerError::new("53300", text).severity(Severity::Fatal));
        }
        sessions.insert(pid, Arc::clone(&slot));
        Ok(slot)
    }

    /// The advisory locks that the sessions share.
    pub(crate) fn locks(&self) -> &Arc<Locks> {
        &self.locks
    }

    /// The work of statements that nobody waits for any more.
    pub(crate) fn left(&self) -> Arc<Left> {
        Arc::clone(&self.left)
    }

    /// Forgets a session.
    pub(crate) fn remove(&self, pid: i32) {
        self.sessions.lock().remove(&pid);
        self.channels.unlisten(None, pid);
    }

    /// What the sessions listen to.
    pub(crate) fn channels(&self) -> Arc<Channels> {
        Arc::clone(&self.channels)
    }

    /// Cancels the running statement of `pid` when the secret is right. Silent otherwise: the
    /// protocol has no answer.
    pub(crate) fn cancel(&self, pid: i32, secret: &SecretKey) {
        let slot = self.sessions.lock().get(&pid).cloned();
        if let Some(slot) = slot
            && bool::from(secret.to_bytes().ct_eq(&slot.secret().to_bytes()))
        {
            slot.stop(false);
        }
    }

    /// Cancels the statement of another session, or ends the session; false when there is none of that number that
    /// `who` may stop: a session of the same user, or any for an admin.
    pub(crate) fn signal(&self, pid: i32, terminate: bool, who: &str, admin: bool) -> bool {
        let slot = self.sessions.lock().get(&pid).cloned();
        let Some(slot) = slot.filter(|slot| admin || slot.user == who) else {
            return false;
        };
        slot.stop(terminate);
        true
    }

    /// The sessions that `who` may know of.
    pub(crate) fn activity(&self, who: &str, admin: bool) -> Vec<Activity> {
        let sessions = self.sessions.lock();
        let known = sessions.values().filter(|slot| admin || slot.user == who);
        known.map(|slot| slot.activity()).collect()
    }

    /// Open sessions, and those of them that run a statement.
    pub(crate) fn count(&self) -> (usize, usize) {
        let sessions = self.sessions.lock();
        let running = sessions.values().filter(|s| s.running.lock().is_some());
        (sessions.len(), running.count())
    }
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
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

    /// How the session waits for its client.
    pub(crate) fn waits(&self, state: &'static str, application: &str) {
        let mut doing = self.doing.lock();
        doing.becomes(state);
        if state == "idle" {
            doing.transaction_started = None;
        }
        application.clone_into(&mut doing.application);
    }

    /// Resolves when the session is to end.
    pub(crate) async fn terminated(&self) {
        self.terminate.cancelled().await;
    }

    fn stop(&self, terminate: bool) {
        if terminate {
            self.terminate.cancel();
        } else if let Some(running) = self.running.lock().as_ref() {
            running.cancel();
        }
    }

    fn activity(&self) -> Activity {
        let doing = self.doing.lock().clone();
        Activity {
            pid: self.pid,
            user: self.user.clone(),
            application: doing.application,
            state: doing.state.to_owned(),
            query: doing.query,
            started: self.started,
            transaction_started: doing.transaction_started,
            query_started: doing.query_started,
            state_changed: doing.state_changed,
            ends: self.ends.clone(),
        }
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

    /// Lets others know what the session is about to run; after [`Interrupts::begin`], so that who sees it may stop it.
    ///
    /// `transaction`: when its transaction block began, in microseconds since 1970.
    pub(crate) fn runs(&self, text: &str, application: &str, transaction: Option<i64>) {
        let mut doing = self.slot.doing.lock();
        doing.runs(text, application, transaction);
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
            () = self.slot.terminated() => shutting_down(),
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
