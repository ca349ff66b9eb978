//! Owns: what was reserved for one token.
//! Always holds: it is given back when this is dropped, unless the token was issued; also to the other replicas, whether or not
//! whoever asked for the token is still there.

use std::{mem, sync::Arc};

use super::{
    Quota, QuotaExceeded,
    counts::Place,
    together::{Together, bounded},
};
use crate::clock::UnixTime;

/// What was reserved for one token. It is given back when this is dropped, unless it was [`Spent::kept`].
#[derive(Debug, Default)]
pub struct Spent {
    reserved: Option<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    quota: Arc<Quota>,
    places: Vec<Place>,
    at: UnixTime,
    /// Where it was counted as well.
    together: Option<Together>,
}

impl Spent {
    pub(super) const fn new(quota: Arc<Quota>, places: Vec<Place>, at: UnixTime) -> Self {
        Self { reserved: Some(Reserved { quota, places, at, together: None }) }
    }

    /// The token was issued, and the client is who it said.
    pub fn kept(mut self) {
        let Some(Reserved { quota, places, .. }) = mem::take(&mut self.reserved) else { return };
        let memory = &quota.memory;
        for warning in memory.counts.keep(&places) {
            memory.warnings.warn(&quota.endpoint, &warning);
        }
    }

    /// Counts it together with the other replicas, too. If nobody answers, what was counted here stands.
    pub(super) async fn also(mut self, together: Together) -> Result<Self, Box<QuotaExceeded>> {
        let Some(reserved) = &mut self.reserved else { return Ok(self) };
        let (quota, places, at) = (Arc::clone(&reserved.quota), &reserved.places, reserved.at);
        let Ok(sums) = together.reserve(&quota.endpoint, places, at).await else { return Ok(self) };
        let mut is_exceeded = false;
        for ((place, period, bound), sum) in bounded(places).zip(sums) {
            quota.memory.counts.note_together(place, period, sum);
            is_exceeded |= sum > bound;
        }
        let holders: Vec<_> = places.iter().map(|place| place.holder.clone()).collect();
        reserved.together = Some(together);
        if !(is_exceeded && quota.enforce) {
            return Ok(self);
        }
        // Given back before it is told what is left.
        drop(self);
        Err(Box::new(quota.exceeded(&holders, at)))
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        let Some(Reserved { quota, places, at, together }) = mem::take(&mut self.reserved) else { return };
        quota.memory.counts.release(&places);
        if let Some(together) = together {
            together.release(&quota.endpoint, &places, at);
        }
    }
}
