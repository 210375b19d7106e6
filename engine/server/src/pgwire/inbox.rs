//! What a client sends, read ahead of its answers as far as there is room, and whether the client is still there.
//!
//! ```text
//! socket ─► [buffer] ─► frame ─► room (messages, bytes) and memory ─► channel ─► session
//! ```
//! Whoever sends more than the session answers is read no further until it did: the rest waits in the kernel, as with
//! PostgreSQL. Its connection is watched all the same, so that the statement of a client that is gone ends.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::incoming::{self, Incoming};
use super::socket::{Reader, Tcp};
use crate::sqlstate::ServerError;

/// Messages that wait for their turn.
const MESSAGES_MAX: usize = 64;
/// Their bytes; a longer message waits alone.
const BYTES_MAX: u32 = 1 << 20;
/// Bytes of a message that are not taken from the server's memory.
const UNCOUNTED_MAX: usize = 1 << 20;
/// Bytes by which the memory of a message grows as it comes.
const STEP_BYTES: usize = 1 << 20;
/// Room for what the socket is asked for at a time.
const READ_BYTES: usize = 16 << 10;
/// Messages that may be looked at before their turn.
pub(super) const LOOKED_AT_MAX: usize = 64;

/// A message, or why there will be no more.
pub(super) type Arrived = Result<Incoming, ServerError>;

/// A message, and the room that it takes until it is received.
type Waiting = Result<(Incoming, OwnedSemaphorePermit), ServerError>;

/// The messages of a client in their order.
pub(super) struct Inbox {
    waiting: mpsc::Receiver<Waiting>,
    /// Messages that were looked at before their turn; None: the client hung up.
    ahead: VecDeque<Option<Arrived>>,
}

/// What messages come from, and whom it concerns.
pub(super) struct Ends {
    /// The client's bytes.
    pub(super) socket: Reader,
    /// The connection below, to be watched.
    pub(super) tcp: Tcp,
    /// Bytes that came with the start-up.
    pub(super) begun: BytesMut,
    /// What long messages take their memory from.
    pub(super) pool: Option<Arc<dyn MemoryPool>>,
    /// The longest message that the role may send; None: as long as messages may be.
    pub(super) most: Option<usize>,
    /// Told when the client is gone.
    pub(super) hangup: CancellationToken,
}

/// An inbox, and what fills it until the client hangs up.
pub(super) fn open(ends: Ends) -> (Inbox, impl Future<Output = ()> + Send) {
    let (sender, waiting) = mpsc::channel(MESSAGES_MAX);
    let filling = Filling {
        ends,
        sender,
        room: Arc::new(Semaphore::new(usize::try_from(BYTES_MAX).unwrap_or(1))),
    };
    let inbox = Inbox {
        waiting,
        ahead: VecDeque::new(),
    };
    (inbox, filling.run())
}

impl Inbox {
    /// The next message; None: the client hung up.
    pub(super) async fn next(&mut self) -> Option<Arrived> {
        match self.ahead.pop_front() {
            Some(message) => message,
            None => self.receive().await,
        }
    }

    /// The kind of the message that comes `place` messages after the next; None for the end and for what is no message.
    pub(super) async fn look(&mut self, place: usize) -> Option<u8> {
        while self.ahead.len() <= place {
            let next = self.receive().await;
            self.ahead.push_back(next);
        }
        match self.ahead.get(place) {
            Some(Some(Ok(incoming))) => incoming.message.is_ok().then_some(incoming.kind),
            _ => None,
        }
    }

    /// Lets the next message come: this one waits no more.
    async fn receive(&mut self) -> Option<Arrived> {
        let waiting = self.waiting.recv().await?;
        Some(waiting.map(|(incoming, _room)| incoming))
    }
}

/// Why no more is read.
enum End {
    /// The client hung up.
    Gone,
    /// What came is no message.
    Refused(ServerError),
    /// The session ended.
    Unwanted,
}

