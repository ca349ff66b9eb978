//! Its keys change while its tokens are used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;

use super::house::{House, post_form, reports_asks};
use crate::support::{
    client::HttpClient,
    issuing::{key_of, token_in},
    real_provider::{LEDGER, ORDERS},
    wait::until,
};

/// Each token is used once as soon as there is it, and once more when its key has been replaced.
#[tokio::test]
#[ignore = "needs npm's oidc-provider: run by the step `provider` of scripts/test"]
async fn keys_that_change_under_load_give_no_wrong_401() {
    let house = House::open("").await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = [(ORDERS, "/orders/1"), (LEDGER, "/ledger/1"), (ORDERS, "/orders/2"), (LEDGER, "/ledger/2")];
    let load: Vec<_> = load
        .map(|(resource, path)| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (provider, url) = (format!("{}/token", house.provider.name()), house.gateway.url(path));
            tokio::spawn(async move {
                let client = HttpClient::http1();
                let mut seen = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let answer = post_form(&client, &provider, None, &reports_asks(resource, "orders:read")).await;
                    seen.push(token_in(&answer));
                    // The newest, and one that may be of the key before.
                    for token in [seen.len() - 1, seen.len() / 2].map(|index| &seen[index]) {
                        let answer = client.get(&url, Some(token)).await;
                        assert_eq!(answer.status, StatusCode::OK, "{} with {}", answer.text(), key_of(token));
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
                seen.iter().map(|token| key_of(token)).collect::<Vec<_>>()
            })
        })
        .into();
    for generation in 2..6 {
        let before = answered.load(Ordering::SeqCst);
        until("requests under the key", || async {
            // A load that failed answers nothing any more; its own words come out below.
            let enough = answered.load(Ordering::SeqCst) > before + 40 || load.iter().any(|task| task.is_finished());
            enough.then_some(())
        })
        .await;
        // Not to wait for anything: this is how often this provider changes its keys, which is more often than any should.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(house.provider.rotate().await, format!("g{generation}"));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::SeqCst);
    let mut keys: Vec<String> = Vec::new();
    for task in load {
        keys.extend(task.await.expect("every request is answered 200"));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 10, "each of five generations has signed under both algorithms: {keys:?}");
    assert_eq!(house.upstream.count(), answered.load(Ordering::SeqCst));
}
