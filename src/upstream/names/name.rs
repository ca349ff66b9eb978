//! Owns: one name of an upstream: what is known of its addresses, and who is told of them.
//! Refuses: asking the kernel anything while somebody waits to read what is known.
//! Always holds: what was found stays until something else is found.

use std::{
    mem,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    super::{
        Upstream,
        endpoint::{Description, Endpoint},
        room::Room,
        tick::Tick,
    },
    Family, LookupError, Resolver,
    pace::backoff,
    usable::{self, MOST_ADDRESSES},
};

/// A name among the endpoints of an upstream.
#[derive(Debug)]
pub(in crate::upstream) struct Name {
    place: Place,
    /// Host and port as they are written.
    label: Arc<str>,
    host: Box<str>,
    description: Description,
    resolver: Arc<Resolver>,
    known: Mutex<Known>,
    counts: Counts,
}

/// The upstream that a name belongs to.
#[derive(Debug)]
pub(in crate::upstream) struct Place {
    /// What it is called.
    pub(in crate::upstream) upstream: Arc<str>,
    /// Where requests wait for its endpoints.
    pub(in crate::upstream) room: Arc<Room>,
    /// Whether it had endpoints before this name was written.
    pub(in crate::upstream) is_in_use: bool,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    ipv4: Vec<IpAddr>,
    ipv6: Vec<IpAddr>,
    endpoints: Arc<[Arc<Endpoint>]>,
    /// Why the last lookup gave nothing, and how many before it in a row gave nothing either.
    failure: Option<(LookupError, u32)>,
    /// Those whose lists of endpoints depend on it.
    followers: Vec<Weak<Upstream>>,
}

#[derive(Debug, Default)]
struct Counts {
    found: AtomicU64,
    no_address: AtomicU64,
    failed: AtomicU64,
}

