//! It is stopped and started again while everybody goes on asking.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{
    house::{BILLING, House, REPORTS, asks, post_form},
    opaque,
};
use crate::support::{
    client::HttpClient,
    issuing::{claims_of, token_in},
    real_provider::{ARCHIVE, ORDERS},
    wait::until,
};

const ENDPOINT: &str = r#"
[token_endpoints.plain]
path = "/plain/token"
forward = "${PROVIDER}/token"
provider = { authentication = "client_secret_basic", connect_timeout = "1s", timeout = "2s" }
lockout = { failures = 0 }
"#;

/// What became of the requests of one kind, by status.
type Tally = BTreeMap<u16, usize>;

/// Who asks for what, until it is stopped.
#[derive(Default)]
struct Load {
    stop: Arc<AtomicBool>,
    tallies: Arc<Mutex<BTreeMap<&'static str, Tally>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Goes on asking on a connection of its own; what `ask` gives are statuses by kind.
    fn add<F>(&mut self, mut ask: impl FnMut(HttpClient) -> F + Send + 'static)
    where
        F: Future<Output = Vec<(&'static str, u16)>> + Send,
    {
        let (stop, tallies) = (Arc::clone(&self.stop), Arc::clone(&self.tallies));
        self.tasks.push(tokio::spawn(async move {
            let client = HttpClient::http1();
            while !stop.load(Ordering::SeqCst) {
                for (kind, status) in ask(client.clone()).await {
                    let mut tallies = tallies.lock().expect("not poisoned");
                    *tallies.entry(kind).or_default().entry(status).or_default() += 1;
                }
            }
        }));
    }

    fn seen(&self, kind: &'static str, status: u16) -> usize {
        let tallies = self.tallies.lock().expect("not poisoned");
        tallies.get(kind).and_then(|tally| tally.get(&status)).copied().unwrap_or_default()
    }

    /// Waits until `more` of a kind have ended so.
    async fn until(&self, kind: &'static str, status: u16, more: usize) {
        let wanted = self.seen(kind, status) + more;
        until(&format!("{more} more of: {kind} {status}"), || async {
            let failed = self.tasks.iter().any(JoinHandle::is_finished);
            (failed || self.seen(kind, status) >= wanted).then_some(())
        })
        .await;
    }

    async fn end(self) -> BTreeMap<&'static str, Tally> {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("nothing that cannot be");
        }
        Arc::into_inner(self.tallies).expect("nobody else").into_inner().expect("not poisoned")
    }
}

#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn a_provider_that_goes_and_comes_back_causes_no_wrong_401() {
    let mut house = House::open(&format!("{}{ENDPOINT}", opaque::CONFIG)).await;
    let (endpoint, orders, archive) =
        (house.gateway.url("/plain/token"), house.gateway.url("/orders/1"), house.gateway.url("/archive/1"));
    // Tokens of known keys: some that the gateway sees again and again, and many that it has never seen.
    let mut unseen = Vec::new();
    for _ in 0..1000 {
        unseen.push(house.ask_provider(ORDERS, "orders:read").await);
    }
    let (again, unseen) = (unseen[0].clone(), Arc::new(Mutex::new(unseen)));
    let opaque = house.ask_provider(ARCHIVE, "orders:read").await;
    let mut load = Load::default();
    for _ in 0..2 {
        let (url, again, unseen) = (orders.clone(), again.clone(), Arc::clone(&unseen));
        load.add(move |client| {
            let (url, again, next) = (url.clone(), again.clone(), unseen.lock().expect("not poisoned").pop());
            async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                let mut seen = vec![("route, seen", client.get(&url, Some(&again)).await.status.as_u16())];
                if let Some(next) = next {
                    seen.push(("route, unseen", client.get(&url, Some(&next)).await.status.as_u16()));
                }
                seen
            }
        });
    }
    for (id, secret) in [("billing", BILLING), ("reports", REPORTS), ("billing", "wrong")] {
        let (endpoint, orders) = (endpoint.clone(), orders.clone());
        load.add(move |client| {
            let (endpoint, orders) = (endpoint.clone(), orders.clone());
            async move {
                let form = asks(ORDERS, "orders:read");
                let answer = post_form(&client, &endpoint, Some((id, secret)), &form).await;
                let status = answer.status.as_u16();
                assert_eq!(answer.header("cache-control"), "no-store");
                if status == 503 {
                    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
                }
                if secret == "wrong" {
                    return vec![("refused", status)];
                }
                if status != 200 {
                    return vec![("token", status)];
                }
                let token = token_in(&answer);
                assert_eq!(claims_of(&token)["client_id"], id);
                vec![("token", 200), ("route, new", client.get(&orders, Some(&token)).await.status.as_u16())]
            }
        });
    }
    load.add(move |client| {
        let (url, opaque) = (archive.clone(), opaque.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            vec![("opaque", client.get(&url, Some(&opaque)).await.status.as_u16())]
        }
    });

    for round in 0..3 {
        for kind in ["route, seen", "route, unseen", "route, new", "token", "opaque"] {
            load.until(kind, 200, 10).await;
        }
        load.until("refused", 401, 5).await;
        house.provider.go_down();
        for kind in ["token", "refused", "opaque"] {
            load.until(kind, 503, 5).await;
        }
        for kind in ["route, seen", "route, unseen"] {
            load.until(kind, 200, 10).await;
        }
        house.provider.come_back().await;
        if round == 1 {
            load.until("token", 200, 10).await;
            house.provider.rotate().await;
        }
    }
    load.until("route, new", 200, 20).await;
    load.until("opaque", 200, 5).await;

    let ledger = load.end().await;
    let statuses = |kind: &str| ledger[kind].keys().copied().collect::<Vec<_>>();
    for (kind, allowed) in [
        ("route, seen", &[200][..]),
        ("route, unseen", &[200]),
        ("route, new", &[200]),
        ("token", &[200, 503]),
        ("opaque", &[200, 503]),
        ("refused", &[401, 503]),
    ] {
        assert_eq!(statuses(kind), allowed, "{kind}: {ledger:?}");
    }
}
