//! Those who ask for tokens and take them back, and what was acknowledged to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    configuration::Site,
    support::client::{Answer, HttpClient},
    world::World,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a revocation may take until another process knows of it.
const SPREAD: Duration = Duration::from_secs(3);

/// What was acknowledged, by the tokens' ids, and what came of looking for it.
#[derive(Default)]
pub(crate) struct Acknowledged {
    unseen: Mutex<Ids>,
    findings: Mutex<Findings>,
}

#[derive(Default)]
struct Ids {
    issued: BTreeSet<String>,
    revoked: BTreeSet<String>,
}

/// What looking into the store has shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) issued: usize,
    pub(crate) revoked: usize,
    pub(crate) lost_tokens: Vec<String>,
    pub(crate) lost_revocations: Vec<String>,
    /// What a client with the right secret was told instead of 200 or 503, and how often.
    pub(crate) wrong_refusals: BTreeMap<u16, usize>,
    /// How often nothing was issued: 503, or nobody there.
    pub(crate) unissued: usize,
}

impl Acknowledged {
    /// What was found so far.
    pub(crate) fn findings(&self) -> Findings {
        self.findings.lock().expect("not poisoned").clone()
    }

    fn issued(&self, token: &str) {
        self.unseen.lock().expect("not poisoned").issued.insert(id_of(token));
        self.findings.lock().expect("not poisoned").issued += 1;
    }

    fn revoked(&self, token: &str) {
        self.unseen.lock().expect("not poisoned").revoked.insert(id_of(token));
        self.findings.lock().expect("not poisoned").revoked += 1;
    }
}

/// Asks for tokens until the run is over, and takes every fourth back.
pub(crate) async fn issue_and_revoke(world: World) {
    let client = HttpClient::http1();
    let mut number = 0_u64;
    while !world.is_over() {
        tokio::time::sleep(Duration::from_millis(15)).await;
        let Some(token) = issued(&world, &client).await else { continue };
        world.acknowledged.issued(&token);
        number += 1;
        if !number.is_multiple_of(4) {
            world.mint.add_own(&token);
            continue;
        }
        let body = json!({ "token_id": id_of(&token) });
        let answer = manage(&client, world.site(), Method::POST, "/revocations", &body).await;
        if answer.is_some_and(|answer| answer.status.is_success()) {
            world.acknowledged.revoked(&token);
            let spread = if world.is_handing_over() { SPREAD } else { Duration::ZERO };
            world.mint.add_revoked(&token, Instant::now() + spread);
        }
    }
}

async fn issued(world: &World, client: &HttpClient) -> Option<String> {
    let body = "grant_type=client_credentials&client_id=load&client_secret=secret-of-load-0123456789-0123456789";
    let request = Request::post(format!("http://{}/oauth/token", world.site().public))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let answer = timeout(PATIENCE, client.try_send(request)).await.ok().and_then(Result::ok);
    let mut findings = world.acknowledged.findings.lock().expect("not poisoned");
    match answer {
        Some(answer) if answer.status == 200 => return answer.json()["access_token"].as_str().map(str::to_owned),
        Some(answer) if answer.status != 503 => {
            *findings.wrong_refusals.entry(answer.status.as_u16()).or_default() += 1;
        }
        _ => findings.unissued += 1,
    }
    None
}

/// Looks into the store, through the gateway that runs on it, for all that was acknowledged since the last look.
pub(crate) async fn look(world: &World) {
    let wanted = std::mem::take(&mut *world.acknowledged.unseen.lock().expect("not poisoned"));
    let client = HttpClient::http1();
    let mut missing: BTreeSet<&String> = wanted.issued.union(&wanted.revoked).collect();
    let mut unrevoked: BTreeSet<&String> = wanted.revoked.iter().collect();
    let mut place = String::new();
    while !missing.is_empty() {
        let path = format!("/tokens?limit=1000&include_revoked=true{place}");
        let Some(answer) = manage(&client, world.site(), Method::GET, &path, &Value::Null).await else {
            world.book.complain("the list of tokens cannot be had");
            return;
        };
        let page = answer.json();
        for token in page["tokens"].as_array().into_iter().flatten() {
            let id = token["id"].as_str().unwrap_or_default().to_owned();
            missing.remove(&id);
            if token["state"] == "revoked" {
                unrevoked.remove(&id);
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        place = format!("&after={}", form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>());
    }
    let mut findings = world.acknowledged.findings.lock().expect("not poisoned");
    findings.lost_tokens.extend(missing.into_iter().cloned());
    findings.lost_revocations.extend(unrevoked.into_iter().cloned());
}

/// Asks the management API; nothing if nobody answers in time.
pub(crate) async fn manage(
    client: &HttpClient,
    site: Site,
    method: Method,
    path: &str,
    body: &Value,
) -> Option<Answer> {
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}/api/v1{path}", site.admin))
        .header("content-type", "application/json")
        .body(Full::new(bytes))
        .expect("a request");
    timeout(PATIENCE, client.try_send(request)).await.ok()?.ok()
}

/// The `jti` of a token.
fn id_of(token: &str) -> String {
    let payload = token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&payload).unwrap_or_default();
    claims["jti"].as_str().unwrap_or_default().to_owned()
}
