//! Clients that have not proved yet who they are: they take neither all memory nor the places of others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// Those on their way in. Beyond `most` whoever has waited longest is sent away: a client that means to log in has
/// done so long before, and sockets that say nothing keep nobody out.
#[derive(Debug)]
pub(crate) struct Strangers {
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    arrived: u64,
    /// By their arrival, the longest first.
    clients: BTreeMap<u64, CancellationToken>,
}

/// One on its way in; gone from the list when dropped.
pub(crate) struct Stranger {
    strangers: Arc<Strangers>,
    number: u64,
    sent_away: CancellationToken,
}

impl Strangers {
    /// At most `most` at once.
    pub(crate) fn new(most: usize) -> Arc<Strangers> {
        Arc::new(Strangers {
            most: most.max(1),
            waiting: Mutex::default(),
        })
    }

    /// Lets one more in, in the place of the first of them when all are taken.
    pub(crate) fn enter(self: &Arc<Strangers>) -> Stranger {
        let sent_away = CancellationToken::new();
        let mut waiting = self.waiting();
        while waiting.clients.len() >= self.most {
            let Some((_, longest)) = waiting.clients.pop_first() else {
                break;
            };
            longest.cancel();
        }
        let number = waiting.arrived;
        waiting.arrived = number.wrapping_add(1);
        waiting.clients.insert(number, sent_away.clone());
        drop(waiting);
        Stranger {
            strangers: Arc::clone(self),
            number,
            sent_away,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Comes when others need the place.
    pub(crate) async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.strangers.waiting().clients.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_waited_longest_makes_room() {
        let strangers = Strangers::new(2);
        let first = strangers.enter();
        let second = strangers.enter();
        let third = strangers.enter();
        assert!(first.sent_away.is_cancelled());
        assert!(!second.sent_away.is_cancelled());
        drop(second);
        let _fourth = strangers.enter();
        assert!(!third.sent_away.is_cancelled());
        drop(first);
        assert_eq!(strangers.waiting().clients.len(), 2);
    }
}
