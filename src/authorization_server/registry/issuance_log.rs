//! Owns: recording issued tokens before they are answered, many in one commit.
//! Refuses: a token while more wait than could be recorded in a few seconds: its client is told to come back.
//! Always holds: whoever was told that a token is recorded will find it after a crash.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::DialectConfig,
    store::{IssuedToken, Store, StoreError},
};

/// How many tokens may wait to be recorded.
const QUEUE: usize = 16 * 1024;
/// The most tokens recorded in one commit.
const MOST_IN_ONE_COMMIT: usize = 512;
/// How long a token may wait to be recorded. Longer than the store itself takes to give up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes down what is issued.
#[derive(Debug)]
pub(super) struct IssuanceLog {
    queue: mpsc::Sender<Entry>,
    counts: [(&'static str, AtomicU64); DialectConfig::ALL.len()],
}

/// A token that waits, and who waits for it.
struct Entry {
    token: IssuedToken,
    recorded: oneshot::Sender<Result<(), Unrecorded>>,
}

/// Why a token was not recorded, and is therefore not answered.
#[derive(Clone, Debug, Error)]
pub enum Unrecorded {
    /// The store did not take it.
    #[error("the token could not be recorded")]
    Store(#[source] Arc<StoreError>),
    /// Too many wait, or waited too long.
    #[error("more tokens are asked for than can be recorded")]
    Overloaded,
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

impl IssuanceLog {
    /// One whose commits are made on `control`. It ends when it is dropped.
    pub(super) fn start(store: Store, control: &Handle) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        control.spawn(record(store, waiting));
        let counts = DialectConfig::ALL.map(|dialect| (dialect.name(), AtomicU64::new(0)));
        Self { queue, counts }
    }

    /// Records `token`, and returns once it is durable.
    pub(super) async fn record(&self, token: IssuedToken) -> Result<(), Unrecorded> {
        let (recorded, answer) = oneshot::channel();
        let count = self.counts.iter().find(|(dialect, _)| *dialect == token.dialect).map(|(_, count)| count);
        self.queue.try_send(Entry { token, recorded }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Unrecorded::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Unrecorded::Stopping,
        })?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(outcome)) => {
                if let (Ok(()), Some(count)) = (&outcome, count) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                outcome
            }
            Ok(Err(_gone)) => Err(Unrecorded::Stopping),
            Err(_elapsed) => Err(Unrecorded::Overloaded),
        }
    }

    /// How many tokens were recorded here, by dialect.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(dialect, count)| (*dialect, count.load(Ordering::Relaxed)))
    }
}

/// Writes down what waits, as much of it in one commit as came while the one before was made.
async fn record(store: Store, mut waiting: mpsc::Receiver<Entry>) {
    let mut entries = Vec::with_capacity(MOST_IN_ONE_COMMIT);
    while waiting.recv_many(&mut entries, MOST_IN_ONE_COMMIT).await > 0 {
        let (tokens, callers): (Vec<_>, Vec<_>) = entries.drain(..).map(|entry| (entry.token, entry.recorded)).unzip();
        let outcome = store.record_issued(&tokens).await;
        if outcome.as_ref().is_err_and(|error| !error.is_unavailable()) {
            // One of them cannot be recorded, which is no matter of the others.
            for (token, caller) in tokens.iter().zip(callers) {
                let alone = store.record_issued(std::slice::from_ref(token)).await;
                let _ = caller.send(alone.map_err(|error| Unrecorded::Store(Arc::new(error))));
            }
            continue;
        }
        let outcome = outcome.map_err(|error| Unrecorded::Store(Arc::new(error)));
        if let Err(unrecorded) = &outcome {
            // Whoever came meanwhile has waited for the same store; waiting for it to fail again would be for nothing.
            while let Ok(entry) = waiting.try_recv() {
                let _ = entry.recorded.send(Err(unrecorded.clone()));
            }
        }
        for caller in callers {
            // Who has left gets no token; it lasts, recorded, until it expires.
            let _ = caller.send(outcome.clone());
        }
    }
}
