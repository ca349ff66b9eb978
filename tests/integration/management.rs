//! The management API of the embedded issuer: what an operator does is in force when it is answered.

mod document;
mod office;
mod secrecy;

use http::{Method, StatusCode};
use postern::telemetry::Rfc3339;
use serde_json::{Value, json};
use sqlx::{Connection as _, sqlite::SqliteConnection};

use self::office::{BILLING_SECRET, ORDERS, Office, id_of, reader};
use crate::support::observe::sum_of;

#[tokio::test]
async fn a_client_is_registered_used_and_removed_while_the_gateway_runs() {
    let office = Office::open().await;
    let definition = reader(&json!({ "owner": "ann", "tenant": "acme", "claims": { "region": ["north", "west"] } }));
    let secret = office.add("shipping", &definition).await;
    let token = office.token("shipping", &secret).await;
    assert_eq!(office.use_token(&token).await, 200);

    let shown = office.get("/api/v1/clients/shipping").await;
    assert_eq!((&shown["origin"], &shown["enabled"]), (&json!("store"), &json!(true)));
    assert_eq!(shown["definition"], definition);
    assert!(!shown.to_string().contains(&secret));
    let listed = office.get("/api/v1/clients").await;
    let ids: Vec<&Value> = listed["clients"].as_array().unwrap().iter().map(|client| &client["id"]).collect();
    assert_eq!(ids, ["billing", "shipping"]);

    // What is shown can be sent back, changed.
    let mut changed = shown["definition"].clone();
    changed["grants"] = json!({ ORDERS: ["orders:write"] });
    let path = "/api/v1/clients/shipping";
    let now = office.done(Method::PUT, path, Some(&changed)).await;
    assert_eq!(now["definition"], changed);
    let written = office.token("shipping", &secret).await;
    assert_eq!(office.use_token(&written).await, 403, "the new token may only write");

    let removed = office.done(Method::DELETE, path, None).await;
    assert_eq!(removed, json!({ "revoked_tokens": 2 }));
    assert_eq!(office.use_token(&token).await, 401);
    assert_eq!(office.token_answer("shipping", &secret).await.status, StatusCode::UNAUTHORIZED);
    let gone = office.ask(Method::GET, path, None).await;
    assert_eq!((gone.status, &gone.json()["code"]), (StatusCode::NOT_FOUND, &json!("unknown_client")));
}

#[tokio::test]
async fn rotating_keeps_the_old_secret_for_the_grace_period() {
    let office = Office::open().await;
    let first = office.add("shipping", &reader(&json!({}))).await;
    let path = "/api/v1/clients/shipping/rotate";
    let rotated = office.post(path, &json!({ "grace": "1h" })).await;
    let second = rotated["secret"].as_str().unwrap();
    let ends = Rfc3339(office.clock.clock().now().plus(std::time::Duration::from_secs(3600))).to_string();
    assert_eq!(rotated["old_expires_at"], ends);
    for secret in [&first, second] {
        office.token("shipping", secret).await;
    }
    let secrets = office.get("/api/v1/clients/shipping").await["secrets"].clone();
    assert_eq!((secrets[0]["expires_at"].as_str(), &secrets[1]["expires_at"]), (Some(&*ends), &Value::Null));
    // A third one beside two is refused, and can be had at the others' cost.
    let refused = office.ask(Method::POST, path, Some(&json!({ "grace": "1h" }))).await;
    assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::CONFLICT, &json!("too_many_secrets")));
    office.advance(3601);
    assert_eq!(office.token_answer("shipping", &first).await.status, StatusCode::UNAUTHORIZED);
    office.token("shipping", second).await;
    let third = office.post(path, &json!({ "grace": "0s" })).await["secret"].as_str().unwrap().to_owned();
    assert_eq!(office.token_answer("shipping", second).await.status, StatusCode::UNAUTHORIZED);
    office.token("shipping", &third).await;
    // Nobody says for how long: a day.
    let fourth = office.ask(Method::POST, path, None).await;
    assert_eq!(fourth.status, StatusCode::OK, "{}", fourth.text());
    office.advance(23 * 3600);
    office.token("shipping", &third).await;
    office.advance(2 * 3600);
    assert_eq!(office.token_answer("shipping", &third).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_disabled_client_gets_nothing_and_its_tokens_are_refused_until_it_is_enabled() {
    let office = Office::open().await;
    let secret = office.add("shipping", &reader(&json!({}))).await;
    // The client of the configuration cannot be changed, but disabled.
    for (id, secret) in [("shipping", &*secret), ("billing", BILLING_SECRET)] {
        let token = office.token(id, secret).await;
        assert_eq!(office.use_token(&token).await, 200);
        let path = |what: &str| format!("/api/v1/clients/{id}/{what}");
        let disabled = office.done(Method::POST, &path("disable"), None).await;
        assert_eq!(disabled["enabled"], false);
        assert_eq!(office.use_token(&token).await, 401);
        let refused = office.token_answer(id, secret).await;
        assert!(refused.status.is_client_error(), "{}", refused.text());
        let body = json!({ "client_id": id });
        let refused = office.ask(Method::POST, "/api/v1/tokens", Some(&body)).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!("token_refused")));
        let enabled = office.done(Method::POST, &path("enable"), None).await;
        assert_eq!(enabled["enabled"], true);
        assert_eq!(office.use_token(&token).await, 200);
        office.token(id, secret).await;
    }
    for (method, path, body) in [
        (Method::PUT, "/api/v1/clients/billing", Some(json!({}))),
        (Method::DELETE, "/api/v1/clients/billing", None),
        (Method::POST, "/api/v1/clients/billing/rotate", None),
        (Method::POST, "/api/v1/clients", Some(json!({ "id": "billing" }))),
    ] {
        let refused = office.ask(method.clone(), path, body.as_ref()).await;
        let code = refused.json()["code"].clone();
        assert_eq!((refused.status, code), (StatusCode::CONFLICT, json!("configured_client")), "{method} {path}");
    }
    office.token("billing", BILLING_SECRET).await;
}

