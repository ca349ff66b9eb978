//! The ledger: the clients' book, the upstreams' record and the store, laid side by side.

use std::{collections::HashMap, time::Duration};

use crate::{
    book::{Bearer, Call, Figures, Outcome, Stage},
    upstream::Arrival,
    world::World,
};

/// How much more memory the process may have at the end than half-way, beside a fifth of what it had. Until then its caches fill.
const SLACK_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
/// The same of descriptors.
const SLACK_DESCRIPTORS: f64 = 60.0;

/// A line of which the sum must be 0.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    /// A few of the cases.
    pub(crate) examples: Vec<String>,
}

/// What came of the requests of one stage, its recovery included.
#[derive(Default)]
pub(crate) struct StageSum {
    pub(crate) name: String,
    pub(crate) took: Duration,
    pub(crate) requests: usize,
    pub(crate) passed: usize,
    /// Answered with a status of 400 to 499.
    pub(crate) refused: usize,
    /// Answered with a status of 500 and more.
    pub(crate) failed: usize,
    pub(crate) lost: usize,
    /// What the process had resident when it was over.
    pub(crate) resident_bytes: u64,
    /// What 99 of 100 requests that passed took at most.
    pub(crate) p99: Duration,
}

/// All of it.
pub(crate) struct Ledger {
    pub(crate) took: Duration,
    pub(crate) stages: Vec<StageSum>,
    pub(crate) lines: Vec<Line>,
    pub(crate) requests: usize,
    pub(crate) arrived: usize,
    pub(crate) issued: usize,
    pub(crate) revoked: usize,
    /// Of the process that lived longest: how its memory grew, in bytes a minute; how much it was half-way, and in the end.
    pub(crate) memory: Growth,
    pub(crate) descriptors: Growth,
}

/// How something grew while one process lived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    pub(crate) half: f64,
    pub(crate) last: f64,
    pub(crate) per_minute: f64,
}

impl Ledger {
    /// Whether every line is 0.
    pub(crate) fn balances(&self) -> bool {
        self.lines.iter().all(|line| line.count == 0)
    }
}

impl Line {
    fn new(name: &'static str) -> Self {
        Self { name, count: 0, examples: Vec::new() }
    }

    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < 5 {
            self.examples.push(example());
        }
    }

    fn of(name: &'static str, cases: impl IntoIterator<Item = String>) -> Self {
        let mut line = Self::new(name);
        cases.into_iter().for_each(|case| line.add(|| case));
        line
    }
}

/// Draws it up, once nobody sends anything any more.
pub(crate) fn draw_up(world: &World, took: Duration) -> Ledger {
    let (stages, calls, complaints, figures) = world.book.read();
    let record = world.record.lock().expect("not poisoned").clone();
    let findings = world.acknowledged.findings();
    let (memory, descriptors) = growth(&figures);
    let mut lines = requests(&stages, &calls, &record);
    let wrong_refusals = findings.wrong_refusals.iter().map(|(status, times)| format!("{status}, {times} times"));
    lines.extend([
        Line::of("good clients refused a token", wrong_refusals),
        Line::of("acknowledged tokens lost", findings.lost_tokens.iter().cloned()),
        Line::of("acknowledged revocations lost", findings.lost_revocations.iter().cloned()),
        Line::of("panics", world.panics.lock().expect("not poisoned").iter().cloned()),
        Line::of("not noticed, not recovered, not answered", complaints),
        Line::of("memory that grows", grows("bytes", memory, SLACK_BYTES)),
        Line::of("descriptors that grow", grows("descriptors", descriptors, SLACK_DESCRIPTORS)),
    ]);
    Ledger {
        took,
        stages: sums(&stages, &calls, &figures, took),
        lines,
        requests: calls.len(),
        arrived: record.values().map(|arrival| arrival.times as usize).sum(),
        issued: findings.issued,
        revoked: findings.revoked,
        memory,
        descriptors,
    }
}

