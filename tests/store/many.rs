//! A hundred thousand tokens: recording, listing, revoking, loading and sweeping them.

use std::time::{Duration, Instant};

use postern::{
    config::StoreConfig,
    store::{IssuedFilter, IssuedToken, REVOKED_AT_ONCE, Selection, Store},
};

use crate::{NOW, after, on_both, token};

on_both!(a_hundred_thousand_tokens);

const MANY: usize = 100_000;
const BATCH: usize = 500;

async fn a_hundred_thousand_tokens(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let begun = Instant::now();
    for batch in 0..MANY / BATCH {
        let client_id = format!("client-{}", batch % 10);
        let issued_at = after(batch as u64);
        let new = || IssuedToken { client_id: client_id.clone(), issued_at, ..token() };
        store.record_issued(&std::iter::repeat_with(new).take(BATCH).collect::<Vec<_>>()).await.unwrap();
    }
    let recorded = begun.elapsed();

    let filter = IssuedFilter { client_id: Some("client-3".to_owned()), live_at: Some(NOW), ..IssuedFilter::default() };
    let (mut listed, mut place, mut slowest) = (0, None, Duration::ZERO);
    loop {
        let begun = Instant::now();
        let page = store.issued(&filter, 1000, place.as_ref()).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        listed += page.tokens.len();
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(listed, MANY / 10);

    let begun = Instant::now();
    let (mut revoked, mut last) = (0, REVOKED_AT_ONCE);
    while last == REVOKED_AT_ONCE {
        let mut change = store.change().await.unwrap();
        last = change.revoke(&Selection::Key("k1".to_owned()), NOW).await.unwrap();
        change.commit().await.unwrap();
        revoked += last;
    }
    let revoking = begun.elapsed();
    assert_eq!(revoked, MANY as u64);

    let begun = Instant::now();
    let mut names: Vec<_> = store.load().await.unwrap().revoked.into_iter().map(|revoked| revoked.token).collect();
    let loading = begun.elapsed();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), MANY, "each is there once");

    let begun = Instant::now();
    let swept = store.prune(after(3600 + 600)).await.unwrap();
    let sweeping = begun.elapsed();
    assert_eq!((swept.issued, swept.revocations), (MANY as u64, MANY as u64));
    println!(
        "recorded in {recorded:?}, slowest page {slowest:?}, revoked in {revoking:?}, loaded in {loading:?}, \
         swept in {sweeping:?}"
    );
    assert!(recorded < Duration::from_secs(60), "{recorded:?}");
}