#[tokio::test]
async fn tokens_are_listed_by_what_they_are_and_by_pages() {
    let office = Office::open().await;
    let ann = office.add("ann-1", &reader(&json!({ "owner": "ann", "tenant": "acme" }))).await;
    let bob = office.add("bob-1", &reader(&json!({ "owner": "bob", "tenant": "other" }))).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id_of(&office.token("ann-1", &ann).await));
        office.advance(1);
    }
    let other = id_of(&office.token("bob-1", &bob).await);
    let listed = |query: &'static str| {
        let office = &office;
        async move { office.get(&format!("/api/v1/tokens{query}")).await }
    };
    let names = |page: &Value| -> Vec<String> {
        page["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
    };
    let key = office.signing_key().await;
    ids.reverse();
    for query in ["?client_id=ann-1", "?owner=ann", "?tenant=acme", "?client_id=ann-1&owner=ann&include_revoked=true"] {
        assert_eq!(names(&listed(query).await), ids, "{query}");
    }
    assert_eq!(names(&listed("?client_id=nobody").await), Vec::<String>::new());
    assert_eq!(names(&listed("?audience=https%3A%2F%2Fapi.test%2Forders").await).len(), 4);
    assert_eq!(names(&office.get(&format!("/api/v1/tokens?key_id={key}")).await).len(), 4);
    let first = listed("?limit=3").await;
    assert_eq!(names(&first), [std::slice::from_ref(&other), &ids[..2]].concat());
    let next = first["next"].as_str().unwrap();
    let second = office.get(&format!("/api/v1/tokens?limit=3&after={next}")).await;
    assert_eq!((names(&second), second.get("next")), (vec![ids[2].clone()], None));

    let one = office.get(&format!("/api/v1/tokens/{other}")).await;
    assert_eq!((&one["state"], &one["owner"], &one["scope"]), (&json!("live"), &json!("bob"), &json!("orders:read")));
    office.post("/api/v1/revocations", &json!({ "token_id": other })).await;
    assert_eq!(office.get(&format!("/api/v1/tokens/{other}")).await["state"], "revoked");
    assert_eq!(names(&listed("?owner=bob").await), Vec::<String>::new());
    assert_eq!(names(&listed("?owner=bob&include_revoked=true").await), [other]);
    office.advance(3601);
    assert_eq!(names(&listed("").await), Vec::<String>::new());
    let expired = listed("?owner=ann&include_expired=true").await;
    assert_eq!((names(&expired), &expired["tokens"][0]["state"]), (ids, &json!("expired")));
}

