//! Owns: what everybody has used at one endpoint, on this replica.
//! Refuses: growing without end: what is given back leaves nothing behind, what is over is swept each hour, and of more holders
//! than [`MOST_HOLDERS`] the newcomers are counted together, which refuses them sooner and nobody else.
//! Always holds: a token is reserved in all windows of all its holders or in none.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    HolderKind, Period,
    holder::Holder,
    standing::{HolderStanding, Standing},
    tally::{Tallies, Windows},
    warnings::Warning,
};
use crate::{clock::UnixTime, token_endpoint::name_hash::NameHash};

/// How many clients, and how many organisations, are counted by themselves.
const MOST_HOLDERS: usize = 65_536;

/// One lock for all: whoever takes it is about to sign a token or to ask a provider for one, which takes a thousand times as long.
#[derive(Debug, Default)]
pub(super) struct Counts {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    clients: Crowd,
    organizations: Crowd,
    /// The hour in which what is over was last let go of.
    swept: u64,
}

/// Holders of one kind.
#[derive(Debug, Default)]
struct Crowd {
    by_key: HashMap<NameHash, Tallies>,
    /// Those that came when there was no more room.
    others: Tallies,
}

/// Where a token is counted.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) holder: Holder,
    pub(super) windows: Windows,
    among_others: bool,
}

impl Counts {
    /// Reserves one token for each of `holders`, unless one of them has used up what it gets; with `enforce` off, in any case.
    pub(super) fn reserve(
        &self,
        holders: Vec<Holder>,
        enforce: bool,
        now: UnixTime,
    ) -> Result<Vec<Place>, Vec<Holder>> {
        let mut held = self.lock();
        held.sweep(now);
        let used_up = |holder: &Holder| {
            let tallies = held.crowd(holder.kind).find(holder.key, now);
            let is_over = |period: &Period| {
                holder.allowance.bound(*period).is_some_and(|bound| tallies.of(*period).is_used_up(bound))
            };
            Period::ALL.iter().any(is_over)
        };
        if enforce && holders.iter().any(used_up) {
            return Err(holders);
        }
        let place = |holder: Holder| {
            let (tallies, among_others) = held.crowd_mut(holder.kind).make_room(holder.key);
            *tallies = tallies.at(now);
            let windows = tallies.reserve();
            Place { holder, windows, among_others }
        };
        Ok(holders.into_iter().map(place).collect())
    }

    /// Gives back what was reserved.
    pub(super) fn release(&self, places: &[Place]) {
        let mut held = self.lock();
        for place in places {
            let crowd = held.crowd_mut(place.holder.kind);
            let Some(tallies) = crowd.of_place(place) else { continue };
            tallies.release(place.windows);
            if tallies.are_empty() && !place.among_others {
                crowd.by_key.remove(&place.holder.key);
            }
        }
    }

    /// Notes that the token was given out; what is to be warned of.
    pub(super) fn keep<'p>(&self, places: &'p [Place]) -> Vec<Warning<'p>> {
        let mut held = self.lock();
        let mut warnings = Vec::new();
        for place in places {
            let Some(tallies) = held.crowd_mut(place.holder.kind).of_place(place) else { continue };
            for period in Period::ALL {
                let (holder, bound) = (&place.holder, place.holder.allowance.bound(period));
                let reached = tallies.keep(place.windows, period, bound);
                let warning = |(quota, (threshold, used))| Warning { holder, period, quota, threshold, used };
                warnings.extend(bound.zip(reached).map(warning));
            }
        }
        warnings
    }

    /// Notes what all replicas have reserved together in one window of `place`.
    pub(super) fn note_together(&self, place: &Place, period: Period, sum: u64) {
        if let Some(tallies) = self.lock().crowd_mut(place.holder.kind).of_place(place) {
            tallies.note_together(place.windows, period, sum);
        }
    }

    /// How matters stand for `holders`.
    pub(super) fn standing(&self, holders: &[Holder], now: UnixTime) -> Standing {
        let held = self.lock();
        let of = |kind| {
            let holder = holders.iter().find(|holder| holder.kind == kind)?;
            let tallies = held.crowd(kind).find(holder.key, now);
            Some(HolderStanding::new(holder.allowance, &tallies, now))
        };
        Standing { client: of(HolderKind::Client), organization: of(HolderKind::Organization) }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn holder_count(&self) -> usize {
        let held = self.lock();
        held.clients.by_key.len() + held.organizations.by_key.len()
    }
}

impl Held {
    const fn crowd(&self, kind: HolderKind) -> &Crowd {
        match kind {
            HolderKind::Client => &self.clients,
            HolderKind::Organization => &self.organizations,
        }
    }

    const fn crowd_mut(&mut self, kind: HolderKind) -> &mut Crowd {
        match kind {
            HolderKind::Client => &mut self.clients,
            HolderKind::Organization => &mut self.organizations,
        }
    }

    /// Lets go of what is over, once an hour.
    fn sweep(&mut self, now: UnixTime) {
        let hour = Period::Hour.window(now);
        if self.swept == hour {
            return;
        }
        self.swept = hour;
        for crowd in [&mut self.clients, &mut self.organizations] {
            crowd.by_key.retain(|_, tallies| !tallies.at(now).are_empty());
            crowd.by_key.shrink_to_fit();
        }
    }
}

impl Crowd {
    fn find(&self, key: NameHash, now: UnixTime) -> Tallies {
        let found = self.by_key.get(&key).copied();
        let others = || if self.is_full() { self.others } else { Tallies::default() };
        found.unwrap_or_else(others).at(now)
    }

    /// Those of `key`, and whether it has to share them.
    fn make_room(&mut self, key: NameHash) -> (&mut Tallies, bool) {
        if self.is_full() && !self.by_key.contains_key(&key) {
            return (&mut self.others, true);
        }
        (self.by_key.entry(key).or_default(), false)
    }

    fn of_place(&mut self, place: &Place) -> Option<&mut Tallies> {
        if place.among_others { Some(&mut self.others) } else { self.by_key.get_mut(&place.holder.key) }
    }

    fn is_full(&self) -> bool {
        self.by_key.len() >= MOST_HOLDERS
    }
}

#[cfg(test)]
mod tests;
