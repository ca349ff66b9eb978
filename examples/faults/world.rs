//! Everything that stands around the gateway, and the gateway.

use std::{
    net::{SocketAddr, TcpListener},
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::Mutex as WaitingMutex, task::JoinHandle};

use crate::{
    book::{Book, Figures},
    configuration::{File, Site, Surroundings},
    gateway::Gateway,
    issuance::{self, Acknowledged},
    load,
    mint::Mint,
    relay::Relay,
    support::{client::HttpClient, forge::SigningKey, issuer::ScriptedIssuer},
    upstream::{self, Record},
};

/// Shared by all that works in it.
#[derive(Clone)]
pub(crate) struct World(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) book: Book,
    pub(crate) mint: Mint,
    pub(crate) acknowledged: Acknowledged,
    pub(crate) issuer: ScriptedIssuer,
    pub(crate) key: Mutex<Arc<SigningKey>>,
    pub(crate) relays: [Relay; 2],
    pub(crate) record: Record,
    pub(crate) folder: TempDir,
    /// The gateway of each of the two sites, of which one works but for a moment.
    pub(crate) gateways: WaitingMutex<[Option<Gateway>; 2]>,
    pub(crate) panics: Mutex<Vec<String>>,
    files: [File; 2],
    sites: [Site; 2],
    site: ArcSwap<usize>,
    handing_over: AtomicBool,
    over: AtomicBool,
}

impl Deref for World {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl World {
    /// Builds all of it, and waits until it works.
    pub(crate) async fn build(seed: u64) -> Self {
        let key = Arc::new(SigningKey::es256(&format!("key-{seed}-0")));
        let issuer = ScriptedIssuer::start(&[&key]).await;
        let record = Record::default();
        let relays = [
            Relay::to(upstream::start(Arc::clone(&record)).await).await,
            Relay::to(upstream::start(Arc::clone(&record)).await).await,
        ];
        let folder = tempfile::tempdir().expect("a folder");
        let surroundings = Surroundings { issuer: issuer.name(), upstreams: [relays[0].address, relays[1].address] };
        let [a, b, c, d] = ports();
        let sites = [Site { public: a, admin: b }, Site { public: c, admin: d }];
        let write = |index: usize, name| File::write(folder.path(), name, sites[index], &surroundings);
        let files = [write(0, "first"), write(1, "second")];
        let gateway = Gateway::start(folder.path(), &files[0].path).await;
        let world = Self(Arc::new(Parts {
            book: Book::new(),
            mint: Mint::new(&issuer.name(), Arc::clone(&key)),
            acknowledged: Acknowledged::default(),
            key: Mutex::new(key),
            issuer,
            relays,
            record,
            folder,
            gateways: WaitingMutex::new([Some(gateway), None]),
            panics: Mutex::default(),
            files,
            sites,
            site: ArcSwap::from_pointee(0),
            handing_over: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }));
        assert!(load::all_is_well(&world, Duration::from_secs(30)).await, "the gateway does not come up");
        world
    }

    /// Sets everybody to work.
    pub(crate) fn work(&self, callers: usize, seed: u64) -> Vec<JoinHandle<()>> {
        let mut working = vec![
            tokio::spawn(issuance::issue_and_revoke(self.clone())),
            tokio::spawn(issuance::issue_and_revoke(self.clone())),
        ];
        for index in 0..callers {
            let seed = seed.wrapping_mul(1000).wrapping_add(index as u64);
            working.push(tokio::spawn(load::call_on(self.clone(), seed, index % 3 == 0)));
        }
        working
    }

    /// Sends everybody home, looks whether everything is there, and stops the gateway.
    pub(crate) async fn finish(&self, working: Vec<JoinHandle<()>>) {
        self.over.store(true, Ordering::SeqCst);
        for task in working {
            if let Err(error) = task.await {
                self.book.complain(format!("somebody who called failed: {error}"));
            }
        }
        issuance::look(self).await;
        let mut gateways = self.gateways.lock().await;
        if let Some(gateway) = &mut gateways[self.site_index()] {
            gateway.terminate();
            if !gateway.ends_well().await {
                self.book.complain("the gateway does not stop when it is asked to");
            }
        }
        for gateway in gateways.iter_mut().filter_map(Option::take) {
            self.mourn(gateway);
        }
    }
}

impl Parts {
    /// Where requests go.
    pub(crate) fn site(&self) -> Site {
        self.sites[self.site_index()]
    }

    /// Which of the two sites that is.
    pub(crate) fn site_index(&self) -> usize {
        **self.site.load()
    }

    /// Requests go there from now on.
    pub(crate) fn move_to(&self, index: usize) {
        self.site.store(Arc::new(index));
    }

    /// The configuration of the gateway that works.
    pub(crate) fn file(&self) -> &File {
        &self.files[self.site_index()]
    }

    /// The configuration of a site.
    pub(crate) fn file_of(&self, index: usize) -> &File {
        &self.files[index]
    }

    /// Whether another process has to know of revocations soon.
    pub(crate) fn is_handing_over(&self) -> bool {
        self.handing_over.load(Ordering::SeqCst)
    }

    /// Whether it has, from now on.
    pub(crate) fn hand_over(&self, is_near: bool) {
        self.handing_over.store(is_near, Ordering::SeqCst);
    }

    /// Whether the run is over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Remembers the panics of a gateway that goes.
    pub(crate) fn mourn(&self, gateway: Gateway) {
        self.panics.lock().expect("not poisoned").extend(gateway.panics());
    }

    /// Enters what the gateway takes.
    pub(crate) async fn measure(&self) {
        let gateways = self.gateways.lock().await;
        if let Some(gateway) = &gateways[self.site_index()] {
            self.book.measure(Figures {
                at: Instant::now(),
                process: gateway.id(),
                resident_bytes: gateway.resident_bytes(),
                descriptors: gateway.descriptors(),
            });
        }
    }

    /// The value of a metric without labels, or with these, as they are written; nothing if nobody answers.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let client = HttpClient::http1();
        let url = format!("http://{}/metrics", self.site().admin);
        let request = crate::support::client::request(Method::GET, &url, None);
        let answer = tokio::time::timeout(Duration::from_secs(10), client.try_send(request)).await.ok()?.ok()?;
        let text = answer.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok())
    }

    /// Whether the operator's listener answers within a second.
    pub(crate) async fn answers_its_operator(&self) -> bool {
        let client = HttpClient::http1();
        let asking = issuance::manage(&client, self.site(), Method::GET, "/config", &Value::Null);
        tokio::time::timeout(Duration::from_secs(1), asking).await.is_ok_and(|answer| answer.is_some())
    }
}

/// Four ports that nobody uses at the moment.
fn ports() -> [SocketAddr; 4] {
    let held = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("an address"))
}