#[tokio::test]
async fn each_selection_is_revoked_at_once_and_nothing_else_is() {
    let office = Office::open().await;
    let one = office.add("one", &reader(&json!({ "owner": "ann", "tenant": "acme" }))).await;
    let two = office.add("two", &reader(&json!({ "owner": "bob", "tenant": "other" }))).await;
    for selection in ["token_id", "client_id", "owner", "tenant"] {
        let (meant, spared) = (office.token("one", &one).await, office.token("two", &two).await);
        assert_eq!((office.use_token(&meant).await, office.use_token(&spared).await), (200, 200));
        let value = match selection {
            "token_id" => id_of(&meant),
            "client_id" => "one".to_owned(),
            "owner" => "ann".to_owned(),
            _ => "acme".to_owned(),
        };
        let revoked = office.post("/api/v1/revocations", &json!({ selection: value })).await;
        assert_eq!(revoked, json!({ "revoked": 1 }), "{selection}");
        assert_eq!((office.use_token(&meant).await, office.use_token(&spared).await), (401, 200), "{selection}");
        let again = office.post("/api/v1/revocations", &json!({ selection: value })).await;
        assert_eq!(again, json!({ "revoked": 0 }), "{selection}");
    }
    let (first, second) = (office.token("one", &one).await, office.token("two", &two).await);
    let key = office.signing_key().await;
    let revoked = office.post("/api/v1/revocations", &json!({ "key_id": key })).await;
    assert_eq!(revoked, json!({ "revoked": 6 }), "four that were spared, and these two");
    assert_eq!((office.use_token(&first).await, office.use_token(&second).await), (401, 401));

    let before = office.token("one", &one).await;
    office.advance(10);
    let moment = Rfc3339(office.clock.clock().now()).to_string();
    let after = office.token("one", &one).await;
    let revoked = office.post("/api/v1/revocations", &json!({ "issued_before": moment })).await;
    assert_eq!(revoked, json!({}), "they are not counted");
    assert_eq!((office.use_token(&before).await, office.use_token(&after).await), (401, 200));
    assert_eq!(office.get("/api/v1/switches").await["issued_before"], moment);
    let live = office.get("/api/v1/tokens").await;
    assert_eq!(live["tokens"].as_array().unwrap().len(), 1, "{live}");
    assert_eq!(live["tokens"][0]["id"], id_of(&after));

    let future = json!({ "issued_before": Rfc3339(office.clock.clock().now().plus(std::time::Duration::from_secs(60))).to_string() });
    let refused = office.ask(Method::POST, "/api/v1/revocations", Some(&future)).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!("invalid_moment")));
    assert_eq!(office.use_token(&after).await, 200);
}

#[tokio::test]
async fn a_key_is_rotated_and_a_compromised_one_takes_its_tokens_with_it() {
    let office = Office::open().await;
    let secret = office.add("shipping", &reader(&json!({}))).await;
    let signed_before = office.token("shipping", &secret).await;
    let states = |keys: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        keys["keys"].as_array().unwrap().iter().map(|key| (text(&key["key_id"]), text(&key["state"]))).collect()
    };
    let keys = states(&office.get("/api/v1/keys").await);
    let current = |keys: &[(String, String)]| keys.iter().find(|(_, state)| state == "current").unwrap().0.clone();
    let first = current(&keys);
    let refused = office.ask(Method::POST, "/api/v1/keys/rotate", None).await;
    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (StatusCode::CONFLICT, &json!("next_key_too_new")));
    assert!(problem["remaining_seconds"].as_u64().unwrap() > 0);
    let rotated = states(&office.post("/api/v1/keys/rotate", &json!({ "haste": true })).await);
    let second = current(&rotated);
    assert!(first != second && rotated.contains(&(first.clone(), "previous".to_owned())), "{rotated:?}");
    let signed_after = office.token("shipping", &secret).await;
    assert_eq!((office.use_token(&signed_before).await, office.use_token(&signed_after).await), (200, 200));

    let revoked = office.done(Method::POST, &format!("/api/v1/keys/{first}/revoke"), None).await;
    assert_eq!(revoked, json!({ "revoked": 1 }));
    assert_eq!((office.use_token(&signed_before).await, office.use_token(&signed_after).await), (401, 200));
    // The current one, too: another one signs at once.
    office.done(Method::POST, &format!("/api/v1/keys/{second}/revoke"), None).await;
    assert_eq!(office.use_token(&signed_after).await, 401);
    let token = office.token("shipping", &secret).await;
    assert_eq!(office.use_token(&token).await, 200);
    let unknown = office.ask(Method::POST, "/api/v1/keys/nothing/revoke", None).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (StatusCode::NOT_FOUND, &json!("unknown_key")));
}

