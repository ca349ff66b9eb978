//! Callers that send one request after the other, with all kinds of credentials.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::timeout;

use crate::{
    book::{Bearer, Call, Outcome},
    support::client::HttpClient,
    upstream::{answer_bytes, answer_of},
    world::World,
};

/// How long a caller waits for an answer: longer than the gateway for its upstreams.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sends requests until the run is over.
pub(crate) async fn call_on(world: World, seed: u64, http2: bool) {
    let client = if http2 { HttpClient::http2() } else { HttpClient::http1() };
    let mut random = SmallRng::seed_from_u64(seed);
    let mut calls = Vec::new();
    while !world.is_over() {
        let (bearer, token) = world.mint.any(&mut random);
        calls.push(call(&world, &client, bearer, token.as_deref(), &mut random).await);
        if calls.len() >= 64 {
            world.book.enter(calls.drain(..));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
    }
    world.book.enter(calls);
}

/// Asks with good tokens on every route until all were answered, or a while has passed; whether they were.
pub(crate) async fn all_is_well(world: &World, patience: Duration) -> bool {
    let (client, mut random) = (HttpClient::http1(), SmallRng::seed_from_u64(1));
    let deadline = Instant::now() + patience;
    let mut in_a_row = 0;
    while in_a_row < 16 {
        if Instant::now() > deadline {
            return false;
        }
        let kind = if in_a_row % 2 == 0 { Bearer::Own } else { Bearer::Outside };
        let (bearer, token) = world.mint.of(kind, &mut random);
        let call = call(world, &client, bearer, token.as_deref(), &mut random).await;
        world.book.enter([call]);
        let is_good = matches!(call.outcome, Outcome::Answered { status: 200, .. });
        in_a_row = if is_good { in_a_row + 1 } else { 0 };
        if !is_good {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    true
}

async fn call(world: &World, client: &HttpClient, bearer: Bearer, token: Option<&str>, random: &mut SmallRng) -> Call {
    let id = world.book.next_id();
    let folder = match bearer {
        Bearer::OnlyA | Bearer::OnlyB | Bearer::Neither => "turns",
        _ if random.random_ratio(1, 4) => "spare",
        _ => "orders",
    };
    let is_post = random.random_ratio(1, 3);
    let (method, body) = if is_post { (Method::POST, answer_of(id, 500)) } else { (Method::GET, Bytes::new()) };
    let mut request =
        Request::builder().method(method).uri(format!("http://{}/{folder}/1?id={id}", world.site().public));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::new(body)).expect("a request");
    let (stage, begun) = (world.book.stage(), Instant::now());
    let outcome = match timeout(PATIENCE, client.try_send(request)).await {
        Ok(Ok(answer)) => {
            let status = answer.status.as_u16();
            let is_its_own = status != 200 || answer.body == answer_of(id, answer_bytes(id));
            Outcome::Answered { status, is_its_own }
        }
        Ok(Err(_)) | Err(_) => Outcome::Lost,
    };
    Call { id, bearer, outcome, stages: (stage, world.book.stage()), took: begun.elapsed() }
}
