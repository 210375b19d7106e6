//! LISTEN and NOTIFY: words from session to session of one server.
//!
//! ```text
//! NOTIFY c, 'x'  ─►  kept with the transaction  ─►  COMMIT: in the mailbox of each session that listens to c
//!                                                   ─►  sent by its connection once it is idle
//! ```
//! What is to be heard changes at the commit, too, and before what the same transaction says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Outcome, Session};
use crate::sqlstate::ServerError;

/// Bytes that wait for one session, or that one transaction may say.
const BYTES_MAX: usize = 8 << 20;
/// Bytes that wait for all sessions of a server.
const QUEUE_MAX: usize = 64 << 20;
/// Bytes of a word that PostgreSQL takes: less than this.
const PAYLOAD_MAX: usize = 8_000;
/// Bytes of the name of a channel: less than this.
const NAME_MAX: usize = 64;
/// How many channels a session listens to, and how often a transaction says which.
const CHANNELS_MAX: usize = 10_000;
/// Bytes that a word takes beside its text.
const WORD_BYTES: usize = 64;

/// One word of a session to those that listen, kept once for all of them.
#[derive(Debug)]
pub(crate) struct Word {
    /// Who said it.
    pub(crate) pid: i32,
    pub(crate) channel: String,
    pub(crate) payload: String,
    /// The bytes that wait in the server, these among them.
    queue: Arc<AtomicUsize>,
}

impl Word {
    fn new(pid: i32, channel: String, payload: String, queue: &Arc<AtomicUsize>) -> Self {
        queue.fetch_add(size(&channel, &payload), Ordering::Relaxed);
        Self {
            pid,
            channel,
            payload,
            queue: Arc::clone(queue),
        }
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        let bytes = size(&self.channel, &self.payload);
        self.queue.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Words that wait for one session.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<(VecDeque<Arc<Word>>, usize)>,
    arrived: Notify,
}

impl Mailbox {
    /// Resolves when a word is there.
    pub(crate) async fn arrived(&self) {
        loop {
            let arrived = self.arrived.notified();
            if !self.waiting.lock().0.is_empty() {
                return;
            }
            arrived.await;
        }
    }

    /// The words that are there.
    pub(crate) fn take(&self) -> VecDeque<Arc<Word>> {
        std::mem::take(&mut *self.waiting.lock()).0
    }

    fn put(&self, word: Arc<Word>) {
        let mut waiting = self.waiting.lock();
        waiting.1 += size(&word.channel, &word.payload);
        waiting.0.push_back(word);
        self.arrived.notify_one();
    }
}

fn size(channel: &str, payload: &str) -> usize {
    channel.len() + payload.len() + WORD_BYTES
}

/// The sessions that listen to each channel, by their process ids.
#[derive(Default)]
pub(crate) struct Channels(
    Mutex<BTreeMap<String, BTreeMap<i32, Arc<Mailbox>>>>,
    /// Bytes that wait.
    Arc<AtomicUsize>,
);

impl Channels {
    fn listen(&self, channel: &str, pid: i32, mailbox: &Arc<Mailbox>) {
        let mut channels = self.0.lock();
        let listeners = channels.entry(channel.to_owned()).or_default();
        listeners.insert(pid, Arc::clone(mailbox));
    }

    /// A session hears no more of a channel, or of any.
    pub(crate) fn unlisten(&self, channel: Option<&str>, pid: i32) {
        let mut channels = self.0.lock();
        if let Some(channel) = channel {
            if let Some(listeners) = channels.get_mut(channel) {
                listeners.remove(&pid);
                if listeners.is_empty() {
                    channels.remove(channel);
                }
            }
            return;
        }
        channels.retain(|_, listeners| {
            listeners.remove(&pid);
            !listeners.is_empty()
        });
    }

    /// Whether the server and all who listen have room for so many bytes more.
    fn have_room(&self, channel: &str, bytes: usize) -> bool {
        if self.1.load(Ordering::Relaxed) + bytes > QUEUE_MAX {
            return false;
        }
        let channels = self.0.lock();
        let mut listeners = channels.get(channel).into_iter().flatten();
        listeners.all(|(_, mailbox)| mailbox.waiting.lock().1 + bytes <= BYTES_MAX)
    }