/// The lines that tell of requests.
fn requests(stages: &[Stage], calls: &[Call], record: &HashMap<u64, Arrival>) -> Vec<Line> {
    let mut wrong_200s = Line::new("wrong 200s");
    let mut wrong_401s = Line::new("wrong 401s and 403s");
    let mut unexcused = Line::new("failures that nothing excuses");
    let mut unanswered = Line::new("answers from nowhere, cut, or of another request");
    let mut without_permit = Line::new("upstream requests without a permit");
    let mut repeated = Line::new("repeated non-idempotent requests");
    let mut mixed = Line::new("decisions of a mix of two rule sets");
    let mut credentials = Line::new("credentials that reached an upstream");
    let mut bearers = HashMap::with_capacity(calls.len());
    for call in calls {
        bearers.insert(call.id, call.bearer);
        let (began, ended) = (&stages[usize::from(call.stages.0)], &stages[usize::from(call.stages.1)]);
        let tell = || format!("{call:?} during {}", began.name);
        let was_seen = record.contains_key(&call.id);
        if let Outcome::Answered { status, is_its_own } = call.outcome {
            match status {
                200..=299 if !call.bearer.may_pass() => wrong_200s.add(tell),
                200..=299 if !was_seen || !is_its_own => unanswered.add(tell),
                401 if call.bearer.may_pass() => wrong_401s.add(tell),
                403 if call.bearer.is_permitted() => wrong_401s.add(tell),
                _ => {}
            }
        }
        let is_excused = [began, ended].iter().any(|stage| stage.excuse.covers(call.outcome, was_seen));
        if call.bearer.is_permitted() && !is_excused {
            unexcused.add(tell);
        }
    }
    for (id, arrival) in record {
        let tell = || format!("request {id}: {arrival:?}");
        let bearer = bearers.get(id).copied();
        if !bearer.is_some_and(|bearer| bearer.may_pass() && arrival.client == bearer.client()) {
            without_permit.add(tell);
        }
        if arrival.is_post && arrival.times > 1 {
            repeated.add(tell);
        }
        if arrival.has_credential {
            credentials.add(tell);
        }
        let named = match bearer {
            Some(Bearer::OnlyA) => (Some("a"), None),
            Some(Bearer::OnlyB) => (None, Some("b")),
            _ => (None, None),
        };
        if (arrival.named_by_sets.0.as_deref(), arrival.named_by_sets.1.as_deref()) != named {
            mixed.add(tell);
        }
    }
    vec![wrong_200s, wrong_401s, without_permit, repeated, credentials, unanswered, unexcused, mixed]
}

fn sums(stages: &[Stage], calls: &[Call], figures: &[Figures], took: Duration) -> Vec<StageSum> {
    let mut sums: Vec<StageSum> = Vec::new();
    let mut places = Vec::new();
    let end = stages.first().map(|first| first.begun + took);
    for (index, stage) in stages.iter().enumerate() {
        if !stage.is_recovery || sums.is_empty() {
            sums.push(StageSum { name: stage.name.clone(), ..StageSum::default() });
        }
        places.push(sums.len() - 1);
        let until = stages.get(index + 1).map(|next| next.begun).or(end);
        if let (Some(sum), Some(until)) = (sums.last_mut(), until) {
            sum.took += until.saturating_duration_since(stage.begun);
        }
    }
    for figures in figures {
        // Each was taken within the recovery of its stage.
        let stage = stages.iter().rposition(|stage| stage.begun <= figures.at).unwrap_or_default();
        sums[places[stage]].resident_bytes = figures.resident_bytes;
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); sums.len()];
    for call in calls {
        let place = places[usize::from(call.stages.0)];
        let sum = &mut sums[place];
        sum.requests += 1;
        match call.outcome {
            Outcome::Answered { status: 200..=299, .. } => {
                sum.passed += 1;
                times[place].push(call.took);
            }
            Outcome::Answered { status: 500.., .. } => sum.failed += 1,
            Outcome::Answered { .. } => sum.refused += 1,
            Outcome::Lost => sum.lost += 1,
        }
    }
    for (sum, mut times) in sums.iter_mut().zip(times) {
        times.sort_unstable();
        sum.p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    }
    sums
}

/// Of the process that was measured most often: how memory and descriptors grew between the moments when nothing failed.
fn growth(figures: &[Figures]) -> (Growth, Growth) {
    let longest = figures.last().map(|last| last.process).unwrap_or_default();
    let figures: Vec<&Figures> = figures.iter().filter(|figures| figures.process == longest).collect();
    let grown = |value: fn(&Figures) -> f64| {
        let (Some(half), Some(last)) = (figures.get(figures.len() / 2), figures.last()) else {
            return Growth::default();
        };
        // The median of the slopes between all pairs: one moment that is out of the way does not tilt it.
        let mut slopes: Vec<f64> = Vec::new();
        for (index, earlier) in figures.iter().enumerate() {
            for later in &figures[index + 1..] {
                let minutes = later.at.duration_since(earlier.at).as_secs_f64() / 60.0;
                slopes.push((value(later) - value(earlier)) / minutes.max(0.001));
            }
        }
        slopes.sort_by(f64::total_cmp);
        let per_minute = slopes.get(slopes.len() / 2).copied().unwrap_or_default();
        Growth { half: value(half), last: value(last), per_minute }
    };
    (grown(|figures| figures.resident_bytes as f64), grown(|figures| figures.descriptors as f64))
}

fn grows(what: &str, growth: Growth, slack: f64) -> Option<String> {
    let most = growth.half * 1.2 + slack;
    (growth.last > most).then(|| format!("{} {what} have become {}", growth.half, growth.last))
}
