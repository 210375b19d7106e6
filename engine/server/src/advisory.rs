//! Advisory locks: keys that sessions of a server hold until they give them up, or their transaction ends.
//!
//! ```text
//! key 7   held by  session 1, exclusive     waited for by  session 2, exclusive ─► session 3, shared
//! ```
//! Who waits is let in in the order of asking. A wait that would never end, since those who hold the key wait for the
//! one who asks, is an error at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::sqlstate::ServerError;

/// What is locked: one number, or two, which are keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    One(i64),
    Two(i32, i32),
}

/// Whether others may hold the key, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

impl Mode {
    fn conflicts(self, other: Mode) -> bool {
        self == Mode::Exclusive || other == Mode::Exclusive
    }

    /// What PostgreSQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Shared => "ShareLock",
            Mode::Exclusive => "ExclusiveLock",
        }
    }
}

/// The locks of a server.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    state: Mutex<State>,
    /// Told when a lock or a wait ends.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions and tickets, counted.
    last: u64,
    keys: BTreeMap<Key, Locked>,
}

#[derive(Debug, Default)]
struct Locked {
    /// Each lock that is held, as often as it was taken.
    held: Vec<(u64, Mode)>,
    /// Those who wait, in the order of their tickets.
    waiting: Vec<Waiter>,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    ticket: u64,
    session: u64,
    mode: Mode,
}

impl Locked {
    /// The sessions that a session waits for when it asks for the key; `ticket` is its place among those who wait.
    fn blocking(&self, session: u64, mode: Mode, ticket: Option<u64>) -> Vec<u64> {
        let others = |other: u64, has: Mode| other != session && mode.conflicts(has);
        let held = self.held.iter().filter(|(other, has)| others(*other, *has));
        let mut found: Vec<u64> = held.map(|(other, _)| *other).collect();
        // Who has the key already does not wait behind those who want it.
        if !self.held.iter().any(|(holder, _)| *holder == session) {
            let before = |waiter: &&Waiter| {
                ticket.is_none_or(|ticket| waiter.ticket < ticket)
                    && others(waiter.session, waiter.mode)
            };
            found.extend(self.waiting.iter().filter(before).map(|w| w.session));
        }
        found
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether those that a session waits for wait for it, at last.
    fn is_deadlocked(&self, session: u64) -> bool {
        let mut seen = vec![session];
        let mut next = vec![session];
        while let Some(one) = next.pop() {
            for locked in self.keys.values() {
                for waiter in locked.waiting.iter().filter(|w| w.session == one) {
                    for other in locked.blocking(one, waiter.mode, Some(waiter.ticket)) {
                        if other == session {
                            return true;
                        }
                        if !seen.contains(&other) {
                            seen.push(other);
                            next.push(other);
                        }
                    }
                }
            }
        }
        false
    }

    fn forget_waiter(&mut self, key: Key, ticket: u64) {
        if let Some(locked) = self.keys.get_mut(&key) {
            locked.waiting.retain(|waiter| waiter.ticket != ticket);
        }
        self.tidy(key);
    }

    fn tidy(&mut self, key: Key) {
        let unused = |locked: &Locked| locked.held.is_empty() && locked.waiting.is_empty();
        if self.keys.get(&key).is_some_and(unused) {
            self.keys.remove(&key);
        }
    }
}

impl Locks {
    /// A session that may hold locks.
    pub(crate) fn session(self: &Arc<Self>) -> Holder {
        Holder {
            session: self.state.lock().next(),
            locks: Arc::clone(self),
            own: Vec::new(),
            transaction: Vec::new(),
        }
    }

    /// How many locks are held, and how many sessions wait for one.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = self.state.lock();
        let held = state.keys.values().map(|locked| locked.held.len()).sum();
        let waiting = state.keys.values().map(|locked| locked.waiting.len());
        (held, waiting.sum())
    }

    fn try_lock(&self, session: u64, key: Key, mode: Mode, ticket: Option<u64>) -> bool {
        let mut state = self.state.lock();
        let locked = state.keys.entry(key).or_default();
        let free = locked.blocking(session, mode, ticket).is_empty();
        if free {
            locked.held.push((session, mode));
        }
        state.tidy(key);
        free
    }

    fn release(&self, session: u64, key: Key, mode: Mode) {
        let mut state = self.state.lock();
        if let Some(locked) = state.keys.get_mut(&key) {
            let held = locked
                .held
                .iter()
                .rposition(|held| *held == (session, mode));
            if let Some(place) = held {
                locked.held.swap_remove(place);
            }
        }
        state.tidy(key);
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A wait for a lock, which ends when it is dropped.
struct Wait<'a> {
    locks: &'a Locks,
    key: Key,
    ticket: u64,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.locks.state.lock().forget_waiter(self.key, self.ticket);
        self.locks.changed.notify_waiters();
    }
}

/// Locks that one session holds, or waits for.
const LOCKS_MAX: usize = 10_000;

/// A session and its locks, all of which it gives up at its end.
#[derive(Debug)]
pub(crate) struct Holder {
    locks: Arc<Locks>,
    session: u64,
    /// Those that it holds until it gives them up.
    own: Vec<(Key, Mode)>,
    /// Those that it holds until its transaction ends.
    transaction: Vec<(Key, Mode)>,
}

impl Holder {
    fn remember(&mut self, key: Key, mode: Mode, in_transaction: bool) {
        match in_transaction {
            true => self.transaction.push((key, mode)),
            false => self.own.push((key, mode)),
        }
    }