    fn deliver(&self, pid: i32, channel: String, payload: String) {
        let channels = self.0.lock();
        let Some(listeners) = channels.get(&channel) else {
            return;
        };
        let word = Arc::new(Word::new(pid, channel, payload, &self.1));
        for mailbox in listeners.values() {
            mailbox.put(Arc::clone(&word));
        }
    }
}

/// What a transaction says, and what it will hear.
#[derive(Default)]
struct Pending {
    /// Channels to listen to (`true`) or no more; all of them where none is named.
    heard: Vec<(Option<String>, bool)>,
    said: Vec<(String, String)>,
    /// The same, to find one among them.
    known: BTreeSet<(String, String)>,
    bytes: usize,
}

/// How much a transaction had said before a savepoint.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    heard: usize,
    said: usize,
}

/// A session among the channels of its server.
#[derive(Clone, Default)]
pub(crate) struct Voice {
    pid: i32,
    channels: Arc<Channels>,
    mailbox: Arc<Mailbox>,
    pending: Arc<Mutex<Pending>>,
    /// What the session listens to since its last commit.
    own: Arc<Mutex<BTreeSet<String>>>,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").finish_non_exhaustive()
    }
}

impl Voice {
    pub(super) fn of(pid: i32, channels: Arc<Channels>) -> Self {
        Self {
            pid,
            channels,
            ..Self::default()
        }
    }

    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        Arc::clone(&self.mailbox)
    }

    /// The channels that the session listens to, by name.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.own.lock().iter().cloned().collect()
    }

    /// Says something when the transaction commits.
    ///
    /// # Errors
    /// 22023 for a channel without a name, and for what is too long; 54000 where a listener has no room left.
    pub(crate) fn say(&self, channel: &str, payload: &str) -> Result<(), ServerError> {
        let invalid = |text: &str| Err(ServerError::new("22023", text));
        if channel.is_empty() {
            return invalid("channel name cannot be empty");
        }
        if channel.len() >= NAME_MAX {
            return invalid("channel name too long");
        }
        if payload.len() >= PAYLOAD_MAX {
            return invalid("payload string too long");
        }
        let mut pending = self.pending.lock();
        let word = (channel.to_owned(), payload.to_owned());
        // Of the same words of one transaction one is heard.
        if pending.known.contains(&word) {
            return Ok(());
        }
        let bytes = pending.bytes + size(channel, payload);
        if bytes > BYTES_MAX || !self.channels.have_room(channel, bytes) {
            let text = "too many notifications in the NOTIFY queue";
            return Err(ServerError::new("54000", text));
        }
        pending.bytes = bytes;
        pending.known.insert(word.clone());
        pending.said.push(word);
        Ok(())
    }

    /// Listens to a channel, or no more, when the transaction commits.
    ///
    /// # Errors
    /// 54000 where there are too many, 22023 for a name that nobody can notify.
    fn hear(&self, channel: Option<&str>, on: bool) -> Result<(), ServerError> {
        let (listening, is_heard) = {
            let own = self.own.lock();
            (
                own.len(),
                channel.is_some_and(|channel| own.contains(channel)),
            )
        };
        let mut pending = self.pending.lock();
        let said = &mut pending.heard;
        match channel {
            // What was said of single channels before does not matter any more, unless it is rolled back to.
            None if !matches!(said.last(), Some((None, false))) => said.push((None, false)),
            None => {}
            Some(channel) if channel.len() >= NAME_MAX => {
                return Err(ServerError::new("22023", "channel name too long"));
            }
            Some(_) if on && is_heard && said.is_empty() => {}
            Some(_) if said.len() + if on { listening } else { 0 } >= CHANNELS_MAX => {
                let text = format!("a session listens to {CHANNELS_MAX} channels at most");
                return Err(ServerError::new("54000", text).hint("UNLISTEN what is not needed."));
            }
            Some(channel) => said.push((Some(channel.to_owned()), on)),
        }
        Ok(())
    }

    pub(super) fn mark(&self) -> Mark {
        let pending = self.pending.lock();
        Mark {
            heard: pending.heard.len(),
            said: pending.said.len(),
        }
    }

    /// Takes back what was said since.
    pub(super) fn back_to(&self, mark: Mark) {
        let mut pending = self.pending.lock();
        pending.heard.truncate(mark.heard);
        pending.said.truncate(mark.said);
        let known = pending.said.iter().cloned().collect();
        pending.known = known;
        let said = pending.said.iter();
        pending.bytes = said.map(|(channel, payload)| size(channel, payload)).sum();
    }

    /// The transaction commits: others hear what it said.
    pub(super) fn commit(&self) {
        let pending = std::mem::take(&mut *self.pending.lock());
        let mut own = self.own.lock();
        for (channel, on) in pending.heard {
            match (on, channel) {
                (true, Some(channel)) => {
                    self.channels.listen(&channel, self.pid, &self.mailbox);
                    own.insert(channel);
                }
                (_, Some(channel)) => {
                    self.channels.unlisten(Some(&channel), self.pid);
                    own.remove(&channel);
                }
                (_, None) => {
                    self.channels.unlisten(None, self.pid);
                    own.clear();
                }
            }
        }
        drop(own);
        for (channel, payload) in pending.said {
            self.channels.deliver(self.pid, channel, payload);
        }
    }
}

