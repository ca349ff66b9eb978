//! Owns: what one endpoint keeps to be handed out again, and the memories of all endpoints.
//! Refuses: handing out a token with less left than is asked for; keeping what landed after an operator cleared all away.
//! Always holds: there is one memory for an endpoint and a provider, whichever configuration is in force. It is locked for a
//! look-up or a change, never while anybody waits.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    super::forwarding::{Failure, ProviderToken},
    Asker, Counts, DropReason, ReuseKey, Settings,
    credentials::AcceptedCredentials,
    fingerprint::Fingerprinting,
    kept::{Kept, without_what_is_good_once},
    shelf::{Shelf, token_fingerprint},
};
use crate::{
    clock::{Moment, UnixTime},
    outbound::Flights,
};

/// How many different questions may be under way for one endpoint. How many of them reach the provider at once is bounded beside.
const MOST_FLIGHTS: usize = 4096;

/// What one endpoint keeps.
pub(super) struct Memory {
    pub(super) fingerprinting: Fingerprinting,
    pub(super) counts: Counts,
    pub(super) flights: Arc<Flights<ReuseKey, Result<Landed, Failure>>>,
    shelf: Mutex<Shelf>,
    /// How many tokens there are, so that a refused token is not hashed where there are none.
    held: AtomicUsize,
    credentials: AcceptedCredentials,
}

/// A kept token, found.
pub(super) struct Found {
    pub(super) token: Arc<ProviderToken>,
    /// In whole seconds.
    pub(super) left: Duration,
    pub(super) is_due: bool,
}

/// What came of a question.
#[derive(Clone)]
pub(super) enum Landed {
    /// The provider's answer.
    Fresh {
        /// For whoever asked.
        token: Arc<ProviderToken>,
        /// For everybody else.
        copy: Arc<ProviderToken>,
    },
    /// Nobody had to be asked.
    Kept {
        /// The token.
        token: Arc<ProviderToken>,
        /// What is left of it, in whole seconds.
        left: Duration,
    },
}

/// A question as it is put to the provider: who asks, for what, and when that was.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) asker: Asker,
    pub(super) key: ReuseKey,
    pub(super) now: UnixTime,
    pub(super) settings: Settings,
}

impl Memory {
    fn new(fingerprinting: Fingerprinting) -> Self {
        Self {
            fingerprinting,
            counts: Counts::default(),
            flights: Flights::new(MOST_FLIGHTS),
            shelf: Mutex::default(),
            held: AtomicUsize::new(0),
            credentials: AcceptedCredentials::new(),
        }
    }

    /// The token kept for a question, if enough is left of it.
    pub(super) fn find(&self, question: Question) -> Option<Found> {
        let Question { key, now, settings, .. } = question;
        if self.held.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut shelf = self.shelf();
        let kept = shelf.find(key)?;
        let left = kept.left(now);
        (left >= settings.min_remaining).then(|| Found {
            token: Arc::clone(kept.token()),
            left: Duration::from_secs(left.as_secs()),
            is_due: kept.is_due(settings, now),
        })
    }

    /// Puts a question to the provider by `ask`, unless the answer is there meanwhile.
    pub(super) async fn answer<F>(self: Arc<Self>, question: Question, ask: Option<F>) -> Result<Landed, Failure>
    where
        F: Future<Output = Result<ProviderToken, Failure>>,
    {
        // Whoever found nothing may have been overtaken by the landing of the very same question.
        if let Some(Found { token, left, is_due: false }) = self.find(question) {
            return Ok(Landed::Kept { token, left });
        }
        let (begun, generation) = (Instant::now(), self.shelf().generation());
        match ask.ok_or(Failure::GivenUp)?.await {
            Ok(token) => Ok(self.land(question, token, begun, generation)),
            Err(failure) => {
                self.note_failure(question, &failure);
                Err(failure)
            }
        }
    }

