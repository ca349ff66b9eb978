//! What is never answered with a token that was given before.

use super::*;
use crate::support::{
    certificates::{Authority, handshake},
    connection::{Connection, Protocol, bytes},
};

#[tokio::test(flavor = "multi_thread")]
async fn assertions_and_proofs_of_possession() {
    let world = World::open().await;
    world.provider.believe_assertions_of("billing");
    let kept = world.token("billing").await;
    let assertion = crate::support::issuing::assertion(&SigningKey::es256("own"), "billing");
    let by_assertion = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &*assertion),
    ];
    let by_secret = [("grant_type", "client_credentials"), ("client_id", "billing"), ("client_secret", "s")];
    let proof = [("dpop", "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2ln")];
    let mut asked = world.provider.count();
    for (headers, parameters) in [(&[][..], by_assertion), (&proof[..], by_secret)] {
        for _ in 0..2 {
            let (token, _) = token_of(&world.post("/corp/token", headers, &parameters).await);
            assert_ne!(token, kept);
            asked += 1;
            assert_eq!(world.provider.count(), asked);
        }
    }
    assert_eq!(world.token("billing").await, kept, "and nothing was put in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn downstreams_with_a_certificate() {
    let (authority, clients) = (Authority::new("the test's own"), Authority::new("clients"));
    let world = World::furnished(|builder| {
        authority.issue(&["default.test"]).write(builder.folder(), "default");
        clients.write(builder.folder(), "clients");
        builder.also(
            "[listeners.secure]\naddress = \"127.0.0.1:0\"\n[listeners.secure.tls]\ncertificate = \"default.pem\"\n\
             private_key = \"default.key\"\nclient_ca = \"clients.pem\"\nclient_certificate = \"optional\"\n",
        )
    })
    .await;
    let kept = world.token("billing").await;
    let identity = clients.issue(&["client.test"]);
    for (identity, is_reused) in [(None, true), (Some(&identity), false)] {
        let config = authority.client(&["http/1.1"], identity);
        let secure = world.gateway.running().address("secure").expect("bound");
        let stream = handshake(secure, "default.test", &config).await.expect("TLS");
        let mut connection = Connection::over(stream, Protocol::Http1).await;
        let body = "grant_type=client_credentials&client_id=billing&client_secret=s";
        let asked = Request::builder().method(Method::POST).uri("https://default.test/corp/token");
        let asked = asked.header("content-type", FORM).body(bytes(body)).expect("a request");
        let answer = connection.exchange(asked).await;
        assert_eq!(answer.status, 200);
        let said: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(said["access_token"] == kept, is_reused);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_scope_audience_or_organisation() {
    every_choice_is_its_own(
        World::open().await,
        &[
            &[("scope", "a")],
            &[("scope", "a b")],
            &[("audience", "urn:a")],
            &[("resource", "urn:a")],
            &[("tenant", "acme")],
        ],
    )
    .await;
    let revocation = "[token_endpoints.corp.provider]\nrevocation = \"${REVOCATION}\"\n";
    let auth0 = World::furnished(|builder| {
        builder.with(revocation, "").with("path = \"/corp/token\"", "path = \"/corp/token\"\ndialect = \"auth0\"")
    });
    let acme = [("audience", "urn:a"), ("organization", "acme")];
    every_choice_is_its_own(auth0.await, &[&acme[..1], &acme, &[acme[0], ("organization", "other")]]).await;
}

/// Each of these requests gets a token of its own, and gets it again.
async fn every_choice_is_its_own(world: World, choices: &[&[(&str, &str)]]) {
    let mut tokens = std::collections::BTreeSet::from([world.token("billing").await]);
    for more in choices {
        let (token, _) = token_of(&world.ask_with("billing", "s", more).await);
        assert!(tokens.insert(token.clone()), "{more:?}");
        assert_eq!(token_of(&world.ask_with("billing", "s", more).await).0, token, "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plain_token() {
    let world = World::open().await;
    for lifetime in [None, Some(json!(300)), Some(json!(1))] {
        world.provider.lifetime(lifetime.clone());
        let first = world.ask_with("billing", "s", &[]).await.json()["access_token"].clone();
        assert_ne!(world.ask_with("billing", "s", &[]).await.json()["access_token"], first, "{lifetime:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_table() {
    let world =
        World::furnished(|builder| builder.with("[token_endpoints.corp.reuse]\nmin_remaining = \"5m\"\n", "")).await;
    assert_ne!(world.token("billing").await, world.token("billing").await);
    assert_eq!(world.admin(Method::GET, "/api/v1/reused-tokens").await, json!([]));
}