#[tokio::test]
async fn the_switch_stops_everything_and_gives_it_back() {
    let office = Office::open().await;
    let token = office.token("billing", BILLING_SECRET).await;
    assert_eq!(office.use_token(&token).await, 200);
    let path = "/api/v1/switches";
    let off = office.done(Method::PUT, path, Some(&json!({ "m2m_enabled": false }))).await;
    let expected =
        json!({ "m2m_enabled": false, "m2m_enabled_in_configuration": true, "m2m_enabled_at_run_time": false });
    assert_eq!(off, expected);
    assert_eq!(office.use_token(&token).await, 401);
    assert!(office.token_answer("billing", BILLING_SECRET).await.status.is_client_error());
    let refused = office.ask(Method::POST, "/api/v1/tokens", Some(&json!({ "client_id": "billing" }))).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!("token_refused")));
    let on = office.done(Method::PUT, path, Some(&json!({ "m2m_enabled": true }))).await;
    assert_eq!(on["m2m_enabled"], true);
    assert_eq!(office.use_token(&token).await, 200);
    let issued = office.post("/api/v1/tokens", &json!({ "client_id": "billing", "scope": "orders:read" })).await;
    assert_eq!(office.use_token(issued["access_token"].as_str().unwrap()).await, 200);
    assert_eq!((&issued["token_type"], &issued["scope"]), (&json!("Bearer"), &json!("orders:read")));
    assert_eq!(id_of(issued["access_token"].as_str().unwrap()), issued["token_id"]);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_a_code_and_changes_nothing() {
    let office = Office::open().await;
    office.add("shipping", &reader(&json!({}))).await;
    let before = office.get("/api/v1/audit").await;
    let unknown_scope = json!({ "grants": { ORDERS: ["orders:raed"] } });
    let cases: [(Method, &str, Option<Value>, u16, &str); 20] = [
        (Method::POST, "/api/v1/clients", Some(json!({ "id": "shipping" })), 409, "client_exists"),
        (Method::POST, "/api/v1/clients", Some(json!({ "id": "" })), 422, "invalid_client"),
        (Method::POST, "/api/v1/clients", Some(json!({ "grant": {} })), 422, "invalid_body"),
        (Method::POST, "/api/v1/clients", Some(json!({ "id": "x", "secret": "of my own" })), 422, "invalid_body"),
        (Method::POST, "/api/v1/clients", Some(json!([])), 422, "invalid_body"),
        (Method::POST, "/api/v1/clients", None, 415, "unsupported_media_type"),
        (Method::POST, "/api/v1/clients", Some(unknown_scope.clone()), 422, "invalid_client"),
        (Method::PUT, "/api/v1/clients/shipping", Some(unknown_scope), 422, "invalid_client"),
        (Method::PUT, "/api/v1/clients/nobody", Some(json!({})), 404, "unknown_client"),
        (Method::PUT, "/api/v1/clients/shipping", Some(json!({ "id": "other" })), 422, "invalid_body"),
        (Method::POST, "/api/v1/clients/nobody/disable", None, 404, "unknown_client"),
        (Method::POST, "/api/v1/clients/shipping/rotate", Some(json!({ "grace": "1 h" })), 422, "invalid_body"),
        (Method::POST, "/api/v1/clients/shipping/rotate", Some(json!({ "grace": "91d" })), 422, "invalid_grace"),
        (Method::GET, "/api/v1/tokens?limit=0", None, 400, "invalid_query"),
        (Method::GET, "/api/v1/tokens?client=shipping", None, 400, "invalid_query"),
        (Method::GET, "/api/v1/tokens?after=here", None, 400, "invalid_query"),
        (Method::GET, "/api/v1/tokens/none", None, 404, "unknown_token"),
        (Method::POST, "/api/v1/tokens", Some(json!({ "client_id": "nobody" })), 404, "unknown_client"),
        (Method::POST, "/api/v1/revocations", Some(json!({ "owner": "ann", "tenant": "acme" })), 422, "invalid_body"),
        (Method::PUT, "/api/v1/switches", Some(json!({ "m2m_enabled": "no" })), 422, "invalid_body"),
    ];
    for (method, path, body, status, code) in cases {
        let refused = office.ask(method.clone(), path, body.as_ref()).await;
        assert_eq!(refused.status.as_u16(), status, "{method} {path} {body:?}: {}", refused.text());
        assert_eq!(refused.json()["code"], code, "{method} {path} {body:?}: {}", refused.text());
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    let fault =
        office.ask(Method::POST, "/api/v1/clients", Some(&json!({ "grants": { ORDERS: ["orders:raed"] } }))).await;
    let fault = fault.json();
    assert!(fault["field"].as_str().unwrap().starts_with("grants"), "{fault}");
    assert_eq!(fault["remedy"], "did you mean `orders:read`?");
    assert_eq!(office.get("/api/v1/audit").await, before);
}

#[tokio::test]
async fn while_the_store_takes_no_change_none_is_acknowledged_and_tokens_are_judged() {
    let office = Office::open().await;
    let token = office.token("billing", BILLING_SECRET).await;
    let file = office.gateway.folder.path().join("data/postern.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    // Whoever writes to SQLite has the file for itself.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    for (path, body) in [
        ("/api/v1/clients", json!({ "id": "shipping" })),
        ("/api/v1/revocations", json!({ "client_id": "billing" })),
        ("/api/v1/tokens", json!({ "client_id": "billing" })),
    ] {
        let refused = office.ask(Method::POST, path, Some(&body)).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (503, &json!("store_unavailable")), "{path}");
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{path}");
    }
    assert_eq!(office.use_token(&token).await, 200);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(office.ask(Method::GET, "/api/v1/clients/shipping", None).await.status, StatusCode::NOT_FOUND);
    office.add("shipping", &reader(&json!({}))).await;
    let revoked = office.post("/api/v1/revocations", &json!({ "client_id": "billing" })).await;
    assert!(revoked["revoked"].as_u64() >= Some(1), "{revoked}");
    assert_eq!(office.use_token(&token).await, 401);
}

