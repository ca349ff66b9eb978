//! Which issuer an opaque token is shown to: the route's, and nobody else.

use http::Request;
use http_body_util::Full;
use postern::authorization_server::client::GeneratedSecret;
use serde_json::json;

use super::{World, active, known, says};
use crate::support::{asked::AskedServer, gateway::GatewayBuilder};

const PLANT: &str = r#"
[issuers.plant]
issuer = "https://id.plant.example/"
audience = "https://api.test/orders"
algorithms = []
[issuers.plant.introspection]
endpoint = "${PLANT}"
client_id = "postern"
client_secret = "another-secret"
[routes.plant]
path = "/plant"
upstream = "orders"
[routes.plant.require]
issuers = ["plant"]
"#;

const OWN: &str = r#"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[authorization_server]
issuer = "https://own.example/"
api_tokens = "access_token"
api_token_audience = "https://api.test/orders"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read"]
[routes.both]
path = "/both"
upstream = "orders"
[routes.both.require]
issuers = ["corp", "own"]
[routes.own]
path = "/own"
upstream = "orders"
[routes.own.require]
issuers = ["own"]
"#;

#[tokio::test]
async fn a_token_is_shown_to_the_issuer_of_the_route_alone() {
    let plant = AskedServer::start(|question| {
        let is_own = question.field("token").is_some_and(|token| token.starts_with("plant"));
        let good = active(&json!({ "iss": "https://id.plant.example/" }));
        says(&if is_own { good } else { json!({ "active": false }) })
    })
    .await;
    let world = World::furnished(|builder| builder.also(PLANT).variable("PLANT", &plant.url("/introspect"))).await;
    world.opens("good").await;
    assert_eq!(world.get("/plant", "plant-1").await.status, 200);
    assert_eq!((world.endpoint.count(), plant.count()), (1, 1));
    // One that is remembered as good at one issuer is nothing at the other, which is asked for itself.
    for _ in 0..2 {
        assert_eq!(world.get("/plant", "good").await.reason(), "token_inactive");
        world.refused("plant-1", 401, "token_inactive").await;
    }
    assert_eq!((world.endpoint.count(), plant.count()), (2, 2));
    world.opens("good").await;
    // Both issuers know the same text: each says what it means on its own routes.
    world.endpoint.answers(|_| says(&active(&json!({ "client_id": "of-corp" }))));
    plant.answers(|_| says(&active(&json!({ "iss": "https://id.plant.example/", "client_id": "of-plant" }))));
    assert_eq!(world.get("/plant", "shared").await.status, 200);
    world.opens("shared").await;
    assert_eq!(world.upstream.last().headers["x-client-id"], "of-corp");
}

#[tokio::test]
async fn what_the_embedded_issuer_makes_is_shown_to_nobody() {
    let world = World::furnished(|builder| builder.also(OWN)).await;
    let answer = world.get("/both", "good").await;
    assert_eq!(answer.status, 200, "the control: {}", answer.text());
    assert_eq!(world.endpoint.count(), 1);
    let secret = GeneratedSecret::generate().expect("random numbers");
    let client_secret = secret.secret().expose();
    assert_eq!(world.get("/both", client_secret).await.reason(), "unknown_token");
    // Mistyped and cut short it is still nobody else's business.
    let cut_short = client_secret.get(..20).expect("it is longer");
    for own in ["pst_nobody", "pat_", "prt_A", "pst_with.a.dot.and.more", cut_short] {
        let answer = world.get("/both", own).await;
        assert_eq!(answer.status, 401, "{own}");
        assert_eq!(world.endpoint.count(), 1, "{own} was shown");
    }
    // What only has such letters elsewhere is a token like any other.
    assert_eq!(world.get("/both", "a-pst_nobody").await.reason(), "token_inactive");
    // Where the route accepts no outside issuer, none hears of anything; and what is sent as an API key is not asked about.
    assert_eq!(world.get("/own", "good").await.reason(), "unknown_token");
    for path in ["/both", "/orders/1"] {
        let request = Request::get(world.gateway.url(path)).header("x-api-key", "good-key");
        let answer = world.client.send(request.body(Full::default()).expect("a request")).await;
        assert_eq!(answer.reason(), "unknown_token");
    }
    assert_eq!(world.endpoint.count(), 2);
}

