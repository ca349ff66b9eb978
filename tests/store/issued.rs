//! The record of issued tokens.

use postern::{
    config::StoreConfig,
    id::TokenId,
    store::{IssuedCursor, IssuedFilter, IssuedToken, ListedToken, Selection, Store},
};

use crate::{NOW, after, on_both, token, two};

on_both!(
    a_token_is_found_as_it_was_recorded,
    a_token_is_recorded_once,
    filters_choose,
    pages_neither_repeat_nor_leave_out,
    many_ids_can_be_asked_for,
    a_key_is_needed_as_long_as_its_tokens_are_good,
    all_of_a_batch_is_recorded_or_none,
);

async fn a_token_is_found_as_it_was_recorded(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let bare = token();
    let full = IssuedToken {
        scope: Some("read write".to_owned()),
        name: Some("nightly \u{1f319}".to_owned()),
        owner: Some("o".to_owned()),
        tenant: Some("t".to_owned()),
        expires_at: None,
        original_claims: Some("{\"sub\":\"x\"}".to_owned()),
        ..token()
    };
    one.record_issued(&[bare.clone(), full.clone()]).await.unwrap();
    for token in [bare, full] {
        let found = other.find_issued(token.id).await.unwrap();
        assert_eq!(found, Some(ListedToken { token, revoked_at: None }));
    }
    assert_eq!(other.find_issued(TokenId::generate()).await.unwrap(), None);
    one.record_issued(&[]).await.unwrap();
}

async fn a_token_is_recorded_once(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let first = token();
    let second = IssuedToken { subject: "another".to_owned(), ..first.clone() };
    store.record_issued(&[first.clone(), second.clone()]).await.unwrap();
    store.record_issued(&[second, token()]).await.unwrap();
    assert_eq!(store.find_issued(first.id).await.unwrap().unwrap().token, first);
    assert_eq!(store.issued(&IssuedFilter::default(), 10, None).await.unwrap().tokens.len(), 2);
}

async fn filters_choose(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let plain = token();
    let client = IssuedToken { client_id: "other".to_owned(), ..token() };
    let owner = IssuedToken { owner: Some("alice".to_owned()), tenant: Some("acme".to_owned()), ..token() };
    let audience = IssuedToken { audience: "https://billing.example".to_owned(), ..token() };
    let key = IssuedToken { key_id: "k2".to_owned(), ..token() };
    let expired = IssuedToken { expires_at: Some(NOW), ..token() };
    let unlimited = IssuedToken { expires_at: None, ..token() };
    let revoked = token();
    let all = [&plain, &client, &owner, &audience, &key, &expired, &unlimited, &revoked].map(Clone::clone);
    store.record_issued(&all).await.unwrap();
    let mut change = store.change().await.unwrap();
    assert_eq!(change.revoke(&Selection::Token(revoked.id), after(1)).await.unwrap(), 1);
    change.commit().await.unwrap();

    let every = IssuedFilter::default();
    let some = |text: &str| Some(text.to_owned());
    let without = |unwanted: &[&IssuedToken]| {
        all.iter().filter(|token| !unwanted.iter().any(|one| one.id == token.id)).map(|token| token.id).collect()
    };
    let cases: [(&str, IssuedFilter, Vec<TokenId>); 11] = [
        ("everything", every.clone(), without(&[])),
        ("client", IssuedFilter { client_id: some("other"), ..every.clone() }, vec![client.id]),
        ("owner", IssuedFilter { owner: some("alice"), ..every.clone() }, vec![owner.id]),
        ("tenant", IssuedFilter { tenant: some("acme"), ..every.clone() }, vec![owner.id]),
        ("audience", IssuedFilter { audience: some("https://billing.example"), ..every.clone() }, vec![audience.id]),
        ("key", IssuedFilter { key_id: some("k2"), ..every.clone() }, vec![key.id]),
        (
            "ids",
            IssuedFilter { ids: vec![plain.id, key.id, key.id, TokenId::generate()], ..every.clone() },
            vec![plain.id, key.id],
        ),
        ("not revoked", IssuedFilter { include_revoked: false, ..every.clone() }, without(&[&revoked])),
        ("live", IssuedFilter { live_at: Some(NOW), ..every.clone() }, without(&[&expired])),
        ("live later", IssuedFilter { live_at: Some(after(3600)), ..every.clone() }, vec![unlimited.id]),
        ("both", IssuedFilter { owner: some("alice"), key_id: some("k2"), ..every }, vec![]),
    ];
    for (name, filter, mut expected) in cases {
        let page = store.issued(&filter, 100, None).await.unwrap();
        assert_eq!(page.next, None, "{name}");
        expected.sort();
        expected.reverse();
        // All of one moment, so the ids decide.
        assert_eq!(page.tokens.iter().map(|token| token.token.id).collect::<Vec<_>>(), expected, "{name}");
        for token in page.tokens {
            assert_eq!(token.revoked_at, (token.token.id == revoked.id).then(|| after(1)), "{name}");
        }
    }
}

