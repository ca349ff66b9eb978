//! Owns: how an upstream watches its endpoints: what its configuration asks for, and what is remembered of all of them together.
//! Refuses: leaving alone more endpoints than allowed, however many workers find one at fault at the same time.
//! Always holds: with nothing to watch, choosing an endpoint looks at no clock and at no endpoint's past.

use std::{
    sync::{
        Arc, Mutex, OnceLock, TryLockError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};
use tracing::{info, warn};

use super::{
    Outcome,
    address::{Address, Host},
    availability::{Glance, Standing},
    balance::Members,
    endpoint::Endpoint,
    health::Health,
    outlier::Outlier,
    tick::Tick,
};
use crate::{
    config::{BalanceConfig, HumanDuration, UpstreamConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// How an upstream watches its endpoints.
#[derive(Debug)]
pub(super) struct Vigilance {
    pub(super) health: Option<Arc<Health>>,
    pub(super) outlier: Option<Outlier>,
    pub(super) slow_start: Option<Duration>,
    pub(super) lasting: Arc<Lasting>,
}

/// What outlives reloads with the upstream's name.
#[derive(Debug)]
pub(super) struct Lasting {
    upstream: Arc<str>,
    /// Held by the one who puts an endpoint out, so that no two of them count the same ones. Nobody waits for it.
    ejecting: Mutex<()>,
    /// Whether no endpoint was available when one was last chosen.
    none_available: AtomicBool,
    control: OnceLock<Handle>,
}

impl Vigilance {
    /// Compiles what `raw`, the upstream `name` at `path`, wants its endpoints to be watched by. `lasting` is what was remembered of them
    /// before.
    pub(super) fn compile(
        name: &str,
        raw: &UpstreamConfig,
        lasting: Option<&Arc<Lasting>>,
        (path, diagnostics): (&KeyPath, &mut Diagnostics),
    ) -> Option<Self> {
        let errors_before = diagnostics.error_count();
        let health = raw.health.as_ref().and_then(|health| Health::compile(health, &path.key("health"), diagnostics));
        let outlier =
            raw.outlier.as_ref().and_then(|outlier| Outlier::compile(outlier, &path.key("outlier"), diagnostics));
        let slow_start =
            raw.slow_start.and_then(|slow_start| above_zero(slow_start, &path.key("slow_start"), diagnostics));
        if outlier.is_some() && is_one_address(raw) {
            let remedy = "add another endpoint, or take the table out";
            diagnostics.warning(&path.key("outlier"), "the only endpoint there is is never left alone", remedy);
        }
        if slow_start.is_some() && matches!(raw.balance, BalanceConfig::Hash(_)) {
            let remedy = "take the key out, or choose endpoints by `least_requests` or `round_robin`";
            let message = "requests that a hash ties to an endpoint are sent there from the beginning";
            diagnostics.warning(&path.key("slow_start"), message, remedy);
        }
        let lasting = lasting.map_or_else(|| Lasting::new(name.into()), Arc::clone);
        let is_good = diagnostics.error_count() == errors_before;
        is_good.then(|| Self { health: health.map(Arc::new), outlier, slow_start, lasting })
    }

    /// Whether both ask for the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.health == other.health && self.outlier == other.outlier && self.slow_start == other.slow_start
    }

    /// What endpoints are to be judged by now; nothing if they are not judged.
    pub(super) fn glance(&self) -> Option<Glance> {
        let is_vigilant = self.health.is_some() || self.outlier.is_some() || self.slow_start.is_some();
        is_vigilant.then(|| Glance {
            now: Tick::now(),
            health: self.health.is_some(),
            outlier: self.outlier.is_some(),
            slow_start: self.slow_start,
        })
    }

    /// Notes whether any endpoint was available when one was chosen.
    pub(super) fn note_any_available(&self, any: bool) {
        let none_available = &self.lasting.none_available;
        if none_available.load(Relaxed) == any && none_available.swap(!any, Relaxed) == any {
            let upstream = &self.lasting.upstream;
            if any {
                info!("upstream {upstream}: endpoints are available again, and requests go to them only");
            } else {
                warn!("upstream {upstream}: no endpoint is available, so requests go to all of them");
            }
        }
    }

    /// Judges an endpoint by how an attempt at it ended.
    pub(super) fn note(&self, members: &Members, endpoint: &Arc<Endpoint>, outcome: Outcome) {
        let Some(outlier) = &self.outlier else { return };
        if !outlier.is_failure(outcome) {
            endpoint.availability().succeed();
            return;
        }
        let now = Tick::now();
        if endpoint.availability().fail(now) >= outlier.consecutive_failures {
            self.eject(outlier, members, endpoint, now);
        }
    }

    fn eject(&self, outlier: &Outlier, members: &Members, endpoint: &Arc<Endpoint>, now: Tick) {
        // Whoever comes second leaves it to the next failure.
        let _only_one = match self.lasting.ejecting.try_lock() {
            Ok(only_one) => only_one,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if endpoint.availability().is_ejected(now) {
            return;
        }
        let Some(glance) = self.glance().map(|glance| Glance { now, ..glance }) else { return };
        let (mut all, mut ejected, mut others_available) = (0, 0, 0);
        for member in members.iter() {
            let availability = member.endpoint.availability();
            all += 1;
            ejected += usize::from(availability.is_ejected(now));
            let is_another = !Arc::ptr_eq(&member.endpoint, endpoint);
            others_available += usize::from(is_another && availability.standing(&glance) <= Standing::Unproven);
        }
        if ejected >= outlier.most(all) || others_available == 0 {
            endpoint.availability().pardon();
            return;
        }
        let length = endpoint.availability().eject(now, |in_a_row| outlier.length(in_a_row));
        let (upstream, label) = (&self.lasting.upstream, endpoint.label());
        let failures = outlier.consecutive_failures;
        warn!("upstream {upstream}: {label} failed {failures} requests in a row and is left alone for {length:?}");
        if let Some(control) = self.lasting.control.get() {
            let (upstream, label, room) = (Arc::clone(upstream), Arc::clone(label), Arc::clone(endpoint.room()));
            drop(control.spawn(async move {
                sleep(length).await;
                info!("upstream {upstream}: {label} is no longer left alone");
                room.opened();
            }));
        }
    }
}

/// Whether it will never have more than one endpoint. A name may come to have several addresses.
fn is_one_address(raw: &UpstreamConfig) -> bool {
    let [endpoint] = raw.endpoints.as_slice() else { return false };
    Address::parse(&endpoint.url).is_ok_and(|address| matches!(address.host, Host::Ip(_)))
}

/// A time that has to be some time.
pub(super) fn above_zero(written: HumanDuration, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<Duration> {
    if written.0.is_zero() {
        let remedy = "write a duration above zero, like \"10s\"";
        diagnostics.error(path, "this is no time at all", remedy);
        return None;
    }
    Some(written.0)
}

/// A list of statuses that there are.
pub(super) fn statuses(written: &[u16], path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<Box<[u16]>> {
    let mut good = true;
    for (position, status) in written.iter().enumerate() {
        if !(100..600).contains(status) {
            let remedy = "write statuses from 100 to 599";
            diagnostics.error(&path.index(position), format!("nobody answers with status {status}"), remedy);
            good = false;
        }
    }
    good.then(|| written.into())
}

impl Lasting {
    pub(super) fn new(upstream: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            ejecting: Mutex::default(),
            none_available: AtomicBool::new(false),
            control: OnceLock::new(),
        })
    }

    /// Where what has to wait for its time waits.
    pub(super) fn follow(&self, control: &Handle) {
        self.control.get_or_init(|| control.clone());
    }
}
