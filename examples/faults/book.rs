//! The clients' side of the ledger: every request that was sent, what came of it, and what went on meanwhile.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What a request brings along to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bearer {
    /// A good token of the embedded issuer.
    Own,
    /// A good token of the outside issuer.
    Outside,
    /// One that expired.
    Expired,
    /// One without the scope.
    OtherScope,
    /// One whose revocation was acknowledged.
    Revoked,
    /// One that is signed by nobody's key.
    Forged,
    /// Something that is no token.
    Garbage,
    /// Nothing.
    Nothing,
    /// A good one, from somebody who is slow to send or to read and may be cut off for that.
    Slow,
    /// A token that only rule set A lets through, and its fellow for B, and one that neither does.
    OnlyA,
    OnlyB,
    Neither,
}

impl Bearer {
    /// Whether the gateway must let it through whenever it can.
    pub(crate) const fn is_permitted(self) -> bool {
        matches!(self, Self::Own | Self::Outside)
    }

    /// Whether the gateway may let it through at any time.
    pub(crate) const fn may_pass(self) -> bool {
        matches!(self, Self::Own | Self::Outside | Self::Slow | Self::OnlyA | Self::OnlyB)
    }

    /// The client that an upstream must be told of.
    pub(crate) const fn client(self) -> &'static str {
        match self {
            Self::Own => "load",
            Self::OnlyA => "a",
            Self::OnlyB => "b",
            _ => "billing",
        }
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer that came to its end, and whether a good one was the answer to this request.
    Answered { status: u16, is_its_own: bool },
    /// No answer, or the half of one.
    Lost,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) bearer: Bearer,
    pub(crate) outcome: Outcome,
    /// The stages during which it began and ended.
    pub(crate) stages: (u16, u16),
    pub(crate) took: Duration,
}

/// Which failures of good requests a stage excuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excuse {
    /// None.
    Nothing,
    /// What an upstream that fails leads to.
    Upstream,
    /// That nobody is there, or not ready.
    Absence,
    /// That a connection could not be made; a request that reached an upstream is answered.
    Unsent,
    /// That there is room for nobody else.
    Crowd,
}

impl Excuse {
    /// Whether this may come of a good request, of which it is known whether an upstream saw it.
    pub(crate) const fn covers(self, outcome: Outcome, was_seen: bool) -> bool {
        match (self, outcome) {
            (_, Outcome::Answered { status: 200..=299, .. }) => true,
            (Self::Nothing, _) => false,
            (Self::Upstream, Outcome::Answered { status: 502..=504, .. }) => true,
            (Self::Absence | Self::Crowd, Outcome::Answered { status: 502 | 503, .. }) => true,
            (Self::Upstream | Self::Absence | Self::Crowd, Outcome::Lost) => true,
            (Self::Unsent, Outcome::Lost) => !was_seen,
            _ => false,
        }
    }
}

/// What goes on for a while.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) excuse: Excuse,
    pub(crate) begun: Instant,
    /// Whether it is only the end of the stage before it.
    pub(crate) is_recovery: bool,
}

/// What the process has taken, at a moment when nothing fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) at: Instant,
    pub(crate) process: u32,
    pub(crate) resident_bytes: u64,
    pub(crate) descriptors: u64,
}

/// All of it.
pub(crate) struct Book {
    stages: Mutex<Vec<Stage>>,
    stage: AtomicU16,
    ids: AtomicU64,
    calls: Mutex<Vec<Call>>,
    complaints: Mutex<Vec<String>>,
    figures: Mutex<Vec<Figures>>,
}

impl Book {
    /// An empty one, in which a first stage has begun.
    pub(crate) fn new() -> Self {
        let start =
            Stage { name: "start".to_owned(), excuse: Excuse::Absence, begun: Instant::now(), is_recovery: true };
        Self {
            stages: Mutex::new(vec![start]),
            stage: AtomicU16::new(0),
            ids: AtomicU64::new(1),
            calls: Mutex::default(),
            complaints: Mutex::default(),
            figures: Mutex::default(),
        }
    }

    /// Begins a stage.
    pub(crate) fn begin(&self, name: &str, excuse: Excuse, is_recovery: bool) {
        let mut stages = self.stages.lock().expect("not poisoned");
        stages.push(Stage { name: name.to_owned(), excuse, begun: Instant::now(), is_recovery });
        let index = u16::try_from(stages.len() - 1).expect("few stages");
        self.stage.store(index, Ordering::SeqCst);
    }

    /// The stage that is on.
    pub(crate) fn stage(&self) -> u16 {
        self.stage.load(Ordering::SeqCst)
    }

    /// Its name.
    pub(crate) fn stage_name(&self) -> String {
        self.stages.lock().expect("not poisoned").last().map(|stage| stage.name.clone()).unwrap_or_default()
    }

    /// An id that no request had yet.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// How many ids were given.
    pub(crate) fn calls_so_far(&self) -> u64 {
        self.ids.load(Ordering::Relaxed) - 1
    }

    /// Enters requests.
    pub(crate) fn enter(&self, calls: impl IntoIterator<Item = Call>) {
        self.calls.lock().expect("not poisoned").extend(calls);
    }

    /// Something that should not be, and is in no other line of the ledger.
    pub(crate) fn complain(&self, what: impl Into<String>) {
        let what = format!("{}: {}", self.stage_name(), what.into());
        eprintln!("\n{what}");
        self.complaints.lock().expect("not poisoned").push(what);
    }

    /// Enters what the process takes while nothing fails.
    pub(crate) fn measure(&self, figures: Figures) {
        self.figures.lock().expect("not poisoned").push(figures);
    }

    /// Everything in it.
    pub(crate) fn read(&self) -> (Vec<Stage>, Vec<Call>, Vec<String>, Vec<Figures>) {
        (
            self.stages.lock().expect("not poisoned").clone(),
            self.calls.lock().expect("not poisoned").clone(),
            self.complaints.lock().expect("not poisoned").clone(),
            self.figures.lock().expect("not poisoned").clone(),
        )
    }
}