    /// # Errors
    /// 53200 for a session that holds too many.
    fn has_room(&self) -> Result<(), ServerError> {
        match self.own.len() + self.transaction.len() < LOCKS_MAX {
            true => Ok(()),
            false => Err(ServerError::new("53200", "out of shared memory")
                .hint("A session may hold 10000 advisory locks.")),
        }
    }

    /// Takes a lock when nobody else has it or waits for it.
    ///
    /// # Errors
    /// 53200.
    pub(crate) fn try_lock(
        &mut self,
        key: Key,
        mode: Mode,
        in_transaction: bool,
    ) -> Result<bool, ServerError> {
        self.has_room()?;
        let locked = self.locks.try_lock(self.session, key, mode, None);
        if locked {
            self.remember(key, mode, in_transaction);
        }
        Ok(locked)
    }

    /// Takes a lock as soon as nobody else has it.
    ///
    /// # Errors
    /// 55P03 when that takes longer than `most`, 40P01 when it never comes, 53200.
    pub(crate) async fn lock(
        &mut self,
        key: Key,
        mode: Mode,
        in_transaction: bool,
        most: Option<Duration>,
    ) -> Result<(), ServerError> {
        if self.try_lock(key, mode, in_transaction)? {
            return Ok(());
        }
        let deadline = most.and_then(|most| Instant::now().checked_add(most));
        let (locks, session) = (Arc::clone(&self.locks), self.session);
        let (wait, deadlocked) = {
            let mut state = locks.state.lock();
            let ticket = state.next();
            let waiter = Waiter {
                ticket,
                session,
                mode,
            };
            state.keys.entry(key).or_default().waiting.push(waiter);
            let wait = Wait {
                locks: &locks,
                key,
                ticket,
            };
            (wait, state.is_deadlocked(session))
        };
        if deadlocked {
            return Err(ServerError::new("40P01", "deadlock detected"));
        }
        loop {
            let changed = locks.changed.notified();
            if locks.try_lock(session, key, mode, Some(wait.ticket)) {
                break;
            }
            match deadline {
                None => changed.await,
                Some(deadline) => timeout_at(deadline, changed).await.map_err(|_| {
                    let text = "canceling statement due to lock timeout";
                    ServerError::new("55P03", text)
                })?,
            }
        }
        drop(wait);
        self.remember(key, mode, in_transaction);
        Ok(())
    }

    /// Gives up a lock of the session; false when it has none.
    pub(crate) fn unlock(&mut self, key: Key, mode: Mode) -> bool {
        let held = self.own.iter().rposition(|held| *held == (key, mode));
        match held {
            Some(place) => {
                self.own.swap_remove(place);
                self.locks.release(self.session, key, mode);
                true
            }
            None => false,
        }
    }

    /// Gives up all locks of the session that are not its transaction's.
    pub(crate) fn unlock_all(&mut self) {
        for (key, mode) in std::mem::take(&mut self.own) {
            self.locks.release(self.session, key, mode);
        }
    }

    /// How many locks its transaction holds.
    pub(crate) fn in_transaction(&self) -> usize {
        self.transaction.len()
    }

    /// Gives up the locks of the transaction but the first `kept`.
    pub(crate) fn end_transaction(&mut self, kept: usize) {
        while self.transaction.len() > kept {
            if let Some((key, mode)) = self.transaction.pop() {
                self.locks.release(self.session, key, mode);
            }
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.unlock_all();
        self.end_transaction(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: Key = Key::One(7);

    #[tokio::test]
    async fn who_waits_is_let_in_when_the_lock_is_given_up() {
        let locks = Arc::new(Locks::default());
        let (mut first, mut second) = (locks.session(), locks.session());
        first.lock(KEY, Mode::Exclusive, false, None).await.unwrap();
        first.lock(KEY, Mode::Shared, true, None).await.unwrap();
        assert!(!second.try_lock(KEY, Mode::Shared, false).unwrap());
        assert!(
            second
                .try_lock(Key::Two(0, 7), Mode::Exclusive, false)
                .unwrap()
        );
        let least = Some(Duration::from_millis(20));
        let late = second.lock(KEY, Mode::Shared, false, least).await;
        assert_eq!(late.unwrap_err().code(), "55P03");
        assert_eq!(locks.count(), (3, 0));
        let waits = tokio::spawn(async move {
            second
                .lock(KEY, Mode::Exclusive, false, None)
                .await
                .unwrap();
            second
        });
        assert!(first.unlock(KEY, Mode::Exclusive));
        assert!(!first.unlock(KEY, Mode::Exclusive));
        first.end_transaction(0);
        let second = waits.await.unwrap();
        assert_eq!(locks.count(), (2, 0));
        drop(second);
        assert_eq!(locks.count(), (0, 0));
    }

    #[tokio::test]
    async fn a_wait_that_never_ends_is_an_error() {
        let locks = Arc::new(Locks::default());
        let (mut first, mut second) = (locks.session(), locks.session());
        let other = Key::One(8);
        first.lock(KEY, Mode::Exclusive, false, None).await.unwrap();
        second
            .lock(other, Mode::Exclusive, false, None)
            .await
            .unwrap();
        let waits = tokio::spawn(async move {
            second
                .lock(KEY, Mode::Exclusive, false, None)
                .await
                .unwrap();
        });
        while locks.count().1 == 0 {
            tokio::task::yield_now().await;
        }
        let dead = first.lock(other, Mode::Exclusive, false, None).await;
        assert_eq!(dead.unwrap_err().code(), "40P01");
        assert_eq!(locks.count().1, 1);
        drop(first);
        waits.await.unwrap();
    }
}
