//! Work of sessions on the query runtime, which they share.
//!
//! Planning does not yield, so that two statements that are planned for minutes would take both threads of the runtime.
//! Each step of such work hands its thread over to the other tasks first:
//!
//! ```text
//! thread A   plan of ann's statement …………………………………………………………
//! thread B   (takes over A's queue)  bob's statement, cat's rows, …
//! ```
//! What nobody waits for any more (timeouts, cancel requests, clients that are gone) may go on to the end of its step.
//! That is counted, and a role that has left much so waits with its next statement until it has come to an end.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::stop::Stop;
use crate::sqlstate::ServerError;

/// Statements that one role may have left and that have not ended yet.
const LEFT_MAX: usize = 4;
/// As many of all roles together: beyond it a role may have left none.
const LEFT_OF_ALL_MAX: usize = 32;
/// How long the next statement waits for one of them to end. Most look often whether they were stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// What goes on although nobody waits for it, by role.
#[derive(Debug, Default)]
pub(crate) struct Left {
    roles: Mutex<BTreeMap<Arc<str>, usize>>,
    ended: Notify,
}

impl Left {
    /// How many statements there are.
    pub(crate) fn count(&self) -> usize {
        self.roles.lock().values().sum()
    }

    pub(super) fn add(&self, role: &Arc<str>) {
        *self.roles.lock().entry(Arc::clone(role)).or_default() += 1;
    }

    pub(super) fn remove(&self, role: &str) {
        let mut roles = self.roles.lock();
        if let Some(count) = roles.get_mut(role) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                roles.remove(role);
            }
        }
        drop(roles);
        self.ended.notify_waiters();
    }

    fn takes(&self, role: &str) -> bool {
        let roles = self.roles.lock();
        match roles.get(role) {
            None => true,
            Some(own) => *own < LEFT_MAX && roles.values().sum::<usize>() < LEFT_OF_ALL_MAX,
        }
    }

    /// Waits until the role may begin another statement.
    ///
    /// # Errors
    /// 53000 when none of what it left comes to its end.
    async fn place(&self, role: &str) -> Result<(), ServerError> {
        if self.takes(role) {
            return Ok(());
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.takes(role) {
                return Ok(());
            }
            if timeout_at(patience, ended).await.is_err() {
                let text =
                    format!("too many statements of role \"{role}\" are still being stopped");
                let hint = "They were canceled, or their sessions ended, while they were planned. Wait for them to end.";
                return Err(ServerError::new("53000", text).hint(hint));
            }
        }
    }
}

/// Whose work it is.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(super) left: Arc<Left>,
    pub(super) role: Arc<str>,
}

/// Where the work of a session is done.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    runtime: Handle,
    owner: Owner,
}

impl Work {
    /// Work of `role` on `runtime`.
    pub(super) fn new(runtime: Handle, role: &str, left: Arc<Left>) -> Work {
        let role = role.into();
        let owner = Owner { left, role };
        Work { runtime, owner }
    }

    /// What stops a statement.
    pub(super) fn stop(&self) -> Stop {
        Stop::of(self.owner.clone())
    }

    /// Does what may not yield for long; dropping the future aborts it.
    ///
    /// # Errors
    /// Those of the work, and 53000 where the role has left too much.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        work: BoxFuture<'static, Result<T, ServerError>>,
    ) -> Result<T, ServerError> {
        self.owner.left.place(&self.owner.role).await?;
        let hands_over = self.runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
        let stop = Stop::of(self.owner.clone());
        let guard = stop.guard();
        let ended = self.start(&stop, InPlace { work, hands_over }).await;
        guard.disarm();
        match ended {
            Ok(result) => result,
            Err(error) => Err(super::task_error(&error)),
        }
    }

    /// Does the work of a statement that has begun, until it is stopped; dropping the handle aborts it.
    pub(crate) fn start<W>(&self, stop: &Stop, work: W) -> AbortOnDropHandle<W::Output>
    where
        W: Future<Output: Send + 'static> + Send + 'static,
    {
        let stop = stop.clone();
        AbortOnDropHandle::new(self.runtime.spawn(async move {
            let _working = stop.working();
            work.await
        }))
    }
}

/// Work each step of which may take long: other tasks of its thread go on elsewhere.
struct InPlace<T> {
    work: BoxFuture<'static, T>,
    hands_over: bool,
}

impl<T> Future for InPlace<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.hands_over {
            true => tokio::task::block_in_place(|| self.work.as_mut().poll(cx)),
            false => self.work.as_mut().poll(cx),
        }
    }
}

/// As a step of a stream that may compute for long before it yields; on a runtime of one thread there is nobody to
/// hand over to.
pub(super) fn in_place<T>(step: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current();
    match runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        true => tokio::task::block_in_place(step),
        false => step(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn work(role: &str, left: &Arc<Left>) -> Work {
        Work::new(Handle::current(), role, Arc::clone(left))
    }

    async fn one(work: &Work) -> Result<i32, ServerError> {
        let one = work.clone().run(Box::pin(async { Ok(1) }));
        tokio::time::timeout(Duration::from_secs(20), one)
            .await
            .unwrap()
    }

    /// Fails without: the hand-over of the thread, and the bound on what a role has left.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_does_not_yield_keeps_its_own_role_waiting_only() {
        let left = Arc::<Left>::default();
        let (ann, bob) = (work("ann", &left), work("bob", &left));
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        for begun in 0..LEFT_MAX {
            assert_eq!(left.count(), begun);
            let ended = Arc::clone(&ended);
            let spins = ann.clone().run(Box::pin(async move {
                let _ = ended.lock().recv();
                Ok(())
            }));
            let spins = tokio::time::timeout(Duration::from_millis(100), spins);
            assert!(spins.await.is_err());
            assert_eq!(one(&bob).await.unwrap(), 1);
        }
        assert_eq!(left.count(), LEFT_MAX);
        let refused = one(&ann).await.unwrap_err();
        assert_eq!(refused.code(), "53000");
        assert_eq!(one(&bob).await.unwrap(), 1);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            end.send(()).unwrap();
            thread::sleep(Duration::from_secs(20));
        });
        assert_eq!(one(&ann).await.unwrap(), 1);
        assert_eq!(left.count(), LEFT_MAX - 1);
        left.remove("nobody");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_works_too() {
        assert_eq!(one(&work("ann", &Arc::default())).await.unwrap(), 1);
        assert_eq!(in_place(|| 1), 1);
    }

    /// Fails without: the end of what was left, which a task that is dropped where it waits has at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_is_not_left() {
        let left = Arc::<Left>::default();
        let waits = work("ann", &left).run::<()>(Box::pin(std::future::pending()));
        let waits = tokio::time::timeout(Duration::from_millis(50), waits);
        assert!(waits.await.is_err());
        let until = Instant::now() + Duration::from_secs(20);
        while left.count() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(left.count(), 0);
    }
}
