//! The process is killed, replaced, starved and held up.

use std::{net::SocketAddr, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use rustix::process::Resource;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    book::{Bearer, Call, Outcome},
    configuration::SETS,
    gateway::Gateway,
    issuance, load,
    world::World,
};

/// How long a gateway that was started may take until good requests are let through.
const RECOVERY: Duration = Duration::from_secs(20);
/// How many are slow, or idle, at a time.
const CROWD: usize = 200;

/// By SIGKILL while it issues and reloads; everything that was acknowledged is there afterwards.
pub(super) async fn kill_again_and_again(world: &World, share: Duration) {
    let until = Instant::now() + share;
    let mut turn = 0;
    while Instant::now() < until {
        sleep(Duration::from_millis(rand::rng().random_range(100..1000))).await;
        let mut gateways = world.gateways.lock().await;
        let slot = &mut gateways[world.site_index()];
        if let Some(mut gateway) = slot.take() {
            turn += 1;
            // It is about to apply another configuration.
            world.file().link(SETS[turn % 2]);
            sleep(Duration::from_millis(rand::rng().random_range(0..80))).await;
            gateway.kill();
            world.mourn(gateway);
        }
        *slot = Some(Gateway::start(world.folder.path(), &world.file().path).await);
        drop(gateways);
        if !load::all_is_well(world, RECOVERY).await {
            world.book.complain("not well again after it was killed");
        }
        issuance::look(world).await;
    }
    world.file().link(SETS[0]);
}

/// A second one is started, the first is asked to stop, and everybody goes to the second: no request is lost.
pub(super) async fn hand_over_again_and_again(world: &World, share: Duration) {
    let until = Instant::now() + share;
    while Instant::now() < until {
        world.hand_over(true);
        let (old, new) = (world.site_index(), 1 - world.site_index());
        world.file_of(new).link(SETS[0]);
        let mut gateways = world.gateways.lock().await;
        gateways[new] = Some(Gateway::start(world.folder.path(), &world.file_of(new).path).await);
        let mut leaving = gateways[old].take();
        drop(gateways);
        if let Some(gateway) = &leaving {
            gateway.terminate();
        }
        // Some still come to the first one meanwhile.
        sleep(Duration::from_millis(20)).await;
        world.move_to(new);
        if let Some(gateway) = &mut leaving
            && !gateway.ends_well().await
        {
            world.book.complain("a gateway that was asked to stop did not end well");
        }
        leaving.into_iter().for_each(|gateway| world.mourn(gateway));
        world.hand_over(false);
        sleep(Duration::from_millis(rand::rng().random_range(200..1000))).await;
        issuance::look(world).await;
    }
}

/// Some send their heads byte by byte, others do not read a large answer.
pub(super) async fn meet_slow_peers(world: &World, share: Duration) {
    let mut random = SmallRng::seed_from_u64(7);
    let mut peers = Vec::new();
    for number in 0..CROWD {
        let id = world.book.next_id();
        let (_, token) = world.mint.of(Bearer::Outside, &mut random);
        let head = format!(
            "GET /orders/large?id={id} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
            token.as_deref().unwrap_or_default()
        );
        let stage = world.book.stage();
        let outcome = Outcome::Lost;
        world.book.enter([Call { id, bearer: Bearer::Slow, outcome, stages: (stage, stage), took: Duration::ZERO }]);
        let address = world.site().public;
        peers.push(tokio::spawn(dawdle(address, head, number % 2 == 0)));
    }
    sleep(share).await;
    peers.into_iter().for_each(|peer| peer.abort());
}

async fn dawdle(address: SocketAddr, head: String, reads_slowly: bool) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    if reads_slowly {
        // Whether it is cut off or goes on waiting is the gateway's affair.
        let _ = stream.write_all(head.as_bytes()).await;
        return std::future::pending().await;
    }
    for byte in head.bytes() {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Nobody reads what it writes to standard output.
pub(super) async fn stop_reading_the_log(world: &World, share: Duration) {
    read_access_log(world, false).await;
    sleep(share).await;
    read_access_log(world, true).await;
}

async fn read_access_log(world: &World, reads: bool) {
    if let Some(gateway) = &world.gateways.lock().await[world.site_index()] {
        gateway.read_access_log(reads);
    }
}

/// Nothing can be written to any file: nothing is issued that is not durable, and what is known stays in force.
pub(super) async fn fill_the_disk(world: &World, share: Duration) {
    let before = world.acknowledged.findings();
    limit(world, Resource::Fsize, Some(0)).await;
    sleep(share).await;
    limit(world, Resource::Fsize, None).await;
    let after = world.acknowledged.findings();
    if after.unissued == before.unissued {
        world.book.complain("tokens were issued as ever while nothing could be written");
    }
}

/// There are no more descriptors than are open, and many who want one.
pub(super) async fn exhaust_descriptors(world: &World, share: Duration) {
    let open = match &world.gateways.lock().await[world.site_index()] {
        Some(gateway) => gateway.descriptors(),
        None => return,
    };
    limit(world, Resource::Nofile, Some(open + 4)).await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        // The kernel takes them whether or not they are accepted, as long as its queue is not full.
        if let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(world.site().public)).await
        {
            crowd.push(stream);
        }
    }
    let until = Instant::now() + share;
    while Instant::now() < until {
        sleep(share / 4).await;
        if !world.answers_its_operator().await {
            world.book.complain("the operator's listener does not answer");
        }
    }
    limit(world, Resource::Nofile, None).await;
}

async fn limit(world: &World, resource: Resource, most: Option<u64>) {
    if let Some(gateway) = &world.gateways.lock().await[world.site_index()] {
        gateway.limit(resource, most);
    }
}