/// What an operator may know of a name.
#[derive(Clone, Debug)]
pub struct NameStatus {
    /// Host and port as they are written.
    pub name: Arc<str>,
    /// How many addresses are in use.
    pub addresses: usize,
    /// How often it was looked up so far, by how that ended: `found`, `no_address`, `failed`.
    pub lookups: [(&'static str, u64); 3],
}

impl Name {
    /// The name `host`; `before` are the endpoints that it is known to have.
    pub(in crate::upstream) fn new(
        place: Place,
        host: &str,
        description: Description,
        resolver: Arc<Resolver>,
        before: Arc<[Arc<Endpoint>]>,
    ) -> Arc<Self> {
        let addresses = || before.iter().map(|endpoint| endpoint.ip());
        let known = Known {
            ipv4: addresses().filter(IpAddr::is_ipv4).collect(),
            ipv6: addresses().filter(IpAddr::is_ipv6).collect(),
            endpoints: before,
            ..Known::default()
        };
        Arc::new(Self {
            place,
            label: description.address.to_string().into(),
            host: host.into(),
            description,
            resolver,
            known: Mutex::new(known),
            counts: Counts::default(),
        })
    }

    /// Host and port as they are written.
    pub(in crate::upstream) const fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(in crate::upstream) const fn description(&self) -> &Description {
        &self.description
    }

    /// Whether it is looked up by this very resolver.
    pub(in crate::upstream) fn is_looked_up_by(&self, resolver: &Arc<Resolver>) -> bool {
        Arc::ptr_eq(&self.resolver, resolver)
    }

    /// An endpoint for each of its addresses, ordered by address.
    pub(in crate::upstream) fn endpoints(&self) -> Arc<[Arc<Endpoint>]> {
        Arc::clone(&self.known().endpoints)
    }

    /// Why the last lookup gave nothing, if it gave nothing.
    pub(super) fn failure(&self) -> Option<LookupError> {
        self.known().failure.as_ref().map(|(error, _)| error.clone())
    }

    pub(in crate::upstream) fn status(&self) -> NameStatus {
        NameStatus {
            name: Arc::clone(&self.label),
            addresses: self.known().endpoints.len(),
            lookups: [
                ("found", self.counts.found.load(Relaxed)),
                ("no_address", self.counts.no_address.load(Relaxed)),
                ("failed", self.counts.failed.load(Relaxed)),
            ],
        }
    }

    /// Tells `upstream` from now on of what is found. Doing so again does nothing.
    pub(in crate::upstream) fn tell(&self, upstream: &Arc<Upstream>) {
        let mut known = self.known();
        known.followers.retain(|follower| follower.strong_count() > 0);
        if !known.followers.iter().any(|follower| Weak::as_ptr(follower) == Arc::as_ptr(upstream)) {
            known.followers.push(Arc::downgrade(upstream));
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the name up once, and gives when to do so again.
    pub(super) async fn refresh(&self) -> Instant {
        let looked_up = self.resolver.look_up(&self.host, |family, found| self.learn(family, found)).await;
        match looked_up {
            Ok(good_until) => {
                self.counts.found.fetch_add(1, Relaxed);
                good_until
            }
            Err(error) => Instant::now() + self.note_failure(error),
        }
    }

    /// These are its addresses of one family now.
    pub(in crate::upstream) fn learn(&self, family: Family, mut found: Vec<IpAddr>) {
        let mut left_out = found.len().saturating_sub(MOST_ADDRESSES);
        found.truncate(MOST_ADDRESSES);
        let mut known = self.known();
        let own = match family {
            Family::Ipv4 => &mut known.ipv4,
            Family::Ipv6 => &mut known.ipv6,
        };
        *own = found;
        let all = known.ipv4.iter().chain(&known.ipv6).copied().collect();
        // The kernel is asked of every address: nobody is to wait for that.
        drop(known);
        let mut addresses = usable::reachable(all, usable::has_route);
        left_out = left_out.saturating_add(addresses.len().saturating_sub(MOST_ADDRESSES));
        addresses.truncate(MOST_ADDRESSES);
        let mut known = self.known();
        let failed_before = known.failure.take().is_some();
        let same = known.endpoints.iter().map(|endpoint| endpoint.ip()).eq(addresses.iter().copied());
        if !same {
            let of_before = mem::take(&mut known.endpoints);
            let endpoint = |address: &IpAddr| {
                let stays = of_before.iter().find(|endpoint| endpoint.ip() == *address).map(Arc::clone);
                stays.unwrap_or_else(|| self.endpoint(*address))
            };
            known.endpoints = addresses.iter().map(endpoint).collect();
        }
        drop(known);
        let (upstream, name) = (&self.place.upstream, &self.label);
        if failed_before {
            info!(%upstream, %name, "the name can be looked up again");
        }
        if !same {
            info!(%upstream, %name, ?addresses, "the name has these addresses");
            if left_out > 0 {
                warn!(%upstream, %name, left_out, "a name can have {MOST_ADDRESSES} addresses: the others are not used");
            }
            self.tell_followers();
        }
    }

    /// An endpoint at a new address. One that joins others gets its share of requests little by little; those that a start finds do not.
    fn endpoint(&self, address: IpAddr) -> Arc<Endpoint> {
        let endpoint = Endpoint::new(self.description.clone(), address, Arc::clone(&self.place.room));
        if self.place.is_in_use || self.counts.found.load(Relaxed) > 0 {
            endpoint.availability().begin_anew(Tick::now());
        }
        endpoint
    }

    /// The lookup gave nothing: what is known stays.
    pub(in crate::upstream) fn note_failure(&self, error: LookupError) -> Duration {
        let count = if matches!(error, LookupError::NoAddress) { &self.counts.no_address } else { &self.counts.failed };
        count.fetch_add(1, Relaxed);
        let mut known = self.known();
        let failures = known.failure.as_ref().map_or(0, |(_, failures)| *failures).saturating_add(1);
        known.failure = Some((error.clone(), failures));
        let kept = known.endpoints.len();
        drop(known);
        if failures == 1 {
            let (upstream, name) = (&self.place.upstream, &self.label);
            let error = &error as &dyn std::error::Error;
            warn!(%upstream, %name, error, kept, "the name could not be looked up; the addresses found before stay in use");
        }
        // Those who wait for a first address need not wait any longer.
        self.tell_followers();
        backoff(failures, &mut rand::rng())
    }

    fn tell_followers(&self) {
        let followers: Vec<Arc<Upstream>> = self.known().followers.iter().filter_map(Weak::upgrade).collect();
        for follower in followers {
            follower.members.rebuild();
        }
    }
}