struct Filling {
    ends: Ends,
    sender: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Filling {
    async fn run(mut self) {
        match self.fill().await {
            Err(End::Gone) => self.ends.hangup.cancel(),
            Err(End::Refused(error)) => {
                let _ = while_there(&self.ends.tcp, self.sender.send(Err(error))).await;
            }
            Err(End::Unwanted) => {}
        }
    }

    async fn fill(&mut self) -> Result<Infallible, End> {
        loop {
            let frame = incoming::frame(&self.ends.begun).map_err(End::Refused)?;
            let Some((kind, bytes)) = frame else {
                self.read(READ_BYTES).await?;
                continue;
            };
            let places = u32::try_from(bytes).unwrap_or(BYTES_MAX).min(BYTES_MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(places);
            let room = while_there(&self.ends.tcp, room).await?;
            let room = room.map_err(|_closed| End::Unwanted)?;
            let incoming = match self.whole(bytes).await? {
                Ok(memory) => Incoming {
                    kind,
                    message: incoming::take(&mut self.ends.begun, bytes),
                    memory,
                },
                Err(error) => {
                    self.skip(bytes).await?;
                    Incoming {
                        kind,
                        message: Err(error),
                        memory: None,
                    }
                }
            };
            let sent = self.sender.send(Ok((incoming, room)));
            let sent = while_there(&self.ends.tcp, sent).await?;
            sent.map_err(|_dropped| End::Unwanted)?;
        }
    }

    /// Reads a message of so many bytes, with the memory that it takes, or says why there is none. What a client has
    /// announced and not sent takes no memory from others.
    async fn whole(
        &mut self,
        bytes: usize,
    ) -> Result<Result<Option<MemoryReservation>, ServerError>, End> {
        let refused = |hint: &str| {
            let error = ServerError::new("53200", "out of memory");
            let error = error.detail(format!("Failed on a message of {bytes} bytes."));
            Ok(Err(error.hint(hint)))
        };
        if self
            .ends
            .most
            .is_some_and(|most| bytes > most.max(UNCOUNTED_MAX))
        {
            return refused("It is longer than the memory that the role may take.");
        }
        let pool = self.ends.pool.as_ref().filter(|_| bytes > UNCOUNTED_MAX);
        let memory = pool.map(|pool| MemoryConsumer::new("message").register(pool));
        loop {
            let there = self.ends.begun.len();
            if let Some(memory) = &memory {
                let wanted = bytes.min(there.saturating_add(STEP_BYTES));
                let more = wanted.saturating_sub(memory.size());
                if more > 0 && memory.try_grow(more).is_err() {
                    return refused(
                        "The server's queries hold its memory; send less at a time, or try again.",
                    );
                }
            }
            if there >= bytes {
                return Ok(Ok(memory));
            }
            self.read((bytes - there).min(STEP_BYTES)).await?;
        }
    }

    /// Reads what there is, with room for `bytes`.
    async fn read(&mut self, bytes: usize) -> Result<(), End> {
        let buffer = &mut self.ends.begun;
        if buffer.capacity() - buffer.len() < bytes.min(READ_BYTES / 4) {
            buffer.reserve(bytes.max(READ_BYTES));
        }
        match self.ends.socket.read_buf(buffer).await {
            Ok(0) | Err(_) => Err(End::Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Drops the next `bytes`.
    async fn skip(&mut self, mut bytes: usize) -> Result<(), End> {
        loop {
            let now = bytes.min(self.ends.begun.len());
            self.ends.begun.advance(now);
            bytes -= now;
            if bytes == 0 {
                return Ok(());
            }
            self.read(READ_BYTES).await?;
        }
    }
}

/// What `work` comes to, unless the client goes before.
async fn while_there<T>(tcp: &Tcp, work: impl Future<Output = T>) -> Result<T, End> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = tcp.closed() => Err(End::Gone),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// An inbox, its client, and the token of its hang-up.
    async fn opened(pool: usize) -> (Inbox, TcpStream, CancellationToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let tcp = Tcp::new(listener.accept().await.unwrap().0);
        let hangup = CancellationToken::new();
        let (inbox, filling) = open(Ends {
            socket: Box::new(tcp.clone()),
            tcp,
            begun: BytesMut::new(),
            pool: Some(Arc::new(GreedyMemoryPool::new(pool))),
            most: None,
            hangup: hangup.clone(),
        });
        tokio::spawn(filling);
        (inbox, client, hangup)
    }

    fn query(bytes: usize) -> Vec<u8> {
        let text = "x".repeat(bytes);
        let length = u32::try_from(bytes + 5).unwrap();
        [b"Q", &length.to_be_bytes()[..], text.as_bytes(), b"\0"].concat()
    }

    #[tokio::test]
    async fn what_nobody_takes_is_not_read() {
        let (mut inbox, mut client, _) = opened(1 << 30).await;
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let sending = tokio::spawn(async move {
            for _ in 0..100 {
                client.write_all(&query(1 << 20)).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
            client
        });
        let mut before = usize::MAX;
        while before != sent.load(Ordering::Relaxed) {
            before = sent.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        // One waits, one is on its way, the rest is what the kernel holds for both ends.
        assert!(before < 30, "{before} of 1 MiB were taken");
        for _ in 0..100 {
            let incoming = inbox.next().await.unwrap().unwrap();
            assert!(incoming.message.is_ok());
        }
        drop(sending.await.unwrap());
        assert!(inbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_missed_behind_what_it_sent() {
        let (mut inbox, mut client, hangup) = opened(1 << 30).await;
        for _ in 0..3 * MESSAGES_MAX {
            client.write_all(&query(10)).await.unwrap();
        }
        let waited = tokio::time::timeout(Duration::from_millis(300), hangup.cancelled()).await;
        assert!(waited.is_err(), "it is there");
        drop(client);
        let missed = tokio::time::timeout(Duration::from_secs(5), hangup.cancelled()).await;
        assert!(missed.is_ok());
        assert!(inbox.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_message_without_memory_fails_alone() {
        let (mut inbox, mut client, _) = opened(3 << 20).await;
        let long = query(2 << 20);
        for message in [&long, &query(4 << 20), &query(7), &long] {
            client.write_all(message).await.unwrap();
            let incoming = inbox.next().await.unwrap().unwrap();
            match (message.len() > 3 << 20, &incoming.message) {
                (true, Err(error)) => assert_eq!(error.code(), "53200"),
                (false, Ok(_)) => {}
                (_, other) => panic!("{other:?}"),
            }
            assert_eq!(
                incoming.memory.is_some(),
                message.len() == long.len(),
                "what is worked on is counted"
            );
        }
    }

    #[tokio::test]
    async fn what_is_announced_and_not_sent_takes_no_memory_from_others() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(64 << 20));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..8 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await;
            let tcp = Tcp::new(listener.accept().await.unwrap().0);
            let (inbox, filling) = open(Ends {
                socket: Box::new(tcp.clone()),
                tcp,
                begun: BytesMut::new(),
                pool: Some(Arc::clone(&pool)),
                most: None,
                hangup: CancellationToken::new(),
            });
            tokio::spawn(filling);
            let mut client = client.unwrap();
            client.write_all(&query(40 << 20)[..6]).await.unwrap();
            clients.push((client, inbox));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let reserved = pool.reserved();
        assert!(reserved <= 9 << 20, "{reserved} are taken");
        let (client, inbox) = &mut clients[0];
        let long = query(40 << 20);
        let sending = client.write_all(&long[6..]);
        let (sent, received) = tokio::join!(sending, inbox.next());
        sent.unwrap();
        assert!(received.unwrap().unwrap().message.is_ok());
    }

    #[tokio::test]
    async fn what_is_looked_at_comes_in_its_turn() {
        let (mut inbox, mut client, _) = opened(1 << 30).await;
        client.write_all(b"H\0\0\0\x04S\0\0\0\x04").await.unwrap();
        client.write_all(&query(3)).await.unwrap();
        let looked = [
            inbox.look(2).await,
            inbox.look(0).await,
            inbox.look(1).await,
        ];
        assert_eq!(looked, [Some(b'Q'), Some(b'H'), Some(b'S')]);
        for kind in *b"HSQ" {
            assert_eq!(inbox.next().await.unwrap().unwrap().kind, kind);
        }
    }
}