    /// Takes in what the provider answered to a question that was begun at `begun`.
    fn land(&self, question: Question, token: ProviderToken, begun: Instant, generation: u64) -> Landed {
        let Question { asker, key, now, settings } = question;
        let token = Arc::new(token);
        let copy = without_what_is_good_once(&token);
        let is_new = !self.credentials.are_known(asker, now);
        self.credentials.remember(asker, now);
        let kept = Kept::of(&copy, asker, Moment::noted(token.obtained_at, begun));
        let kept = kept.filter(|kept| kept.left(now) > settings.min_remaining);
        self.change(|shelf| {
            shelf.clear_ended(now);
            // A new credential: whoever has only the one before may be nobody's client any more. Both of two that are used side by
            // side are known soon, and neither ends what the other got.
            if is_new && !shelf.holds(asker) {
                let ended = shelf.remove_client(asker.client, |credential| credential != asker.credential);
                self.counts.drop(DropReason::CredentialChanged, ended);
            }
            if let Some(kept) = kept.filter(|_| shelf.generation() == generation) {
                let gone = shelf.insert(key, kept, &self.fingerprinting, settings.most_bytes);
                self.counts.drop(DropReason::NoRoom, gone);
            }
        });
        Landed::Fresh { token, copy }
    }

    fn note_failure(&self, question: Question, failure: &Failure) {
        let Question { asker, key, now, .. } = question;
        if failure.is_invalid_client() {
            self.credentials.forget(asker);
            let ended = self.change(|shelf| shelf.remove_client(asker.client, |it| it == asker.credential));
            self.counts.drop(DropReason::InvalidClient, ended);
        } else if let Some(kept) = self.shelf().find(key) {
            kept.refresh_failed(now);
        }
    }

    /// Ends the reuse of a token; gives back whether it was kept.
    pub(super) fn drop_token(&self, text: &str, reason: DropReason) -> bool {
        if self.held.load(Ordering::Acquire) == 0 {
            return false;
        }
        let token = token_fingerprint(&self.fingerprinting, text);
        let ended = self.change(|shelf| shelf.remove_token(token));
        self.counts.drop(reason, ended);
        ended > 0
    }

    /// Ends the reuse of all tokens, or of all that a client got, under way ones included; gives back how many were kept.
    pub(super) fn clear(&self, client_id: Option<&str>) -> u64 {
        let client = client_id.map(|client_id| self.client(client_id));
        let ended = self.change(|shelf| shelf.clear(client));
        self.counts.drop(DropReason::Operator, ended);
        ended
    }

    /// What a client is recognised by.
    pub(super) fn client(&self, client_id: &str) -> super::Fingerprint {
        self.fingerprinting.of("client", client_id)
    }

    /// How many tokens are kept, and how many bytes they take, about.
    pub(super) fn size(&self, now: UnixTime) -> (usize, u64) {
        self.change(|shelf| {
            shelf.clear_ended(now);
            (shelf.len(), shelf.bytes())
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelf = self.shelf();
        let changed = change(&mut shelf);
        self.held.store(shelf.len(), Ordering::Release);
        changed
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all endpoints keep. There is one of these for the life of the process, so that a reload forgets nothing.
#[derive(Clone)]
pub struct ReuseMemories {
    /// None if the system has no randomness: then nothing is kept.
    fingerprinting: Option<Fingerprinting>,
    by_owner: Arc<Mutex<HashMap<Owner, Weak<Memory>>>>,
}

/// What a memory belongs to.
#[derive(PartialEq, Eq, Hash)]
struct Owner {
    endpoint: Box<str>,
    provider: Box<str>,
}

impl ReuseMemories {
    /// The memory of `endpoint` for the tokens of `provider`: the living one, or a new one. It goes with the last who
    /// has it.
    pub(super) fn of(&self, endpoint: &str, provider: &str) -> Option<Arc<Memory>> {
        let fingerprinting = self.fingerprinting.as_ref()?;
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        by_owner.retain(|_, memory| memory.strong_count() > 0);
        let owner = Owner { endpoint: endpoint.into(), provider: provider.into() };
        if let Some(memory) = by_owner.get(&owner).and_then(Weak::upgrade) {
            return Some(memory);
        }
        let memory = Arc::new(Memory::new(fingerprinting.clone()));
        by_owner.insert(owner, Arc::downgrade(&memory));
        Some(memory)
    }

    /// Ends the reuse of a token at every endpoint; gives back whether it was kept anywhere.
    pub(in crate::token_endpoint) fn drop_token(&self, text: &str, reason: DropReason) -> bool {
        let living: Vec<_> = {
            let by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
            by_owner.values().filter_map(Weak::upgrade).collect()
        };
        living.iter().fold(false, |dropped, memory| memory.drop_token(text, reason) | dropped)
    }
}

impl Default for ReuseMemories {
    fn default() -> Self {
        Self { fingerprinting: Fingerprinting::new(), by_owner: Arc::default() }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").field("held", &self.held).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReuseMemories {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReuseMemories").finish_non_exhaustive()
    }
}