impl Session {
    /// LISTEN, and UNLISTEN of one channel or of all.
    ///
    /// # Errors
    /// 54000 for too many channels.
    pub(super) fn hear(&mut self, channel: Option<&str>, on: bool) -> Result<Outcome, ServerError> {
        self.voice.hear(channel, on)?;
        Ok(Outcome::done(if on { "LISTEN" } else { "UNLISTEN" }))
    }

    /// NOTIFY.
    ///
    /// # Errors
    /// As [`Voice::say`].
    pub(super) fn say(&mut self, channel: &str, payload: &str) -> Result<Outcome, ServerError> {
        self.voice.say(channel, payload)?;
        Ok(Outcome::done("NOTIFY"))
    }

    /// Where words to the session arrive.
    pub(crate) fn mailbox(&self) -> Arc<Mailbox> {
        self.voice.mailbox()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_listener_that_takes_nothing_holds_a_bounded_heap() {
        let channels = Arc::new(Channels::default());
        let (deaf, loud) = (
            Voice::of(1, Arc::clone(&channels)),
            Voice::of(2, Arc::clone(&channels)),
        );
        deaf.hear(Some("c"), true).unwrap();
        deaf.commit();
        let mut told = 0;
        let error = loop {
            let said = loud.say("c", &format!("{told:07000}"));
            match said {
                Ok(()) => loud.commit(),
                Err(error) => break error,
            }
            told += 1;
        };
        assert_eq!((error.code(), told > 1_000), ("54000", true));
        assert!(loud.say("nobody listens", "x").is_ok());
        assert_eq!(deaf.mailbox().take().len(), told);
        assert!(loud.say("c", "x").is_ok());
        deaf.hear(None, false).unwrap();
        deaf.commit();
        assert!(deaf.heard().is_empty());
    }

    #[test]
    fn a_session_listens_to_a_bounded_number_of_channels() {
        let channels = Arc::new(Channels::default());
        let voice = Voice::of(1, Arc::clone(&channels));
        let mut heard = 0;
        let error = loop {
            match voice.hear(Some(&format!("c{heard}")), true) {
                Ok(()) => heard += 1,
                Err(error) => break error,
            }
            // Some at once, and some one by one.
            if heard > CHANNELS_MAX / 2 {
                voice.commit();
            }
        };
        assert_eq!((error.code(), heard), ("54000", CHANNELS_MAX));
        assert_eq!(voice.heard().len(), CHANNELS_MAX);
        voice.hear(Some("c0"), true).unwrap();
        voice.hear(Some("c0"), false).unwrap();
        voice.commit();
        voice.hear(Some("another"), true).unwrap();
        voice.hear(None, false).unwrap();
        voice.commit();
        assert!(voice.heard().is_empty() && channels.0.lock().is_empty());
    }

    #[test]
    fn what_is_rolled_back_was_never_said() {
        let voice = Voice::of(1, Arc::default());
        voice.hear(Some("c"), true).unwrap();
        voice.say("c", "kept").unwrap();
        voice.say("c", "kept").unwrap();
        let mark = voice.mark();
        voice.say("c", "gone").unwrap();
        voice.hear(Some("d"), true).unwrap();
        voice.back_to(mark);
        voice.commit();
        let words = voice.mailbox().take();
        let payloads: Vec<&str> = words.iter().map(|word| word.payload.as_str()).collect();
        assert_eq!(payloads, ["kept"]);
        assert_eq!(voice.heard(), ["c"]);
    }
}
