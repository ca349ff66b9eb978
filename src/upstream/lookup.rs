//! Owns: looking up names, one lookup of a name at a time for each worker.
//! Refuses: a second lookup of a name beside one that hangs: each holds a thread until the system's resolver gives up.
//! Always holds: an answer goes to those who waited for it and is not remembered.

use std::{cell::RefCell, collections::HashMap, future::Future, io, net::IpAddr, rc::Rc, sync::Arc};

use futures_util::future::{FutureExt, Shared};
use tokio::{net::lookup_host, sync::oneshot};

type Answer = Result<Arc<[IpAddr]>, Arc<io::Error>>;

/// The lookups of one worker that are under way.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    under_way: RefCell<HashMap<Box<str>, Shared<oneshot::Receiver<Answer>>>>,
}

impl Lookups {
    /// The addresses of `name`. Who stops waiting does not stop the lookup: the next one waits for the same.
    pub(super) async fn addresses(self: &Rc<Self>, name: &str) -> Answer {
        let owned = name.to_owned();
        self.share(name, || async move {
            let found: io::Result<Arc<[IpAddr]>> =
                lookup_host((owned.as_str(), 0)).await.map(|found| found.map(|address| address.ip()).collect());
            found.map_err(Arc::new)
        })
        .await
    }

    async fn share<F: Future<Output = Answer> + 'static>(
        self: &Rc<Self>,
        name: &str,
        look_up: impl FnOnce() -> F,
    ) -> Answer {
        let under_way = self.under_way.borrow().get(name).cloned();
        let answer = under_way.unwrap_or_else(|| self.begin(name, look_up()));
        answer.await.unwrap_or_else(|_| Err(Arc::new(io::Error::other("the lookup was given up"))))
    }

    fn begin(
        self: &Rc<Self>,
        name: &str,
        lookup: impl Future<Output = Answer> + 'static,
    ) -> Shared<oneshot::Receiver<Answer>> {
        let (tell, answer) = oneshot::channel();
        let answer = answer.shared();
        self.under_way.borrow_mut().insert(name.into(), answer.clone());
        let (lookups, name) = (Rc::clone(self), Box::<str>::from(name));
        drop(tokio::task::spawn_local(async move {
            let found = lookup.await;
            lookups.under_way.borrow_mut().remove(&name);
            // Nobody may be left to hear it.
            let _ = tell.send(found);
        }));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, net::Ipv4Addr, time::Duration};

    use tokio::{sync::Notify, task::LocalSet, time::timeout};

    use super::*;

    #[test]
    fn those_who_give_up_and_those_who_come_later_share_one_lookup() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let lookups = Rc::new(Lookups::default());
            let (begun, resolver) = (Rc::new(Cell::new(0)), Rc::new(Notify::new()));
            let look_up = |name: &'static str| {
                let (lookups, begun, resolver) = (Rc::clone(&lookups), Rc::clone(&begun), Rc::clone(&resolver));
                async move {
                    let hangs = || async move {
                        begun.set(begun.get() + 1);
                        resolver.notified().await;
                        Ok(Arc::from([IpAddr::from(Ipv4Addr::new(10, 0, 0, begun.get()))]))
                    };
                    lookups.share(name, hangs).await
                }
            };
            for _ in 0..3 {
                assert!(timeout(Duration::from_millis(5), look_up("orders")).await.is_err());
            }
            assert_eq!(begun.get(), 1);
            let other = tokio::task::spawn_local(look_up("billing"));
            let (one, two, ()) = tokio::join!(look_up("orders"), look_up("orders"), async {
                tokio::task::yield_now().await;
                resolver.notify_waiters();
            });
            assert_eq!((one.unwrap(), begun.get()), (two.unwrap(), 2));
            other.await.unwrap().unwrap();
            resolver.notify_one();
            look_up("orders").await.unwrap();
            assert_eq!(begun.get(), 3, "an answer is not remembered");
        });
    }
}
