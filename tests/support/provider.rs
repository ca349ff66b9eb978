//! An outside provider of tokens: a token endpoint at every path, with introspection and revocation beside it, that answers by
//! a script and writes down all that it was asked and all that it issued.
//!
//! It is honest unless told otherwise: whoever proves to be one of its clients gets a token of its own, others are refused in
//! the shape that it speaks. Everything about it can be changed while it runs.

mod asked;
mod conduct;
mod ledger;
mod serve;
mod shape;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::Ordering},
};

use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub(crate) use self::{
    asked::{Asked, Placed},
    conduct::{Conduct, Said},
    ledger::Issued,
    shape::Shape,
};
use self::{conduct::Script, ledger::Ledger, serve::House};

/// A server on loopback, at a port that the kernel chose.
pub(crate) struct ScriptedProvider {
    pub(crate) address: SocketAddr,
    house: Arc<House>,
    task: Mutex<JoinHandle<()>>,
}

impl ScriptedProvider {
    /// One that speaks `shape` and has no clients yet.
    pub(crate) async fn start(shape: Shape) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let house = Arc::new(House {
            script: Mutex::new(Script::speaking(shape)),
            ledger: Ledger::default(),
            held: watch::channel(false).0,
            connections: watch::channel(0).0,
            opened: 0.into(),
        });
        let task = Mutex::new(tokio::spawn(accept(listener, Arc::clone(&house))));
        Self { address, house, task }
    }

    /// A URL at it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Knows a client from now on, or another secret of one that it knows.
    pub(crate) fn client(&self, id: &str, secret: &str) {
        self.script(|script| script.secrets.entry(id.to_owned()).or_default().push(secret.to_owned()));
    }

    /// Forgets a client and its secrets.
    pub(crate) fn forget(&self, id: &str) {
        self.script(|script| drop(script.secrets.remove(id)));
    }

    /// Takes every assertion that names this client as its `sub`, whoever signed it.
    pub(crate) fn believe_assertions_of(&self, id: &str) {
        self.script(|script| script.asserting.push(id.to_owned()));
    }

    /// Behaves so from now on.
    pub(crate) fn conduct(&self, conduct: Conduct) {
        self.script(|script| script.conduct = conduct);
    }

    /// Behaves so once for each of them, in this order, before what it does otherwise.
    pub(crate) fn once(&self, conducts: impl IntoIterator<Item = Conduct>) {
        self.script(|script| script.next.extend(conducts));
    }

    /// Behaves so at one path from now on, whatever it does at others.
    pub(crate) fn conduct_at(&self, path: &str, conduct: Conduct) {
        self.script(|script| drop(script.at.insert(path.to_owned(), conduct)));
    }

    /// Speaks another shape from now on.
    pub(crate) fn speak(&self, shape: Shape) {
        self.script(|script| script.shape = shape);
    }

    /// Says this as the lifetime of its tokens: a number, a text, anything; `None`: nothing at all.
    pub(crate) fn lifetime(&self, expires_in: Option<Value>) {
        self.script(|script| script.expires_in = expires_in);
    }

    /// Says this header, too, in every answer; a content type replaces its own.
    pub(crate) fn header(&self, name: &'static str, value: &str) {
        self.script(|script| script.headers.push((name, value.to_owned())));
    }

    /// Makes its tokens like this from now on, instead of opaque ones that are all different.
    pub(crate) fn mint(&self, mint: impl Fn(&Issued) -> String + Send + Sync + 'static) {
        self.script(|script| script.mint = Arc::new(mint));
    }

    /// From now on requests are recorded, and answered only after [`Self::release`].
    pub(crate) fn hold(&self) {
        self.house.held.send_replace(true);
    }

    /// Answers what was held back, and all that follows.
    pub(crate) fn release(&self) {
        self.house.held.send_replace(false);
    }

    /// All that it was asked so far, at every path.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.house.ledger.asked()
    }

    /// How often it was asked so far.
    pub(crate) fn count(&self) -> usize {
        self.house.ledger.count()
    }

    /// How often it was asked so far in the name of this client, rightly or wrongly.
    pub(crate) fn count_of(&self, client_id: &str) -> usize {
        self.asked().iter().filter(|asked| asked.client_id().as_deref() == Some(client_id)).count()
    }

    /// The last thing that it was asked.
    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().expect("the provider was asked")
    }

    /// All tokens that it made so far, also those that never reached anybody.
    pub(crate) fn issued(&self) -> Vec<Issued> {
        self.house.ledger.issued()
    }

    /// Who a token was made for; none if it is none of its own.
    pub(crate) fn owner_of(&self, token: &str) -> Option<String> {
        self.house.ledger.find(token).map(|issued| issued.client_id)
    }

    /// Whether one of its tokens was revoked.
    pub(crate) fn is_revoked(&self, token: &str) -> bool {
        self.house.ledger.is_revoked(token)
    }

    /// The most requests that it was busy with at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.house.ledger.most_at_once()
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.house.opened.load(Ordering::SeqCst)
    }

    /// Closes every connection that is open now, and goes on listening.
    pub(crate) fn close_connections(&self) {
        self.house.connections.send_modify(|generation| *generation += 1);
    }

    /// Goes away: its connections are closed, and whoever connects from now on is refused.
    pub(crate) async fn go_down(&self) {
        let task = std::mem::replace(&mut *self.task.lock().expect("not poisoned"), tokio::spawn(async {}));
        task.abort();
        // The socket is closed once the task is gone.
        let _ = task.await;
    }

    /// Comes back at the same address.
    pub(crate) async fn come_back(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its own port");
        let task = tokio::spawn(accept(listener, Arc::clone(&self.house)));
        *self.task.lock().expect("not poisoned") = task;
    }

    fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.house.script.lock().expect("not poisoned"));
    }
}

impl Drop for ScriptedProvider {
    fn drop(&mut self) {
        self.task.lock().expect("not poisoned").abort();
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    // Dropped with the task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        house.opened.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve::connection(stream, Arc::clone(&house)));
        while connections.try_join_next().is_some() {}
    }
}