#[tokio::test]
async fn whoever_manages_may_have_an_opaque_token_as_well() {
    let management = "[token_endpoints.devices]\npath = \"/m2m/oauth/token\"\ndialect = \"plgd\"\nserve = \"embedded\"\n\
                      [token_endpoints.devices.management]\nbase_path = \"/m2m\"\n\
                      [token_endpoints.devices.management.require]\nissuers = [\"corp\", \"own\"]\n";
    let world = World::furnished(|builder| builder.also(OWN).also(management)).await;
    world.endpoint.answers(|question| {
        let is_good = question.field("token").is_some_and(|token| token.starts_with("good"));
        says(&if is_good { active(&json!({ "owner": "ann" })) } else { json!({ "active": false }) })
    });
    assert_eq!(world.get("/m2m/api/v1/tokens", "good").await.status, 200);
    assert_eq!(world.get("/m2m/api/v1/tokens", "bogus").await.status, 401);
    world.endpoint.says(crate::support::asked::Reply::Fails(500));
    assert_eq!(world.get("/m2m/api/v1/tokens", "good-too").await.status, 503);
    assert_eq!(world.endpoint.count(), 3);
}

#[tokio::test]
async fn a_route_without_an_introspecting_issuer_refuses_opaque_tokens_as_ever() {
    let jwts = "[issuers.jwts]\nissuer = \"https://jwts.example/\"\njwks_uri = \"${ENDPOINT}\"\naudience = \"a\"\n\
                key_set = { startup = \"degraded\" }\n[routes.jwts]\npath = \"/jwts\"\nupstream = \"orders\"\n\
                [routes.jwts.require]\nissuers = [\"jwts\"]\n";
    let world = World::furnished(|builder| builder.also(jwts)).await;
    world.opens("good").await;
    assert_eq!(world.get("/jwts", "good").await.reason(), "token_malformed");
    let asked = world.endpoint.questions().into_iter().filter(|question| question.method == http::Method::POST);
    assert_eq!(asked.count(), 1);
}

async fn problems(config: &str, changes: &[(&str, &str)]) -> String {
    let endpoint = AskedServer::start(known).await;
    let mut builder = GatewayBuilder::new(&format!("{}\n{config}", super::CONFIG))
        .variable("ENDPOINT", &endpoint.url("/introspect"))
        .variable("PLANT", &endpoint.url("/introspect"))
        .variable("UPSTREAM", "http://127.0.0.1:9");
    for (from, to) in changes {
        builder = builder.with(from, to);
    }
    match builder.try_start().await {
        Ok(_) => String::new(),
        Err(postern::app::StartError::Configuration(rejection)) => rejection.text,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_route_that_could_mean_two_issuers_is_refused() {
    assert_eq!(problems(PLANT, &[]).await, "", "the control");
    let both = problems(PLANT, &[("issuers = [\"plant\"]", "issuers = [\"plant\", \"corp\"]")]).await;
    assert!(both.contains("issuers = [\"plant\", \"corp\"]"), "{both}");
    assert!(both.contains("an opaque token could be one of issuer `plant` or of `corp`"), "{both}");
    assert!(both.contains("name one of them in `issuers`"), "{both}");
    let all = problems(PLANT, &[("issuers = [\"plant\"]", "scopes = []")]).await;
    assert!(all.contains("[routes.plant.require]") && all.contains("an opaque token could be"), "{all}");
    let management = "[token_endpoints.devices]\npath = \"/m2m/oauth/token\"\ndialect = \"plgd\"\nserve = \"embedded\"\n\
                      [token_endpoints.devices.management.require]\nissuers = [\"corp\", \"plant\"]\n";
    let managed = problems(&format!("{PLANT}{OWN}{management}"), &[]).await;
    assert!(managed.contains("issuers = [\"corp\", \"plant\"]"), "{managed}");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    for (from, to, expected) in [
        ("endpoint = \"${ENDPOINT}\"", "endpoint = \"http://id.corp.example/introspect\"", "nothing can be asked here"),
        ("client_id = \"postern:1\"", "client_id = \"\"", "the client has no id"),
        ("timeout = \"2s\"", "timeout = \"0s\"", "the timeout leaves no time at all"),
        ("timeout = \"2s\"", "timeout = \"31s\"", "longer than 30 s"),
        ("timeout = \"2s\"", "cache_for = \"61m\"", "longer than an hour"),
        ("timeout = \"2s\"", "cache_inactive_for = \"2h\"", "longer than an hour"),
        ("timeout = \"2s\"", "ca = \"nothing.pem\"", "nothing.pem"),
    ] {
        let said = problems("", &[(from, to)]).await;
        assert!(said.contains(expected), "{to}: {said}");
    }
    let (_, rest) = super::CONFIG.split_once("[issuers.corp.introspection]").expect("it is there");
    let (table, _) = rest.split_once("[upstreams.orders]").expect("it is there");
    let said = problems("", &[(&format!("[issuers.corp.introspection]{table}"), "")]).await;
    assert!(said.contains("no algorithm is accepted"), "an issuer without keys must have something: {said}");
    let embedded =
        problems("[issuers.own]\nembedded = true\nrevocation = { tokens_endpoint = \"https://a/\" }\n", &[]).await;
    assert!(embedded.contains("`revocation` has no meaning for the embedded issuer"), "{embedded}");
}
