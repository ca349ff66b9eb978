//! Owns: noticing that a configuration file, a certificate or a secret has changed.
//! Refuses: trusting events alone: contents are compared, now and then also without an event, because some file systems tell
//! nothing. Refuses being woken by what is only read, or by other files beside those that matter.
//! Always holds: a reload is asked for when the contents differ from those that the last one read, whoever asked for it; and
//! only once they have stood still for a moment, so that a file in the middle of being written is left alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tracing::{debug, warn};

use super::{Reloader, entries::deciding_entries};
use crate::config::Contents;

/// How long contents must stand still before they are believed.
const SETTLE: Duration = Duration::from_millis(100);
/// Contents that never stand still are believed after this long.
const LONGEST_SETTLE: Duration = Duration::from_secs(2);
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
        let mut watcher =
            Watcher { reloader, events, stopping: Arc::clone(&stopping), ears: Ears::new(wake.clone()) };
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
    events: mpsc::Receiver<()>,
    stopping: Arc<AtomicBool>,
    ears: Ears,
}

impl Watcher {
    fn run(&mut self) {
        loop {
            // First listen, then compare: what changes in between is heard.
            self.ears.listen_to(self.reloader.read_files().keys());
            if self.has_settled_change() {
                debug!("configuration files changed");
                // The outcome is logged and kept by the reloader.
                let _ = self.reloader.reload();
            } else {
                self.wait(GLANCE);
            }
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Waits for an event, at most for `patience`.
    fn wait(&self, patience: Duration) {
        match self.events.recv_timeout(patience) {
            Ok(()) => while self.events.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    /// Lets `time` pass, whatever happens meanwhile; `false` when it is time to stop.
    fn pause(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let stopping = self.stopping.load(Ordering::Acquire);
            if stopping || left.is_zero() {
                return !stopping;
            }
            self.wait(left);
        }
    }

    /// Whether the files say something else than what was last read, and go on saying it.
    fn has_settled_change(&self) -> bool {
        let since = Instant::now();
        let mut before = contents(self.reloader.read_files().keys());
        while before != self.reloader.read_files() {
            if !self.pause(SETTLE) {
                return false;
            }
            let read = self.reloader.read_files();
            let after = contents(read.keys());
            if after == before || since.elapsed() > LONGEST_SETTLE {
                // Somebody else may have reloaded meanwhile.
                return after != read;
            }
            before = after;
        }
        false
    }
}

fn contents<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Contents> {
    files.map(|file| (file.clone(), Contents::of(file))).collect()
}

/// Hears of changes in folders.
struct Ears {
    /// Nothing on a system without file events.
    notifier: Option<RecommendedWatcher>,
    /// The folders that are listened to, and which folder each name meant then.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// The names that matter.
    names: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Ears {
    fn new(wake: mpsc::Sender<()>) -> Self {
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let heard = Arc::clone(&names);
        let on_event = move |event: notify::Result<Event>| {
            let names = heard.lock().unwrap_or_else(PoisonError::into_inner);
            // An error may stand for events that were lost.
            if event.map_or(true, |event| matters(&event, &names)) {
                // This may outlive the thread by a moment.
                let _ = wake.send(());
            }
        };
        let notifier = notify::recommended_watcher(on_event)
            .inspect_err(|error| {
                warn!(%error, "no file events on this system: changes are noticed every {} s", GLANCE.as_secs());
            })
            .ok();
        Self { notifier, folders: BTreeMap::new(), names }
    }

    /// Listens to whatever decides what is in `files`, and to nothing else.
    fn listen_to<'a>(&mut self, files: impl Iterator<Item = &'a PathBuf>) {
        let Some(notifier) = &mut self.notifier else { return };
        let mut names: BTreeSet<PathBuf> = files.flat_map(|file| deciding_entries(file)).collect();
        let folders: BTreeSet<PathBuf> = names.iter().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        names.extend(folders.iter().cloned());
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.folders.retain(|folder, known| {
            // A folder that was moved away is listened to no longer, even if there is another one of its name.
            let stays = folders.contains(folder) && identity(folder) == Some(*known);
            if !stays {
                // It may be gone already, and its watch with it.
                let _ = notifier.unwatch(folder);
            }
            stays
        });
        for folder in folders {
            if self.folders.contains_key(&folder) {
                continue;
            }
            let Some(identity) = identity(&folder) else { continue };
            match notifier.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder, identity)),
                Err(error) => debug!(%error, folder = %folder.display(), "folder cannot be watched"),
            }
        }
    }
}

/// Which folder it is, whatever its name.
fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Whether an event may have changed what is at one of `names`. Our own reading must not wake us: it would go on for ever.
fn matters(event: &Event, names: &BTreeSet<PathBuf>) -> bool {
    let only_read = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    !only_read && (event.paths.is_empty() || event.paths.iter().any(|path| names.contains(path)))
}
