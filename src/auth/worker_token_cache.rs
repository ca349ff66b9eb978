//! Owns: the tokens that one worker saw last of those that came more than once, before the shared cache is asked.
//! Refuses: leaving its worker's thread; entries so large that many workers holding them would matter.
//! Always holds: a token has few places, decided by its hash; looking into it takes no lock, and asks nothing that workers share.

use std::{cell::RefCell, fmt, marker::PhantomData, rc::Rc, sync::Arc};

use super::{
    own_tokens::OwnTokens,
    place::Place,
    token_cache::{CachedToken, Counters, Finding, SharedTokenCache},
};
use crate::jose::KnownHeaders;

/// The heaviest entry that is kept here as well: 4096 of them are 32 MiB a worker at most.
const HEAVIEST_BYTES: usize = 8 * 1024;

/// One worker's view of the cache. It stays on its thread.
pub struct WorkerTokenCache {
    shared: Arc<SharedTokenCache>,
    own: RefCell<OwnTokens>,
    counters: Arc<Counters>,
    known_headers: KnownHeaders,
    stays_on_its_thread: PhantomData<Rc<()>>,
}

impl WorkerTokenCache {
    /// An empty one before `shared`.
    #[must_use]
    pub fn new(shared: Arc<SharedTokenCache>) -> Self {
        let counters = shared.register();
        let own = RefCell::new(OwnTokens::new());
        Self { shared, own, counters, known_headers: KnownHeaders::default(), stays_on_its_thread: PhantomData }
    }

    /// The cache behind it.
    #[must_use]
    pub const fn shared(&self) -> &Arc<SharedTokenCache> {
        &self.shared
    }

    /// Where the token belongs, and the token if it is there.
    pub(super) fn find(&self, text: &[u8]) -> (Place, Option<Arc<CachedToken>>) {
        let place = self.shared.place(text);
        let own = self.own.borrow().at(place).filter(|entry| entry.is_of(text)).cloned();
        let found = own.or_else(|| {
            let found = self.shared.find(place, text)?;
            self.keep(place, &found);
            Some(found)
        });
        (place, found)
    }

    /// What `judge` makes of a token that is in this worker's slots. No reference to the entry is counted, which other workers may have
    /// as well.
    pub(super) fn judge_own<T>(&self, text: &[u8], judge: impl FnOnce(&CachedToken) -> Option<T>) -> Option<T> {
        let place = self.shared.place(text);
        let own = self.own.borrow();
        let entry = own.at(place)?;
        entry.verified().fetch();
        if entry.is_of(text) { judge(entry) } else { None }
    }

    /// The headers of tokens that this worker has verified.
    pub(super) const fn known_headers(&self) -> &KnownHeaders {
        &self.known_headers
    }

    /// Keeps a token that has been verified: here and for all, if any worker has verified it before; among the newcomers otherwise.
    pub(super) fn remember(&self, place: Place, text: &[u8], finding: Finding) {
        if self.shared.note(place) {
            let entry = Arc::new(CachedToken::new(text, finding));
            self.keep(place, &entry);
            self.shared.remember(place, entry);
        } else {
            self.shared.welcome(place, text, finding);
        }
    }

    pub(super) fn forget(&self, place: Place) {
        self.own.borrow_mut().remove(place);
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
        self.own.borrow_mut().put(place, Arc::clone(entry));
    }
}

impl fmt::Debug for WorkerTokenCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkerTokenCache").field("shared", &self.shared).finish_non_exhaustive()
    }
}
