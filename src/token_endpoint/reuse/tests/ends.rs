//! What ends the reuse of a token, and what cannot bring it back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_refused_loses_all_that_it_got_and_no_other_does() {
    let house = House::open();
    for scope in ["a", "b"] {
        house.obtain_as(("billing", "s", scope), NOW, Ok).await.unwrap();
    }
    house.obtain("shipping", "s", NOW).await;
    // At a refresh, whoever asks is given the old token one more time.
    let due = at(LIFETIME - 300 - 290);
    let refused = |_| Err(refusal(ProviderRefusalKind::InvalidClient));
    assert!(house.obtain_as(("billing", "s", "a"), due, refused).await.unwrap().is_reused);
    house.until_asked(4).await;
    assert_eq!((house.dropped(DropReason::InvalidClient), house.asked()), (2, 4));
    house.fails("billing", "s", due, ProviderRefusalKind::InvalidClient).await;
    assert!(house.obtain("shipping", "s", at(100)).await.is_reused);
    // Any other refusal ends nothing.
    let scope = |_| Err(refusal(ProviderRefusalKind::InvalidScope));
    assert!(house.obtain_as(("shipping", "s", "x"), at(100), scope).await.is_err());
    assert!(house.obtain("shipping", "s", at(100)).await.is_reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_ends_what_the_one_before_got_and_two_side_by_side_do_not() {
    let house = House::open();
    house.obtain("billing", "old", NOW).await;
    house.obtain("shipping", "old", NOW).await;
    house.fails("billing", "guess", NOW, ProviderRefusalKind::InvalidClient).await;
    assert!(house.obtain("billing", "old", NOW).await.is_reused, "a wrong secret ends nothing");
    house.obtain("billing", "new", NOW).await;
    assert_eq!(house.dropped(DropReason::CredentialChanged), 1);
    assert!(!house.obtain("billing", "old", NOW).await.is_reused);
    assert!(house.obtain("billing", "new", NOW).await.is_reused, "the old one is known, and ends nothing");
    assert!(house.obtain("billing", "old", NOW).await.is_reused);
    assert!(house.obtain("shipping", "old", NOW).await.is_reused);
    assert_eq!(house.dropped(DropReason::CredentialChanged), 1);
    // After a day without it, it is new again.
    let later = at(24 * 3600);
    house.obtain("billing", "new", later).await;
    house.obtain("billing", "old", later).await;
    assert!(!house.obtain("billing", "new", later).await.is_reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_dropped_wherever_it_is_kept() {
    let house = House::open();
    let same = |token| Ok(ProviderToken { access_token: Secret::new("same".to_owned()), ..token });
    for scope in ["a", "b"] {
        house.obtain_as(("billing", "s", scope), NOW, same).await.unwrap();
    }
    assert!(!house.reuse.drop_token("sam", DropReason::Refused));
    assert!(house.reuse.drop_token("same", DropReason::Refused));
    assert!(!house.reuse.drop_token("same", DropReason::Refused));
    assert_eq!(house.dropped(DropReason::Refused), 2);
    assert!(!house.obtain("billing", "s", NOW).await.is_reused);
    // What an upstream says counts only where the operator says so; through all memories, as a revocation comes.
    assert!(!house.reuse.drop_token("token-2", DropReason::UpstreamRefused));
    let follows = reuse(&house.lasting, "corp", Settings { drop_on_upstream_401: true, ..settings() });
    assert!(Reuses::new([Arc::clone(&follows)]).drop_token("token-2", DropReason::UpstreamRefused));
    house.obtain("billing", "s", NOW).await;
    assert!(house.lasting.reuse.drop_token("token-3", DropReason::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_ends_what_one_client_or_everybody_got() {
    let house = House::open();
    for client in ["billing", "shipping", "reports"] {
        house.obtain(client, "s", NOW).await;
    }
    let all = Reuses::new([Arc::clone(&house.reuse)]);
    assert_eq!(all.clear(Some("other"), None), Err(NoSuchReuse));
    assert_eq!(all.clear(Some("corp"), Some("billing")), Ok(1));
    assert_eq!(all.clear(None, Some("nobody")), Ok(0));
    let status: Vec<_> = all.status(NOW).collect();
    assert_eq!((&*status[0].endpoint, status[0].tokens), ("corp", 2));
    assert!(status[0].bytes > 2000, "{}", status[0].bytes);
    assert_eq!(all.clear(None, None), Ok(2));
    let status = all.status(NOW).next().unwrap();
    assert_eq!((status.tokens, status.bytes), (0, 0));
    assert_eq!(Reuses::default().clear(None, None), Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_after_an_operator_cleared_all_away_is_not_kept() {
    let house = Arc::new(House::open());
    house.provider.gate.forget_permits(Semaphore::MAX_PERMITS);
    let asking = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.obtain("billing", "s", NOW).await })
    };
    while house.asked() < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.reuse.drop_client(Some("billing")), 0);
    house.provider.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().token.access_token.expose(), "token-0");
    assert_eq!(house.text("billing", "s", NOW).await, "token-1");
}

/// Whoever has a question under way while the provider is held, and what becomes of it.
async fn held(house: &Arc<House>, secret: &'static str, scope: &'static str) -> tokio::task::JoinHandle<Obtained> {
    house.provider.gate.forget_permits(Semaphore::MAX_PERMITS);
    let (house, before) = (Arc::clone(house), house.asked());
    let asking = {
        let house = Arc::clone(&house);
        tokio::spawn(async move { house.obtain_as(("billing", secret, scope), NOW, Ok).await.unwrap() })
    };
    while house.asked() == before {
        tokio::task::yield_now().await;
    }
    asking
}

/// What the provider would answer meanwhile.
async fn meanwhile(house: &House, secret: &str, scope: &str, said: Result<&str, ProviderRefusalKind>) {
    let asker = house.asker("billing", secret);
    let answer = said.map(|text| testing::token(text, LIFETIME, NOW)).map_err(refusal);
    let obtained = house.reuse.obtain(asker, house.key(asker, scope), NOW, || async { answer }).await;
    assert_eq!(obtained.is_ok(), said.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_after_its_credential_was_refused_is_not_kept() {
    let house = Arc::new(House::open());
    let asking = held(&house, "s", "a").await;
    meanwhile(&house, "s", "b", Err(ProviderRefusalKind::InvalidClient)).await;
    meanwhile(&house, "new", "a", Ok("new")).await;
    house.provider.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().token.access_token.expose(), "token-0", "whoever asked has it");
    // It is no new credential, either, that would end what the real one got.
    assert!(house.obtain("billing", "new", NOW).await.is_reused);
    assert_eq!(house.text("billing", "s", NOW).await, "token-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_after_another_credential_came_is_not_kept() {
    let house = Arc::new(House::open());
    house.obtain("billing", "old", NOW).await;
    let asking = held(&house, "old", "b").await;
    meanwhile(&house, "new", "b", Ok("new")).await;
    house.provider.gate.add_permits(1);
    assert_eq!(asking.await.unwrap().token.access_token.expose(), "token-1");
    assert!(!house.obtain_as(("billing", "old", "b"), NOW, Ok).await.unwrap().is_reused);
    // Whatever is asked from now on is.
    assert!(house.obtain_as(("billing", "old", "b"), NOW, Ok).await.unwrap().is_reused);
    assert!(house.obtain_as(("billing", "new", "b"), NOW, Ok).await.unwrap().is_reused);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_after_an_operator_cleared_all_away_joins_nothing_from_before() {
    let house = Arc::new(House::open());
    let before = held(&house, "s", "a").await;
    house.reuse.drop_client(None);
    let after = held(&house, "s", "a").await;
    house.provider.gate.add_permits(1);
    assert_eq!(before.await.unwrap().token.access_token.expose(), "token-0");
    assert_eq!(after.await.unwrap().token.access_token.expose(), "token-1");
    assert_eq!(house.text("billing", "s", NOW).await, "token-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_gives_nothing_to_keep_is_paused() {
    for answer in [
        |token| ProviderToken { lifetime: Some(Duration::from_mins(5)), ..token },
        |token| ProviderToken { lifetime: None, ..token },
        |token| ProviderToken { token_type: AccessTokenType::Dpop, ..token },
    ] {
        let house = House::open();
        house.obtain("billing", "s", NOW).await;
        let due = at(LIFETIME - 300 - 290);
        for (after, asked) in [(0, 2), (1, 2), (29, 2), (31, 3), (32, 3)] {
            let now = due.plus(Duration::from_secs(after));
            let again = house.obtain_as(("billing", "s", "a"), now, move |token| Ok(answer(token))).await.unwrap();
            assert_eq!(again.token.access_token.expose(), "token-0");
            house.until_asked(asked).await;
            assert_eq!(house.asked(), asked, "{after}");
        }
    }
}
