//! Owns: replacing the applied configuration by a new one, or refusing to.
//! Refuses: applying anything with an error in it; two reloads at once.
//! Always holds: a refused configuration changes nothing but the status; what is applied was compiled whole and activated
//! before the first request saw it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use tracing::{error, info, warn};

use super::{Judged, Snapshot, Surroundings, changes, compile::compile_loaded, load_and_compile};
use crate::{
    clock::UnixTime,
    config::{Contents, Environment, Loaded, Sources},
    diagnostic::{Diagnostic, Diagnostics},
};

/// What has to happen between compiling a snapshot and letting requests see it: opening keys, binding sockets.
pub trait Activation: Send + Sync {
    /// Waits for what a start should not go on without. Not asked for at a reload, which nothing may hold up.
    ///
    /// # Errors
    /// A sentence that says what could not be had; the program then does not start.
    fn before_first(&self, first: &Arc<Snapshot>) -> Result<(), String>;

    /// Makes everything ready that `next` needs, changing nothing that lives. What is given back is called once `next` is in
    /// force: it brings the living parts to it, lets go of what only the one before it needed, and cannot fail.
    ///
    /// # Errors
    /// A sentence that says what could not be had; `next` is then not applied.
    fn prepare(self: Arc<Self>, next: &Arc<Snapshot>, previous: Option<&Snapshot>) -> Result<Commit, String>;
}

/// The second half of an activation.
pub type Commit = Box<dyn FnOnce() + Send>;

/// Keeps the applied snapshot and replaces it.
pub struct Reloader {
    files: Vec<PathBuf>,
    environment: Arc<dyn Environment + Send + Sync>,
    surroundings: Surroundings,
    activation: Arc<dyn Activation>,
    current: Arc<ArcSwap<Snapshot>>,
    last: Mutex<LastReload>,
    /// Held by whoever reloads; whether nobody may any more.
    turn: Mutex<Closed>,
}

/// Whether the program is stopping.
struct Closed(bool);

/// How the last reload ended.
#[derive(Clone, Debug)]
pub struct LastReload {
    /// When it was tried.
    pub at: UnixTime,
    /// The files whose change should cause the next one, and what was in them when it read them.
    pub read_files: BTreeMap<PathBuf, Contents>,
    /// Why it was refused; `None` if it was applied.
    pub rejection: Option<ReloadRejection>,
    /// How many were refused since the start.
    pub rejected_total: u64,
    /// How many were applied since the start, the first configuration not counted.
    pub applied_total: u64,
}

/// A configuration that was not applied.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the configuration was not applied: {summary}")]
pub struct ReloadRejection {
    /// One line.
    pub summary: String,
    /// The diagnostics as a terminal shows them, without colour.
    pub text: String,
    /// The diagnostics, a line each.
    pub problems: Vec<String>,
    /// The diagnostics for machines.
    pub json: serde_json::Value,
}

/// A reload that was applied.
#[derive(Clone, Debug)]
pub struct AppliedReload {
    /// The generation now in force.
    pub generation: u64,
    /// The hash of its sources.
    pub hash: String,
    /// What changed, in words.
    pub changes: Vec<String>,
}

impl Reloader {
    /// Compiles and activates the first configuration: `first` is what loading `files` brought, and what it reported.
    ///
    /// # Errors
    /// [`ReloadRejection`] if it cannot be applied.
    pub fn start(
        files: Vec<PathBuf>,
        environment: Arc<dyn Environment + Send + Sync>,
        first: (Loaded, Diagnostics),
        surroundings: Surroundings,
        activation: Arc<dyn Activation>,
    ) -> Result<Self, Box<ReloadRejection>> {
        let (loaded, diagnostics) = first;
        let Attempt { outcome, read_files, .. } = attempted(compile_loaded(loaded, diagnostics, None, &surroundings));
        let snapshot = outcome?;
        activation.before_first(&snapshot).map_err(ReloadRejection::of_activation)?;
        let commit = Arc::clone(&activation).prepare(&snapshot, None).map_err(ReloadRejection::of_activation)?;
        commit();
        let at = surroundings.clock.now();
        let last = LastReload { at, read_files, rejection: None, rejected_total: 0, applied_total: 0 };
        Ok(Self {
            files,
            environment,
            surroundings,
            activation,
            current: Arc::new(ArcSwap::new(snapshot)),
            last: Mutex::new(last),
            turn: Mutex::new(Closed(false)),
        })
    }

    /// The applied snapshot, for workers to follow.
    #[must_use]
    pub const fn current(&self) -> &Arc<ArcSwap<Snapshot>> {
        &self.current
    }

