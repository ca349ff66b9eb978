//! What ends the reuse of a token before its time.

use super::*;

/// The tokens of `billing` and `shipping`.
async fn both(world: &World) -> (String, String) {
    (world.token("billing").await, world.token("shipping").await)
}

/// `billing` gets another token than `before` now, and `shipping` none; `reason` is counted.
async fn only_billing_is_given_another(world: &World, before: &(String, String), reason: &str) {
    let after = both(world).await;
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, before.1);
    assert_eq!(world.dropped(reason).await, 1.0, "{reason}");
}

/// Has the provider sign as it should not: with another key, which it calls `key_id`.
fn sign_with_another_key(world: &World, key_id: &str) {
    let (key, name) = (SigningKey::es256(key_id), world.issuer.name());
    world.provider.mint(move |issued| {
        let own = json!({ "jti": format!("t{}", issued.number), "client_id": issued.client_id });
        key.token(&changed(claims(&name), &own))
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_at_a_route_does() {
    let world = World::furnished(|builder| builder.also("[routes.orders.identity]\nauthorization = \"keep\"\n")).await;
    sign_with_another_key(&world, "k1");
    let before = both(&world).await;
    assert_eq!(world.present(&before.0).await.status, 401);
    only_billing_is_given_another(&world, &before, "refused").await;
    assert_eq!(world.present("somebody-elses").await.status, 401);
    assert_eq!(world.token("shipping").await, before.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_does_not_for_what_another_token_would_be_refused_for_too() {
    let world = World::open().await;
    sign_with_another_key(&world, "nobody-lists-this");
    let before = both(&world).await;
    assert_eq!(world.present(&before.0).await.status, 401);
    assert_eq!(both(&world).await, before);
    assert_eq!((world.provider.count(), world.dropped("refused").await), (2, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_does_not() {
    let world = World::furnished(|builder| builder.with("\"orders:read\"", "\"orders:write\"")).await;
    let before = both(&world).await;
    assert_eq!(world.present(&before.0).await.status, 403);
    assert_eq!(both(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_of_the_upstream_does_if_so_configured() {
    for follows in [false, true] {
        let setting = format!("min_remaining = \"5m\"\ndrop_on_upstream_401 = {follows}");
        let world = World::furnished(|builder| builder.with("min_remaining = \"5m\"", &setting)).await;
        let before = both(&world).await;
        assert_eq!(world.present(&before.0).await.status, 200);
        assert_eq!(world.token("billing").await, before.0);
        world.upstream_refuses.store(true, Ordering::SeqCst);
        assert_eq!(world.present(&before.0).await.status, 401);
        assert!(world.upstream.last().headers.get("authorization").is_none(), "the upstream never sees it");
        if follows {
            only_billing_is_given_another(&world, &before, "upstream_401").await;
        } else {
            assert_eq!(both(&world).await, before);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_revocation_through_postern_does() {
    let world = World::open().await;
    let before = both(&world).await;
    let credentials = [("client_id", "billing"), ("client_secret", "s"), ("token", &*before.0)];
    let answer = world.post("/corp/revoke", &[], &credentials).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(world.provider.is_revoked(&before.0));
    only_billing_is_given_another(&world, &before, "revoked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_does() {
    let world = World::open().await;
    let before = both(&world).await;
    let path = "/api/v1/reused-tokens?endpoint=corp&client_id=billing";
    assert_eq!(world.admin(Method::DELETE, path).await, json!({ "dropped": 1 }));
    only_billing_is_given_another(&world, &before, "operator").await;
    assert_eq!(world.admin(Method::DELETE, "/api/v1/reused-tokens").await, json!({ "dropped": 2 }));
    let after = both(&world).await;
    assert!(after.1 != before.1);
    let unknown = world.gateway.admin_url("/api/v1/reused-tokens?endpoint=other");
    let answer = world.client.send(request(Method::DELETE, &unknown, None)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (404, Some("unknown_endpoint")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_refusal_of_the_client_at_a_refresh_does() {
    let world = World::open().await;
    let before = both(&world).await;
    world.provider.forget("billing");
    world.pass(3290);
    // One last time, since the provider is asked in the background.
    assert_eq!(world.token("billing").await, before.0);
    until("it is dropped", || async { (world.dropped("invalid_client").await > 0.0).then_some(()) }).await;
    let answer = world.ask_with("billing", "s", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("invalid_client")));
    assert_eq!(world.token("shipping").await, before.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_does_and_two_side_by_side_do_not() {
    let world = World::open().await;
    let before = both(&world).await;
    world.provider.client("billing", "new");
    let new = token_of(&world.ask_with("billing", "new", &[]).await).0;
    assert_eq!(world.dropped("credential_changed").await, 1.0);
    let old = world.token("billing").await;
    assert!(old != before.0 && old != new);
    for _ in 0..3 {
        assert_eq!(token_of(&world.ask_with("billing", "new", &[]).await).0, new);
        assert_eq!(world.token("billing").await, old);
    }
    assert_eq!(world.token("shipping").await, before.1);
    assert_eq!((world.dropped("credential_changed").await, world.provider.count()), (1.0, 4));
}
