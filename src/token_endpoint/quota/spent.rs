//! Owns: what was reserved for one token.
//! Always holds: it is given back when this is dropped, unless the token was issued.

use std::{mem, sync::Arc};

use super::{Quota, counts::Place};

/// What was reserved for one token. It is given back when this is dropped, unless it was [`Spent::kept`].
#[derive(Debug, Default)]
pub struct Spent {
    reserved: Option<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    quota: Arc<Quota>,
    places: Vec<Place>,
}

impl Spent {
    pub(super) const fn new(quota: Arc<Quota>, places: Vec<Place>) -> Self {
        Self { reserved: Some(Reserved { quota, places }) }
    }

    /// The token was issued, and the client is who it said.
    pub fn kept(mut self) {
        let Some(Reserved { quota, places }) = mem::take(&mut self.reserved) else { return };
        let memory = &quota.memory;
        for (holder, of, reached) in memory.counts.keep(&places) {
            memory.warnings.warn(&quota.endpoint, holder, of, reached);
        }
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        if let Some(Reserved { quota, places }) = mem::take(&mut self.reserved) {
            quota.memory.counts.release(&places);
        }
    }
}
