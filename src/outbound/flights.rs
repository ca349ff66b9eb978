//! Owns: asking once for what many want to know at the same time.
//! Refuses: more questions under way than its bound.
//! Always holds: whoever joins gets the answer of a question that was asked for the very same key; a question goes on, and others
//! may join it, even if whoever asked first has left.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::watch};

/// The questions under way, by what they ask.
pub struct Flights<K, V> {
    under_way: Mutex<HashMap<K, watch::Receiver<Option<V>>>>,
    most: usize,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlightError {
    /// As many questions are under way as may be.
    #[error("too many questions are under way")]
    TooMany,
    /// Whoever asked was stopped.
    #[error("the question was given up")]
    GivenUp,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// None under way, and never more than `most`.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { under_way: Mutex::default(), most })
    }

    /// The answer to the question under way for `key`, or else to the one that `ask` asks, on the runtime of `control`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn join<F>(self: &Arc<Self>, key: K, control: &Handle, ask: impl FnOnce() -> F) -> Result<V, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.join_within(self.most, key, control, ask).await
    }

    /// The same, but a new question is asked only if fewer than `places` are under way.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn join_within<F>(
        self: &Arc<Self>,
        places: usize,
        key: K,
        control: &Handle,
        ask: impl FnOnce() -> F,
    ) -> Result<V, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut answer = self.board(places, key, control, ask)?;
        let answered = answer.wait_for(Option::is_some).await.map_err(|_| FlightError::GivenUp)?;
        answered.clone().ok_or(FlightError::GivenUp)
    }

    /// Asks in the background, unless the same question is under way.
    ///
    /// # Errors
    /// As many questions are under way as may be.
    pub fn ask_ahead<F>(self: &Arc<Self>, key: K, control: &Handle, ask: impl FnOnce() -> F) -> Result<(), FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.board(self.most, key, control, ask).map(drop)
    }

    fn board<F>(
        self: &Arc<Self>,
        places: usize,
        key: K,
        control: &Handle,
        ask: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Option<V>>, FlightError>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = under_way.get(&key) {
            return Ok(answer.clone());
        }
        if under_way.len() >= places.min(self.most) {
            return Err(FlightError::TooMany);
        }
        let (sender, answer) = watch::channel(None);
        under_way.insert(key.clone(), answer.clone());
        drop(under_way);
        // It lands however it ends: also if it panics, or the runtime stops before it begins.
        let landing = Landing { flights: Arc::clone(self), key };
        let question = ask();
        control.spawn(async move {
            let landing = landing;
            let answer = question.await;
            // Whoever comes from now on asks anew; whoever waits has the channel.
            drop(landing);
            let _nobody_waits = sender.send(Some(answer));
        });
        Ok(answer)
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Takes its flight off the board when it is dropped.
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flights").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::Poll,
    };

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn many_ask_one_goes() {
        let (flights, control) = (Flights::new(2), Handle::current());
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let question = |answer: u32| {
            let (asked, gate) = (Arc::clone(&asked), Arc::clone(&gate));
            move || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let _permit = gate.acquire().await;
                answer
            }
        };
        let aboard = Arc::new(AtomicUsize::new(0));
        let joined: Vec<_> = (0..100)
            .map(|number| {
                let (flights, control, question) = (Arc::clone(&flights), control.clone(), question(number % 2));
                let aboard = Arc::clone(&aboard);
                tokio::spawn(async move {
                    let mut joining = pin!(flights.join(number % 2, &control, question));
                    assert!(poll_fn(|context| Poll::Ready(joining.as_mut().poll(context).is_pending())).await);
                    aboard.fetch_add(1, Ordering::SeqCst);
                    joining.await
                })
            })
            .collect();
        // Whoever came after the answer would ask anew.
        while asked.load(Ordering::SeqCst) < 2 || aboard.load(Ordering::SeqCst) < 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(flights.join(7, &control, question(7)).await, Err(FlightError::TooMany));
        let within = |places| flights.join_within(places, 8, &control, question(8));
        assert_eq!((within(1).await, within(9).await), (Err(FlightError::TooMany), Err(FlightError::TooMany)));
        gate.add_permits(10);
        for (number, answer) in (0..100).zip(joined) {
            assert_eq!(answer.await.unwrap(), Ok(number % 2));
        }
        assert_eq!((asked.load(Ordering::SeqCst), flights.under_way()), (2, 0));
        assert_eq!(flights.join(0, &control, question(5)).await, Ok(5), "what is over is asked anew");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_that_panics_is_given_up_and_can_be_asked_again() {
        let (flights, control) = (Flights::new(2), Handle::current());
        let panics = || async { panic!("on purpose") };
        assert_eq!(flights.join(1, &control, panics).await, Err::<u32, _>(FlightError::GivenUp));
        assert_eq!(flights.join(1, &control, || async { 3 }).await, Ok(3));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_question_outlives_whoever_asked_it() {
        let (flights, control) = (Flights::new(2), Handle::current());
        let gate = Arc::new(Semaphore::new(0));
        let waiting = Arc::clone(&gate);
        let ask = || async move {
            let _permit = waiting.acquire().await;
            9
        };
        flights.ask_ahead(1, &control, ask).unwrap();
        assert_eq!(flights.under_way(), 1);
        let joining = flights.join(1, &control, || async { 0 });
        gate.add_permits(1);
        assert_eq!(joining.await, Ok(9));
    }
}
