//! What may be used once only.

use postern::{config::StoreConfig, store::Store};

use crate::{NOW, after, on_both, two};

on_both!(
    an_assertion_is_taken_once_by_one_of_many,
    a_refresh_token_is_replaced_once_by_one_of_many,
    refresh_tokens_end
);

async fn an_assertion_is_taken_once_by_one_of_many(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let attempts = (0..50).map(|attempt| {
        let store = if attempt % 2 == 0 { one.clone() } else { other.clone() };
        tokio::spawn(async move { store.take_assertion("reports", "jti-1", after(60)).await.unwrap() })
    });
    let mut taken = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        taken += u32::from(attempt.await.unwrap());
    }
    assert_eq!(taken, 1);
    // Another client's, and another one.
    assert!(one.take_assertion("billing", "jti-1", after(60)).await.unwrap());
    assert!(one.take_assertion("reports", "jti-2\0", after(60)).await.unwrap());
    assert!(one.take_assertion("reports", &"long".repeat(10_000), after(60)).await.unwrap());
    one.close().await;
    let again = Store::open(&location).await.unwrap();
    assert!(!again.take_assertion("reports", "jti-1", after(60)).await.unwrap(), "a restart does not forget");
}

async fn a_refresh_token_is_replaced_once_by_one_of_many(location: StoreConfig) {
    let (one, other) = two(&location).await;
    one.put_refresh(&[1; 32], "api-token", after(60)).await.unwrap();
    let attempts = (0..20).map(|attempt| {
        let store = if attempt % 2 == 0 { one.clone() } else { other.clone() };
        let by = [attempt + 2; 32];
        tokio::spawn(async move { (by, store.replace_refresh(&[1; 32], &by, after(90), NOW).await.unwrap()) })
    });
    let mut replaced = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        let (by, done) = attempt.await.unwrap();
        let found = one.find_refresh(&by, after(89)).await.unwrap();
        assert_eq!(found.as_deref(), done.then_some("api-token"));
        replaced.extend(done.then_some(by));
    }
    assert_eq!(replaced.len(), 1);
    assert_eq!(one.find_refresh(&[1; 32], NOW).await.unwrap(), None, "it was used");
}

async fn refresh_tokens_end(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    for (hash, api_token) in [([1; 32], "a"), ([2; 32], "a"), ([3; 32], "b"), ([4; 32], "c")] {
        store.put_refresh(&hash, api_token, after(60)).await.unwrap();
    }
    assert!(!store.put_refresh(&[1; 32], "b", after(60)).await.unwrap_err().is_unavailable(), "it is there already");
    let mut change = store.change().await.unwrap();
    change.drop_refresh_of("a").await.unwrap();
    change.commit().await.unwrap();
    for (hash, now, expected) in [
        ([1; 32], NOW, None),
        ([2; 32], NOW, None),
        ([3; 32], after(60), None),
        ([3; 32], after(59), Some("b")),
        ([4; 32], NOW, Some("c")),
        ([5; 32], NOW, None),
    ] {
        let replaced = store.replace_refresh(&hash, &[9; 32], after(90), after(60)).await.unwrap();
        assert!(!replaced, "one that has ended, or is not there, is not replaced");
        assert_eq!(store.find_refresh(&hash, now).await.unwrap().as_deref(), expected, "{hash:?}");
    }
}