#[tokio::test]
async fn the_metrics_count_what_is_issued_and_revoked() {
    let office = Office::open().await;
    let value = async |name: &str, labels: &[(&str, &str)]| {
        let answer = office.ask(Method::GET, "/metrics", None).await;
        sum_of(&answer.text(), name, labels)
    };
    assert_eq!(value("postern_store_reachable", &[]).await, 1.0);
    for _ in 0..3 {
        office.token("billing", BILLING_SECRET).await;
    }
    office.post("/api/v1/tokens", &json!({ "client_id": "billing", "dialect": "plgd" })).await;
    assert_eq!(value("postern_issued_tokens_total", &[("dialect", "oauth2")]).await, 3.0);
    assert_eq!(value("postern_issued_tokens_total", &[("dialect", "plgd")]).await, 1.0);
    assert_eq!(value("postern_revoked_tokens", &[]).await, 0.0);
    office.post("/api/v1/revocations", &json!({ "tenant": "acme" })).await;
    assert_eq!(value("postern_revoked_tokens", &[]).await, 4.0);
}

#[tokio::test]
async fn a_client_may_have_any_visible_characters_in_its_id() {
    let office = Office::open().await;
    let definition = reader(&json!({}));
    for (id, in_path) in
        [("team/a b?c#d%2F", "team%2Fa%20b%3Fc%23d%252F"), ("https://app.test/", "https%3A%2F%2Fapp.test%2F")]
    {
        let mut body = definition.clone();
        body["id"] = json!(id);
        let answer = office.ask(Method::POST, "/api/v1/clients", Some(&body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let path = format!("/api/v1/clients/{in_path}");
        for place in [&*path, answer.header("location")] {
            assert_eq!(office.get(place).await["id"], id, "{place}");
        }
        office.done(Method::POST, &format!("{path}/disable"), None).await;
        assert_eq!(office.get(&path).await["enabled"], false);
        office.done(Method::DELETE, &path, None).await;
        assert_eq!(office.ask(Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
    }
    // Without an id it gets one, and without need for a secret none.
    let body = json!({ "grants": { ORDERS: ["orders:read"] } });
    let random = office.post("/api/v1/clients", &body).await;
    office.token(random["id"].as_str().unwrap(), random["secret"].as_str().unwrap()).await;
}
