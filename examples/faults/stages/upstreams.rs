//! The upstreams are late, reset connections in the middle of answers, say nothing, close what is idle, and are gone.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::{Instant, sleep};

use crate::{relay::Manner, world::World};

fn behave(world: &World, manner: Manner) {
    for relay in &world.relays {
        relay.behave(manner);
    }
}

/// A little, so that nothing runs into a deadline.
pub(super) async fn be_late(world: &World, share: Duration) {
    behave(world, Manner::Late(Duration::from_millis(20)));
    sleep(share).await;
    behave(world, Manner::Passing);
}

/// Now in a head, now in a body.
pub(super) async fn cut(world: &World, share: Duration) {
    let until = Instant::now() + share;
    while Instant::now() < until {
        for relay in &world.relays {
            relay.behave(Manner::CutAfter(rand::rng().random_range(1..4_000)));
        }
        sleep(Duration::from_millis(100)).await;
    }
    behave(world, Manner::Passing);
}

/// They take requests and never answer: the gateway's deadline is shorter than its clients'.
pub(super) async fn be_silent(world: &World, share: Duration) {
    behave(world, Manner::Silent);
    sleep(share).await;
    behave(world, Manner::Passing);
}

/// Just when the next request may be sent.
pub(super) async fn close_idle(world: &World, share: Duration) {
    behave(world, Manner::ClosesIdle(Duration::from_millis(8)));
    sleep(share).await;
    behave(world, Manner::Passing);
}

/// First one of two, then both.
pub(super) async fn go_down(world: &World, share: Duration) {
    let [first, second] = &world.relays;
    first.go_down().await;
    sleep(share / 2).await;
    second.go_down().await;
    sleep(share / 2).await;
    first.come_back().await;
    second.come_back().await;
}
