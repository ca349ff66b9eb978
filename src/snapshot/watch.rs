//! Owns: noticing that a configuration file, a certificate or a secret has changed.
//! Refuses: trusting events alone: contents are compared, now and then also without an event, because symlinks are swapped
//! outside the folder that is watched and some file systems tell nothing.
//! Always holds: a reload is asked for only when the contents differ from those last seen and have stood still for a moment,
//! so that a file in the middle of being written is left alone.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tracing::{debug, warn};

use super::Reloader;

/// How long contents must stand still before they are believed.
const SETTLE: Duration = Duration::from_millis(100);
/// How often contents are compared without an event.
const GLANCE: Duration = Duration::from_secs(5);

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    stopping: Arc<AtomicBool>,
    wake: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches the files of `reloader` and reloads when they change.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(reloader: Arc<Reloader>) -> std::io::Result<Self> {
        let (wake, events) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let mut watcher = Watcher::new(reloader, wake.clone(), events, Arc::clone(&stopping));
        let thread = thread::Builder::new().name("postern-watch".to_owned()).spawn(move || watcher.run())?;
        Ok(Self { stopping, wake, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // If the thread is gone already there is nobody to wake.
        let _ = self.wake.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watcher {
    reloader: Arc<Reloader>,
    wake: mpsc::Sender<()>,
    events: mpsc::Receiver<()>,
    stopping: Arc<AtomicBool>,
    watched: Vec<PathBuf>,
    /// Contents that a reload has been asked for already, or that were there at the start.
    seen: Vec<u8>,
    /// Dropping it ends the watching of its folders.
    folders: Option<RecommendedWatcher>,
}

impl Watcher {
    fn new(
        reloader: Arc<Reloader>,
        wake: mpsc::Sender<()>,
        events: mpsc::Receiver<()>,
        stopping: Arc<AtomicBool>,
    ) -> Self {
        let mut watcher =
            Self { reloader, wake, events, stopping, watched: Vec::new(), seen: Vec::new(), folders: None };
        watcher.follow_last_reload();
        watcher.seen = watcher.reloader.last().contents;
        watcher
    }

    fn run(&mut self) {
        while self.wait(GLANCE) {
            self.follow_last_reload();
            let Some(settled) = self.settled_change() else { continue };
            debug!("configuration files changed");
            // The outcome is logged and kept by the reloader.
            let _ = self.reloader.reload();
            self.seen = settled;
            if self.follow_last_reload() {
                self.seen = fingerprint(&self.watched);
            }
        }
    }

    /// Waits for an event, at most for `patience`; `false` when it is time to stop.
    fn wait(&self, patience: Duration) -> bool {
        // Whether something happened or time went by, the contents are looked at.
        let _ = self.events.recv_timeout(patience);
        !self.stopping.load(Ordering::Acquire)
    }

    /// Waits until nothing has happened for a moment; `false` when it is time to stop.
    fn wait_for_stillness(&self) -> bool {
        while self.events.recv_timeout(SETTLE).is_ok() && !self.stopping.load(Ordering::Acquire) {}
        !self.stopping.load(Ordering::Acquire)
    }

    /// Contents that differ from those seen and have stood still for a moment.
    fn settled_change(&self) -> Option<Vec<u8>> {
        let mut before = fingerprint(&self.watched);
        while before != self.seen {
            if !self.wait_for_stillness() {
                return None;
            }
            let after = fingerprint(&self.watched);
            if after == before {
                return Some(after);
            }
            before = after;
        }
        None
    }

    /// Watches the files of the last reload, whoever asked for it; says whether they are others than before.
    fn follow_last_reload(&mut self) -> bool {
        let watched = self.reloader.last().watched;
        if watched == self.watched {
            return false;
        }
        self.watched = watched;
        self.folders = folder_watcher(&self.watched, self.wake.clone());
        true
    }
}

/// Watches the folders of `files`, and of what their symlinks point to.
fn folder_watcher(files: &[PathBuf], wake: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let targets: BTreeSet<PathBuf> =
        files.iter().flat_map(|file| [Some(file.clone()), fs::canonicalize(file).ok()]).flatten().collect();
    let on_event = move |event: notify::Result<Event>| {
        if event.as_ref().map_or(true, |event| may_matter(event, &targets)) {
            // The watcher may outlive the thread by a moment.
            let _ = wake.send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(on_event) {
        Ok(watcher) => watcher,
        Err(error) => {
            warn!(%error, "no file events on this system: changes are noticed every {} s", GLANCE.as_secs());
            return None;
        }
    };
    let mut folders = BTreeSet::new();
    for file in files {
        folders.extend(file.parent().map(Path::to_path_buf));
        folders.extend(fs::canonicalize(file).ok().and_then(|real| real.parent().map(Path::to_path_buf)));
    }
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            debug!(%error, folder = %folder.display(), "folder cannot be watched");
        }
    }
    Some(watcher)
}

/// Whether an event may mean other contents. Reading a file is an event too, and so is every line of a log in the same
/// folder; a link that is swapped, on the other hand, bears a name of its own.
fn may_matter(event: &Event, targets: &BTreeSet<PathBuf>) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Data(_)) => {
            event.paths.iter().any(|path| targets.contains(path))
        }
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// A digest of the contents of all of `files`, a missing one included.
pub(super) fn fingerprint(files: &[PathBuf]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for file in files {
        match fs::read(file) {
            Ok(contents) => {
                context.update(&(contents.len() as u64).to_be_bytes());
                context.update(&contents);
            }
            Err(_) => context.update(b"missing"),
        }
    }
    context.finish().as_ref().to_vec()
}
