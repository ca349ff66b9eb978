//! Owns: the tasks that keep names current, and their following the configuration in force.
//! Refuses: looking up a name that is not in force any more, whoever still holds its configuration.
//! Always holds: each name is looked up by one task, which goes on over a reload that keeps the name; all end with the last
//! configuration.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Name, pace};

/// The lookups that run. Goes from one configuration to the next.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Lookups {
    running: Mutex<Vec<Running>>,
}

/// The task of one name; it ends when it is dropped.
#[derive(Debug)]
struct Running {
    name: Weak<Name>,
    _task: JoinSet<()>,
}

impl Lookups {
    /// Keeps these names current, and no others.
    pub(in crate::upstream) fn follow<'a>(&self, names: impl Iterator<Item = &'a Arc<Name>>, control: &Handle) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = mem::take(&mut *running);
        for name in names {
            let same = before.iter().position(|known| known.name.as_ptr() == Arc::as_ptr(name));
            let same = same.map(|position| before.swap_remove(position));
            running.push(same.unwrap_or_else(|| Running::begin(name, control)));
        }
    }
}

impl Running {
    fn begin(name: &Arc<Name>, control: &Handle) -> Self {
        let mut task = JoinSet::new();
        task.spawn_on(keep_current(Arc::downgrade(name)), control);
        Self { name: Arc::downgrade(name), _task: task }
    }
}

/// Looks a name up again and again for as long as somebody has it.
async fn keep_current(name: Weak<Name>) {
    loop {
        let Some(strong) = name.upgrade() else { return };
        // A task of its own: whatever an answer does to those who read it, the next one is asked for.
        let looked_up = tokio::spawn(async move { strong.refresh().await }).await;
        sleep_until(looked_up.unwrap_or_else(|_| Instant::now() + pace::LONGEST)).await;
    }
}
