//! The configuration is spoiled in every way, and replaced again and again.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{configuration::SETS, issuance, support::client::HttpClient, world::World};

/// How long it may take until a change of the file is noticed.
const NOTICE: Duration = Duration::from_secs(15);
/// How often a symlink is swapped in a row.
const SWAPS: usize = 100;

/// What is wrong is told and nothing else happens; what is right is applied.
pub(super) async fn spoil(world: &World, share: Duration) {
    let until = Instant::now() + share;
    loop {
        spoil_once(world).await;
        if Instant::now() >= until {
            return;
        }
    }
}

async fn spoil_once(world: &World) {
    let file = world.file();
    let good = file.text_of("a");
    let half = good.split_at(good.len() / 2).0;
    let spoiled: [(&str, Vec<u8>); 4] = [
        ("empty", Vec::new()),
        ("half", half.into()),
        ("not UTF-8", b"[listeners.\xff\xfe]\n".to_vec()),
        ("10 MB", "# filler\n".repeat(10 * 1024 * 1024 / 9).into_bytes()),
    ];
    for (what, bytes) in spoiled {
        file.put(&bytes);
        until_reload_is(world, false, what).await;
        file.link("a");
        until_reload_is(world, true, what).await;
    }
    file.delete();
    until_reload_is(world, false, "deleted").await;
    file.link("a");
    until_reload_is(world, true, "deleted").await;

    for turn in 1..=SWAPS {
        file.link(SETS[turn % 2]);
        sleep(Duration::from_millis(5)).await;
    }
    until_scope_is_in_force(world, SETS[SWAPS % 2], "swapped 100 times").await;

    let text = file.text_of("b");
    for bytes in 0..=text.len() {
        file.put(&text.as_bytes()[..bytes]);
        sleep(Duration::from_micros(500)).await;
    }
    until_scope_is_in_force(world, "b", "written byte by byte").await;
    file.link("a");
    until_scope_is_in_force(world, "a", "linked").await;
}

async fn until_reload_is(world: &World, good: bool, what: &str) {
    let deadline = Instant::now() + NOTICE;
    let wanted = if good { 1.0 } else { 0.0 };
    while world.metric("postern_config_last_reload_successful").await != Some(wanted) {
        if Instant::now() > deadline {
            return world.book.complain(format!("a file that was {what}, and then good: {good} was never told"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Until the route that alternates asks for this scope.
async fn until_scope_is_in_force(world: &World, scope: &str, what: &str) {
    let (client, deadline) = (HttpClient::http1(), Instant::now() + NOTICE);
    loop {
        let answer = issuance::manage(&client, world.site(), Method::GET, "/config", &Value::Null).await;
        let config = answer.map(|answer| answer.text()).unwrap_or_default();
        if config.contains(&format!("x-set-{scope}"))
            && world.metric("postern_config_last_reload_successful").await == Some(1.0)
        {
            return;
        }
        if Instant::now() > deadline {
            return world.book.complain(format!("a file that was {what} is not in force"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ten times a second, each time until it is applied.
pub(super) async fn alternate(world: &World, share: Duration) {
    let (client, until) = (HttpClient::http1(), Instant::now() + share);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let mut turn = 0;
    while Instant::now() < until {
        tick.tick().await;
        turn += 1;
        world.file().link(SETS[turn % 2]);
        let answer = issuance::manage(&client, world.site(), Method::POST, "/reload", &Value::Null).await;
        if answer.is_none_or(|answer| answer.status != 200) {
            world.book.complain("a good configuration was not applied");
        }
    }
    world.file().link(SETS[0]);
}