async fn pages_neither_repeat_nor_leave_out(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    // Some of the same moment, more than fit on a page.
    let tokens: Vec<_> = (0..50).map(|number| IssuedToken { issued_at: after(number / 7), ..token() }).collect();
    store.record_issued(&tokens).await.unwrap();
    let (mut read, mut after_place): (Vec<ListedToken>, Option<IssuedCursor>) = (Vec::new(), None);
    loop {
        let page = store.issued(&IssuedFilter::default(), 5, after_place.as_ref()).await.unwrap();
        assert_eq!(page.tokens.len(), 5);
        read.extend(page.tokens);
        // What is issued meanwhile is newer, and on no later page.
        store.record_issued(&[IssuedToken { issued_at: after(100), ..token() }]).await.unwrap();
        let Some(next) = page.next else { break };
        after_place = IssuedCursor::parse(&next.to_string());
        assert_eq!(after_place, Some(next));
    }
    let mut expected = tokens;
    expected.sort_by_key(|token| std::cmp::Reverse((token.issued_at, token.id)));
    assert_eq!(read.into_iter().map(|listed| listed.token).collect::<Vec<_>>(), expected);
}

async fn many_ids_can_be_asked_for(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let tokens: Vec<_> = (0..2500).map(|number| IssuedToken { issued_at: after(number), ..token() }).collect();
    store.record_issued(&tokens).await.unwrap();
    let ids = tokens.iter().map(|token| token.id).collect();
    let filter = IssuedFilter { ids, ..IssuedFilter::default() };
    let first = store.issued(&filter, 2000, None).await.unwrap();
    let second = store.issued(&filter, 2000, first.next.as_ref()).await.unwrap();
    assert_eq!((first.tokens.len(), second.tokens.len(), second.next), (2000, 500, None));
    let read = first.tokens.into_iter().chain(second.tokens).map(|listed| listed.token);
    assert_eq!(read.collect::<Vec<_>>(), tokens.into_iter().rev().collect::<Vec<_>>());
}

async fn a_key_is_needed_as_long_as_its_tokens_are_good(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let unlimited = IssuedToken { key_id: "for ever".to_owned(), expires_at: None, ..token() };
    store.record_issued(&[token(), unlimited]).await.unwrap();
    for (key, at, needed) in [
        ("k1", after(3599), true),
        ("k1", after(3600), false),
        ("for ever", after(1 << 40), true),
        ("unknown", NOW, false),
    ] {
        assert_eq!(store.key_is_needed(key, at).await.unwrap(), needed, "{key} at {at:?}");
    }
}

async fn all_of_a_batch_is_recorded_or_none(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let mut tokens: Vec<_> = std::iter::repeat_with(token).take(300).collect();
    tokens[299].subject = "not\0storable".to_owned();
    let refused = store.record_issued(&tokens).await.unwrap_err();
    assert!(!refused.is_unavailable(), "{refused:?}");
    assert!(store.issued(&IssuedFilter::default(), 1, None).await.unwrap().tokens.is_empty());
    tokens.truncate(299);
    store.record_issued(&tokens).await.unwrap();
    assert_eq!(store.issued(&IssuedFilter::default(), 1000, None).await.unwrap().tokens.len(), 299);
}
