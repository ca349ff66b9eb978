//! Owns: the endpoints of one upstream as they change: those written as addresses, and of each name all its addresses.
//! Refuses: being read by a lock: the list is swapped whole.
//! Always holds: a list is made of what the names have at that moment, and of two lists the later made one stays.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use super::{
    balance::{Member, Members},
    endpoint::{Description, Endpoint, Protocol},
    names::Name,
    room::Room,
};

/// What is written as an endpoint, and its share of the requests. Each address of a name has the share that the name is given.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) origin: Origin,
    pub(super) weight: u16,
}

/// What an endpoint is written as.
#[derive(Debug)]
pub(super) enum Origin {
    /// An address.
    Address(Arc<Endpoint>),
    /// A name, which may stand for any number of addresses.
    Name(Arc<Name>),
}

/// The endpoints of one upstream.
#[derive(Debug)]
pub(super) struct Membership {
    shares: Box<[Share]>,
    current: ArcSwap<Members>,
    /// Held while a list is made and put in place.
    rebuilding: Mutex<()>,
    changed: watch::Sender<()>,
    /// Where requests wait that may find it at an endpoint that comes.
    room: Arc<Room>,
}

impl Membership {
    pub(super) fn new(shares: Box<[Share]>, room: Arc<Room>) -> Self {
        let current = ArcSwap::from_pointee(members_of(&shares));
        Self { shares, current, rebuilding: Mutex::new(()), changed: watch::Sender::new(()), room }
    }

    /// The endpoints to choose from now. Not to be held while waiting.
    pub(super) fn current(&self) -> Guard<Arc<Members>> {
        self.current.load()
    }

    /// Whether there is no endpoint: no name has an address yet.
    pub(super) fn is_empty(&self) -> bool {
        self.current.load().is_empty()
    }

    /// Told after each change, and after each lookup in vain.
    pub(super) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<Name>> {
        self.shares.iter().filter_map(|share| match &share.origin {
            Origin::Name(name) => Some(name),
            Origin::Address(_) => None,
        })
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = &Origin> {
        self.shares.iter().map(|share| &share.origin)
    }

    pub(super) fn descriptions(&self) -> impl Iterator<Item = &Description> {
        self.origins().map(Origin::description)
    }

    /// Whether any may be spoken to over HTTP/2.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.descriptions().any(|description| description.protocol != Protocol::Http1)
    }

    /// Whether both are made of the very same parts.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Share, &Share)| {
            let same_origin = match (&ours.origin, &theirs.origin) {
                (Origin::Address(ours), Origin::Address(theirs)) => Arc::ptr_eq(ours, theirs),
                (Origin::Name(ours), Origin::Name(theirs)) => Arc::ptr_eq(ours, theirs),
                (Origin::Address(_), Origin::Name(_)) | (Origin::Name(_), Origin::Address(_)) => false,
            };
            same_origin && ours.weight == theirs.weight
        };
        self.shares.len() == other.shares.len() && self.shares.iter().zip(&other.shares).all(same)
    }

    /// Makes the list anew of what the names have now.
    pub(super) fn rebuild(&self) {
        let rebuilding = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let members = members_of(&self.shares);
        let before = self.current.load_full();
        if !before.is_like(&members) {
            self.current.store(Arc::new(members));
            self.room.opened();
        }
        drop(rebuilding);
        self.changed.send_replace(());
    }
}

impl Origin {
    pub(super) fn description(&self) -> &Description {
        match self {
            Self::Address(endpoint) => endpoint.description(),
            Self::Name(name) => name.description(),
        }
    }
}

fn members_of(shares: &[Share]) -> Members {
    let mut list = Vec::with_capacity(shares.len());
    for share in shares {
        match &share.origin {
            Origin::Address(endpoint) => list.push(Member::new(Arc::clone(endpoint), share.weight)),
            Origin::Name(name) => {
                let endpoints = name.endpoints();
                list.extend(endpoints.iter().map(|endpoint| Member::new(Arc::clone(endpoint), share.weight)));
            }
        }
    }
    Members::new(list.into())
}
