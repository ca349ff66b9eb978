//! Revoking recorded tokens by what they have in common, and forgetting those that have ended.

use postern::{
    clock::UnixTime,
    config::StoreConfig,
    id::TokenId,
    store::{IssuedFilter, IssuedToken, Revision, Revoked, Selection, Store},
};

use crate::{NOW, after, on_both, token, two};

on_both!(
    a_selection_names_the_tokens,
    a_token_is_revoked_once_and_all_hear_of_it,
    a_token_that_was_not_recorded_can_be_revoked,
    only_what_has_expired_is_forgotten,
);

async fn revoke(store: &Store, what: &Selection, at: UnixTime) -> u64 {
    let mut change = store.change().await.unwrap();
    let count = change.revoke(what, at).await.unwrap();
    change.commit().await.unwrap();
    count
}

async fn a_selection_names_the_tokens(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let client = IssuedToken { client_id: "c".to_owned(), ..token() };
    let owner = IssuedToken { owner: Some("o".to_owned()), ..token() };
    let tenant = IssuedToken { tenant: Some("t".to_owned()), ..token() };
    let key = IssuedToken { key_id: "k".to_owned(), expires_at: None, ..token() };
    let (named, one, another) = (token(), token(), token());
    let tokens = [&client, &owner, &tenant, &key, &named, &one, &another].map(Clone::clone);
    store.record_issued(&tokens).await.unwrap();
    let unknown = TokenId::generate();
    for (what, expected) in [
        (Selection::Token(unknown), vec![]),
        (Selection::Tokens(vec![]), vec![]),
        (Selection::Client("nobody' OR TRUE --".to_owned()), vec![]),
        (Selection::Client("c".to_owned()), vec![client.id]),
        (Selection::Owner("o".to_owned()), vec![owner.id]),
        (Selection::Tenant("t".to_owned()), vec![tenant.id]),
        (Selection::Key("k".to_owned()), vec![key.id]),
        (Selection::Token(named.id), vec![named.id]),
        (Selection::Tokens(vec![one.id, another.id, unknown]), vec![one.id, another.id]),
    ] {
        let before = store.load().await.unwrap().revision;
        assert_eq!(revoke(&store, &what, NOW).await, u64::try_from(expected.len()).unwrap(), "{what:?}");
        let revoked = store.changes_since(before).await.unwrap().revoked;
        let mut revoked: Vec<TokenId> = revoked.into_iter().map(|revoked| revoked.token).collect();
        let mut expected = expected;
        revoked.sort();
        expected.sort();
        assert_eq!(revoked, expected, "{what:?}");
        assert_eq!(revoke(&store, &what, NOW).await, 0, "{what:?}: they are revoked");
    }
}

async fn a_token_is_revoked_once_and_all_hear_of_it(location: StoreConfig) {
    let (one, other) = two(&location).await;
    let live = token();
    let expired = IssuedToken { expires_at: Some(NOW), ..token() };
    one.record_issued(&[live.clone(), expired]).await.unwrap();
    let all = Selection::Client("reports".to_owned());

    let mut dropped = one.change().await.unwrap();
    assert_eq!(dropped.revoke(&all, NOW).await.unwrap(), 2, "somebody may allow for a clock that is behind");
    drop(dropped);
    assert!(other.load().await.unwrap().revoked.is_empty());

    let attempts = (0..8).map(|attempt| {
        let (store, all) = (if attempt % 2 == 0 { one.clone() } else { other.clone() }, all.clone());
        tokio::spawn(async move { revoke(&store, &all, after(600)).await })
    });
    let mut counted = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        counted += attempt.await.unwrap();
    }
    assert_eq!(counted, 1, "it is counted where it was done");
    let revoked = [Revoked { token: live.id, expires_at: live.expires_at }];
    assert_eq!(other.changes_since(Revision::default()).await.unwrap().revoked, revoked);
    assert_eq!(one.load().await.unwrap().revoked, revoked);
    assert_eq!(other.find_issued(live.id).await.unwrap().unwrap().revoked_at, Some(after(600)));
}

async fn a_token_that_was_not_recorded_can_be_revoked(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let of = |expires_at| Selection::TokenOf { id: TokenId::generate(), expires_at };
    let (limited, unlimited) = (of(Some(after(1))), of(None));
    assert_eq!(revoke(&store, &limited, NOW).await, 1);
    assert_eq!(revoke(&store, &limited, NOW).await, 0);
    assert_eq!(revoke(&store, &unlimited, NOW).await, 1);
    assert_eq!(revoke(&store, &of(Some(NOW)), after(599)).await, 1, "somebody may allow for a clock that is behind");
    assert_eq!(revoke(&store, &of(Some(NOW)), after(600)).await, 0, "it has expired for everybody");
    assert_eq!(store.load().await.unwrap().revoked.len(), 3);
}

async fn only_what_has_expired_is_forgotten(location: StoreConfig) {
    let store = Store::open(&location).await.unwrap();
    let owned = |owner: &str, expires_at| IssuedToken { owner: Some(owner.to_owned()), expires_at, ..token() };
    let tokens = [
        owned("alice", Some(after(1))),
        owned("alice", Some(after(3))),
        owned("alice", None),
        owned("bob", Some(after(1))),
    ];
    store.record_issued(&tokens).await.unwrap();
    let everything = Selection::Tokens(tokens.iter().map(|token| token.id).collect());
    let mut change = store.change().await.unwrap();
    assert_eq!(change.forget_expired(&everything, Some("carol"), after(9)).await.unwrap(), 0);
    assert_eq!(change.forget_expired(&everything, Some("alice"), after(1)).await.unwrap(), 1);
    assert_eq!(change.forget_expired(&Selection::Token(tokens[2].id), None, after(9)).await.unwrap(), 0);
    assert_eq!(change.forget_expired(&Selection::Owner("bob".to_owned()), None, NOW).await.unwrap(), 0);
    assert_eq!(change.forget_expired(&Selection::Owner("bob".to_owned()), None, after(1)).await.unwrap(), 1);
    change.commit().await.unwrap();
    let left = store.issued(&IssuedFilter::default(), 10, None).await.unwrap().tokens;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|left| [tokens[1].id, tokens[2].id].contains(&left.token.id)));
}
