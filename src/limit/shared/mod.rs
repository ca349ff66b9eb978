//! Owns: what replicas count together in a Redis or Valkey server, and what they tell each other over it.
//! Refuses: waiting for the server for longer than `shared.timeout`; asking it while it is known to be away; showing its URL.
//! Always holds: whoever asks gets an answer or [`Away`], and then goes by what was counted here; that it went and came back
//! is logged once each.

mod failure;
mod link;
mod scripts;
mod settings;
mod silence;
mod subscription;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Receiver, Sender},
    task::AbortHandle,
};

use self::{link::Link, scripts::Scripts, subscription::Subscription};
use super::{Rate, Taken};

pub use self::settings::SharedSettings;

/// How many messages wait to be published, or to be read by one subscriber.
const MOST_WAITING: usize = 1024;

/// Counters and messages that replicas share. Kept over reloads as long as its settings are the same; asks nobody before
/// [`SharedCounters::start`], and stops when it is dropped.
pub struct SharedCounters {
    settings: SharedSettings,
    link: Arc<Link>,
    scripts: Scripts,
    to_publish: Sender<(String, String)>,
    tasks: Mutex<Tasks>,
}

/// A counter that ends at some time.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Its name, without the prefix of all names.
    pub name: &'a str,
    /// In what time it begins at zero again. It counts when the counter is made.
    pub ends_in: Duration,
}

/// Nobody answered in time, the server refused, or nobody was asked because nobody answered shortly before. That is counted and logged already: go
/// by what was counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what replicas count together is away")]
pub struct Away;

/// What runs on the control plane, and what is to run there once it is known.
struct Tasks {
    control: Option<Handle>,
    publications: Option<Receiver<(String, String)>>,
    waiting: Vec<Subscription>,
    running: Vec<AbortHandle>,
}

impl SharedCounters {
    /// Counters under these settings. Nothing is connected to yet.
    #[must_use]
    pub fn new(settings: SharedSettings) -> Self {
        let (to_publish, publications) = mpsc::channel(MOST_WAITING);
        let publications = Some(publications);
        let tasks = Tasks { control: None, publications, waiting: Vec::new(), running: Vec::new() };
        let link = Arc::new(Link::new(&settings));
        Self { link, scripts: Scripts::new(), settings, to_publish, tasks: Mutex::new(tasks) }
    }

    /// Connects, and stays connected, on the runtime of `control`. Doing so again does nothing.
    pub fn start(&self, control: &Handle) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.control.is_some() {
            return;
        }
        tasks.control = Some(control.clone());
        let (link, scripts) = (Arc::clone(&self.link), self.scripts.clone());
        tasks.running.push(control.spawn(async move { link.keep(&scripts).await }).abort_handle());
        if let Some(publications) = tasks.publications.take() {
            let publishing = subscription::publish(Arc::clone(&self.link), publications);
            tasks.running.push(control.spawn(publishing).abort_handle());
        }
        for subscription in std::mem::take(&mut tasks.waiting) {
            tasks.running.push(control.spawn(subscription.follow()).abort_handle());
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn settings(&self) -> &SharedSettings {
        &self.settings
    }

    /// Adds `by` (less than nothing: gives back) to the counter of each window in one round trip, and gives the sums in the
    /// order of `windows`. A counter is never below zero.
    ///
    /// # Errors
    /// [`Away`]. It may have been added all the same, if only the answer did not come.
    pub async fn add(&self, windows: &[Window<'_>], by: i64) -> Result<Vec<u64>, Away> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let mut question = self.scripts.add.prepare_invoke();
        question.arg(by);
        for window in windows {
            // What ends now must not be kept for ever.
            let ends_in_milliseconds = u64::try_from(window.ends_in.as_millis()).unwrap_or(u64::MAX).max(1);
            question.key(self.settings.full_name(window.name)).arg(ends_in_milliseconds.min(i64::MAX.unsigned_abs()));
        }
        let sums: Vec<u64> = self.link.ask(&question).await?;
        if sums.len() == windows.len() { Ok(sums) } else { Err(self.link.misunderstood()) }
    }

    /// Lets one through under `rate`, or does not, by the clock of the server.
    ///
    /// # Errors
    /// [`Away`]. It may have been counted all the same, if only the answer did not come.
    pub async fn take(&self, name: &str, rate: Rate) -> Result<Taken, Away> {
        let question = self.scripts.taking(&self.settings.full_name(name), rate);
        let (passed, remaining, wait, reset): (bool, u32, u64, u64) = self.link.ask(&question).await?;
        let retry_after = (!passed).then(|| Duration::from_micros(wait.max(1)));
        Ok(Taken { limit: rate.requests, remaining, reset: Duration::from_micros(reset), retry_after })
    }

    /// Tells a message to everybody who subscribed to `channel`, on this replica too. Nobody learns whether it arrived: it is
    /// dropped while the server is away, and when too many wait.
    pub fn publish(&self, channel: &str, message: String) {
        if self.to_publish.try_send((self.settings.full_name(channel), message)).is_err() {
            self.link.skip();
        }
    }

    /// The messages that are published on `channel` from now on. Those that are published while there is no connection are
    /// missed; the connection is made again by itself, until the receiver is dropped.
    #[must_use]
    pub fn subscribe(&self, channel: &str) -> Receiver<String> {
        let (messages, receiver) = mpsc::channel(MOST_WAITING);
        let subscription = Subscription::new(self.link.client().clone(), self.settings.full_name(channel), messages);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        match tasks.control.clone() {
            None => tasks.waiting.push(subscription),
            Some(control) => {
                tasks.running.retain(|task| !task.is_finished());
                tasks.running.push(control.spawn(subscription.follow()).abort_handle());
            }
        }
        receiver
    }

    /// Whether the server answered when it was last asked.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.link.is_up()
    }

    /// How many questions had no answer, by why.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.link.failures()
    }
}

impl Drop for SharedCounters {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.running.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for SharedCounters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedCounters").field("settings", &self.settings).finish_non_exhaustive()
    }
}
