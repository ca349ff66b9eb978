//! Owns: the tokens that one worker saw last, before the shared cache is asked.
//! Refuses: leaving its worker's thread; entries so large that many workers holding them would matter.
//! Always holds: one slot a token, decided by its hash; looking into it takes no lock.

use std::{cell::RefCell, fmt, marker::PhantomData, rc::Rc, sync::Arc};

use super::token_cache::{CachedToken, Counters, Place, SharedTokenCache};
use crate::jose::KnownHeaders;

/// How many tokens a worker keeps; a power of two.
const SLOTS: usize = 4096;
/// The heaviest entry that is kept here as well: 4096 of them are 32 MiB a worker at most.
const HEAVIEST_BYTES: usize = 8 * 1024;

/// One worker's view of the cache. It stays on its thread.
pub struct WorkerTokenCache {
    shared: Arc<SharedTokenCache>,
    slots: RefCell<Box<[Option<Arc<CachedToken>>]>>,
    counters: Arc<Counters>,
    known_headers: KnownHeaders,
    stays_on_its_thread: PhantomData<Rc<()>>,
}

impl WorkerTokenCache {
    /// An empty one before `shared`.
    #[must_use]
    pub fn new(shared: Arc<SharedTokenCache>) -> Self {
        let counters = shared.register();
        let slots = RefCell::new(vec![None; SLOTS].into_boxed_slice());
        Self { shared, slots, counters, known_headers: KnownHeaders::default(), stays_on_its_thread: PhantomData }
    }

    /// The cache behind it.
    #[must_use]
    pub const fn shared(&self) -> &Arc<SharedTokenCache> {
        &self.shared
    }

    /// Where the token belongs, and the token if it is there.
    pub(super) fn find(&self, text: &str) -> (Place, Option<Arc<CachedToken>>) {
        let text = text.as_bytes();
        let place = self.shared.place(text);
        let own =
            self.slots.borrow().get(slot(place)).and_then(Option::as_ref).filter(|entry| entry.is_of(text)).cloned();
        let found = own.or_else(|| {
            let found = self.shared.find(place, text)?;
            self.keep(place, &found);
            Some(found)
        });
        (place, found)
    }

    /// What `judge` makes of a token that the worker itself has seen. No reference to the entry is counted, which other workers may
    /// have as well.
    pub(super) fn judge_own<T>(&self, text: &[u8], judge: impl FnOnce(&CachedToken) -> Option<T>) -> Option<T> {
        let slots = self.slots.borrow();
        let entry = slots.get(slot(self.shared.place(text)))?.as_deref()?;
        if entry.is_of(text) { judge(entry) } else { None }
    }

    /// The headers of tokens that this worker has verified.
    pub(super) const fn known_headers(&self) -> &KnownHeaders {
        &self.known_headers
    }

    pub(super) fn remember(&self, place: Place, entry: CachedToken) {
        let entry = Arc::new(entry);
        self.keep(place, &entry);
        self.shared.remember(place, entry);
    }

    pub(super) fn forget(&self, place: Place) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot(place)) {
            *slot = None;
        }
        self.shared.forget(place);
    }

    pub(super) fn note_hit(&self) {
        Counters::add(&self.counters.hits);
    }

    pub(super) fn note_miss(&self) {
        Counters::add(&self.counters.misses);
    }

    fn keep(&self, place: Place, entry: &Arc<CachedToken>) {
        if entry.weight_bytes() > HEAVIEST_BYTES {
            return;
        }
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot(place)) {
            *slot = Some(Arc::clone(entry));
        }
    }
}

impl fmt::Debug for WorkerTokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkerTokenCache").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// The low bits of the hash choose the slot.
#[expect(clippy::cast_possible_truncation, reason = "only the low bits matter")]
const fn slot(place: Place) -> usize {
    place.0 as usize & (SLOTS - 1)
}
