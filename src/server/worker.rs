//! Owns: what one worker thread runs: its share of every listener.
//! Refuses: blocking, and talking to other workers except through the orders it is given.
//! Always holds: an order about one listener leaves the connections of the others alone.

use std::{ops::AddAssign, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    select,
    sync::oneshot,
    task::{JoinError, JoinSet, spawn_local},
};

use super::{
    accept::serve_listener,
    control::{Order, WorkerSeat},
    handler::Handler,
    listener::Listener,
    overload::Gauge,
};

/// How the connections ended that were open when a worker, or one listener on it, was told to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// In order.
    pub finished: usize,
    /// Cut at the end of the grace period.
    pub cut: usize,
}

/// Serves every listener of `seat` with `handler` until [`super::Server::drain`], or until the server is dropped, which
/// cuts at once. Says how the connections ended, those of listeners that a reload had removed included.
///
/// To be awaited on a single-threaded runtime that allows `spawn_local`, one for each worker.
pub async fn run_worker<H: Handler>(handler: H, mut seat: WorkerSeat) -> DrainReport {
    let mut report = DrainReport::default();
    let mut serving = JoinSet::new();
    let mut open: Vec<(Arc<Listener>, oneshot::Sender<Duration>)> = Vec::new();
    let gauge = Gauge::new(seat.load, Arc::clone(&seat.counters));
    let watching = Rc::clone(&gauge);
    let watch = spawn_local(async move { watching.watch().await });
    let grace_period = loop {
        select! {
            order = seat.orders.recv() => match order {
                Some(Order::Listen { listener, socket }) => {
                    let (close, closed) = oneshot::channel();
                    open.push((Arc::clone(&listener), close));
                    let worker = Arc::clone(&seat.counters);
                    let gauge = Rc::clone(&gauge);
                    serving.spawn_local(serve_listener(handler.clone(), listener, socket, worker, gauge, closed));
                }
                Some(Order::Close { listener, grace_period }) => {
                    for (_, close) in open.extract_if(.., |(open, _)| Arc::ptr_eq(open, &listener)) {
                        // The other end is gone only if the listener has ended already.
                        let _ = close.send(grace_period);
                    }
                }
                Some(Order::LookAgain) => handler.configuration_changed(),
                Some(Order::Drain { grace_period }) => break grace_period,
                None => break Duration::ZERO,
            },
            Some(ended) = serving.join_next() => add(&mut report, ended),
        }
    };
    for (_, close) in open {
        let _ = close.send(grace_period);
    }
    while let Some(ended) = serving.join_next().await {
        add(&mut report, ended);
    }
    watch.abort();
    report
}

fn add(report: &mut DrainReport, ended: Result<DrainReport, JoinError>) {
    match ended {
        Ok(ended) => *report += ended,
        Err(error) => tracing::error!(%error, "a listener ended by a panic"),
    }
}

impl AddAssign for DrainReport {
    fn add_assign(&mut self, other: Self) {
        self.finished = self.finished.saturating_add(other.finished);
        self.cut = self.cut.saturating_add(other.cut);
    }
}