    /// The configuration files, as they were given.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// How the last reload ended.
    #[must_use]
    pub fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The files that the last reload read, and what was in them then.
    #[must_use]
    pub fn read_files(&self) -> BTreeMap<PathBuf, Contents> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).read_files.clone()
    }

    /// Reads the files again and applies them, even if nothing changed. Blocks; not for a worker's thread.
    ///
    /// # Errors
    /// [`ReloadRejection`]; the applied configuration then stays in force.
    pub fn reload(&self) -> Result<AppliedReload, Box<ReloadRejection>> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.0 {
            return Err(ReloadRejection::of_activation("the program is stopping".to_owned()));
        }
        let previous = self.current.load_full();
        let Attempt { outcome, read_files, sources: _freed_at_the_end } =
            attempt(&self.files, &*self.environment, Some(&previous), &self.surroundings);
        let outcome = outcome.and_then(|next| self.apply(&previous, next));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.at = self.surroundings.clock.now();
        last.read_files = read_files;
        match &outcome {
            Ok(applied) => {
                last.rejection = None;
                last.applied_total += 1;
                log_applied(applied);
            }
            Err(rejection) => {
                last.rejection = Some((**rejection).clone());
                last.rejected_total += 1;
                for problem in &rejection.problems {
                    error!(generation = previous.generation, "configuration: {problem}");
                }
                error!(
                    generation = previous.generation,
                    "configuration not applied, the one before stays in force: {}", rejection.summary
                );
            }
        }
        outcome
    }

    /// Waits for a reload under way and refuses every further one, so that what is being stopped is not started anew.
    pub fn close(&self) {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }

    fn apply(&self, previous: &Arc<Snapshot>, next: Arc<Snapshot>) -> Result<AppliedReload, Box<ReloadRejection>> {
        let mut words = changes(&previous.config, &next.config);
        words.extend(next.changed_files(previous));
        let activation = Arc::clone(&self.activation);
        let commit = activation.prepare(&next, Some(previous)).map_err(ReloadRejection::of_activation)?;
        let applied = AppliedReload { generation: next.generation, hash: next.hash.clone(), changes: words };
        self.current.store(next);
        commit();
        Ok(applied)
    }
}

impl ReloadRejection {
    fn of_activation(why: String) -> Box<Self> {
        let json = serde_json::json!([{ "severity": "error", "message": why }]);
        Box::new(Self { summary: why.clone(), text: why.clone(), problems: vec![why], json })
    }

    fn of_diagnostics(sources: &Sources, diagnostics: &Diagnostics) -> Self {
        let summary = match diagnostics.error_count() {
            1 => "1 error".to_owned(),
            many => format!("{many} errors"),
        };
        let text = sources.render(diagnostics, false);
        Self { summary, text, problems: problems(sources, diagnostics), json: sources.to_json(diagnostics) }
    }
}

/// One attempt: its outcome, and the files to watch whatever came of it, with what was in them.
struct Attempt {
    outcome: Result<Arc<Snapshot>, Box<ReloadRejection>>,
    read_files: BTreeMap<PathBuf, Contents>,
    /// Where everything stood: many small things, which are let go of when nobody waits for what came of them any more.
    sources: Sources,
}

fn attempt(
    files: &[PathBuf],
    environment: &dyn Environment,
    previous: Option<&Snapshot>,
    surroundings: &Surroundings,
) -> Attempt {
    // A file that cannot be parsed names no others, so those of the applied configuration are watched on. The configuration's own are
    // always among what is read.
    let own: Vec<PathBuf> = files.iter().filter_map(|file| std::path::absolute(file).ok()).collect();
    let of_previous = previous.iter().flat_map(|previous| previous.files.keys()).filter(|file| !own.contains(file));
    let of_previous: Vec<_> = of_previous.map(|file| (file.clone(), Contents::of(file))).collect();
    let mut attempt = attempted(load_and_compile(files, environment, previous, surroundings));
    if attempt.outcome.is_err() {
        for (file, contents) in of_previous {
            attempt.read_files.entry(file).or_insert(contents);
        }
    }
    attempt
}

/// What came of a configuration that was compiled. What was found in one that may be applied is logged.
fn attempted(judged: Judged) -> Attempt {
    let Judged { snapshot, diagnostics, sources, files: read_files } = judged;
    let outcome = match snapshot {
        Some(snapshot) => {
            for problem in problems(&sources, &diagnostics) {
                warn!("configuration: {problem}");
            }
            Ok(Arc::new(snapshot))
        }
        None => Err(Box::new(ReloadRejection::of_diagnostics(&sources, &diagnostics))),
    };
    Attempt { outcome, read_files, sources }
}

/// The diagnostics for a log: a line each, with file and line.
fn problems(sources: &Sources, diagnostics: &Diagnostics) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| {
        let place = sources.place_of(diagnostic).map(|place| format!("{}:{}: ", place.file.display(), place.line));
        let Diagnostic { path, message, remedy, .. } = diagnostic;
        format!("{}{path}: {message}; {remedy}", place.unwrap_or_default())
    };
    diagnostics.iter().map(line).collect()
}

fn log_applied(applied: &AppliedReload) {
    let generation = applied.generation;
    if applied.changes.is_empty() {
        info!(generation, hash = applied.hash, "configuration applied, nothing changed");
    }
    for change in &applied.changes {
        info!(generation, hash = applied.hash, "configuration applied: {change}");
    }
}
