//! Endpoints that fail requests are left alone for a while, longer each time, and never all of them.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{
    client::HttpClient,
    corp::{Corp, ROUTE},
    gateway::Gateway,
    moody_upstream::{Mood, MoodyUpstream},
    openmetrics::scrape,
    raw_socket::{listen, url_of},
};

struct Scene {
    corp: Corp,
    gateway: Gateway,
    client: HttpClient,
}

/// One worker, so that failures in a row are what they look like from outside.
async fn scene(endpoints: &[String], config: &str) -> Scene {
    let corp = Corp::start().await;
    let endpoints = endpoints.iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>().join(", ");
    let config = format!("{ROUTE}[upstreams.orders]\nendpoints = [{endpoints}]\nbalance = \"round_robin\"\n{config}\n");
    let gateway = corp.gateway(&config).one_worker().start().await;
    Scene { corp, gateway, client: HttpClient::http1() }
}

impl Scene {
    async fn ask(&self) -> u16 {
        self.client.get(&self.gateway.url("/a"), Some(&self.corp.token())).await.status.as_u16()
    }

    async fn ejections(&self, endpoint: &str) -> f64 {
        let metrics = scrape(&self.client, &self.gateway).await;
        metrics.value("postern_upstream_ejections_total", &[("endpoint", endpoint)]).expect("the endpoint is known")
    }

    async fn is_available(&self, endpoint: &str) -> bool {
        let metrics = scrape(&self.client, &self.gateway).await;
        metrics.value("postern_upstream_endpoint_available", &[("endpoint", endpoint)]) == Some(1.0)
    }
}

#[tokio::test]
async fn one_that_answers_badly_is_left_alone() {
    let (failing, other) = (MoodyUpstream::start().await, MoodyUpstream::start().await);
    let outlier =
        "outlier = { consecutive_failures = 3, statuses = [503], eject_for = \"1h\", max_eject_for = \"1h\" }";
    let scene = scene(&[failing.url(), other.url()], outlier).await;
    // What is not on the list does not count, and a good answer begins the counting anew.
    for (status, times) in [(500, 8), (503, 4), (200, 2)] {
        failing.behave(Mood::Status(status));
        for _ in 0..times {
            scene.ask().await;
        }
    }
    assert!(scene.is_available(&failing.label()).await);

    failing.behave(Mood::Status(503));
    let before = (failing.count(), other.count());
    let mut answers = Vec::new();
    for _ in 0..30 {
        answers.push(scene.ask().await);
    }
    assert_eq!(failing.count() - before.0, 3);
    assert_eq!(other.count() - before.1, 27);
    assert_eq!(answers.iter().filter(|status| **status == 503).count(), 3, "{answers:?}");
    assert_eq!((scene.ejections(&failing.label()).await, scene.ejections(&other.label()).await), (1.0, 0.0));
    assert!(!scene.is_available(&failing.label()).await && scene.is_available(&other.label()).await);
}

#[tokio::test]
async fn one_that_cannot_be_connected_to_is_left_alone() {
    let nobody = listen().await;
    let url = url_of(&nobody);
    let label = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let other = MoodyUpstream::start().await;
    let scene = scene(&[url, other.url()], "outlier = { consecutive_failures = 3, eject_for = \"5m\" }").await;
    for _ in 0..30 {
        assert_eq!(scene.ask().await, 200);
    }
    let metrics = scrape(&scene.client, &scene.gateway).await;
    let failures = metrics.value("postern_upstream_connect_failures_total", &[("endpoint", &label)]);
    assert_eq!(failures, Some(3.0), "it is not even tried");
    assert_eq!(scene.ejections(&label).await, 1.0);
}

#[tokio::test]
async fn one_that_is_silent_is_left_alone() {
    let (failing, other) = (MoodyUpstream::start().await, MoodyUpstream::start().await);
    failing.behave(Mood::Slow(Duration::from_secs(30)));
    let config = "response_header_timeout = \"300ms\"\noutlier = { consecutive_failures = 2, eject_for = \"5m\" }";
    let scene = scene(&[failing.url(), other.url()], config).await;
    for _ in 0..12 {
        scene.ask().await;
    }
    assert_eq!((failing.count(), other.count()), (2, 10));
}

#[tokio::test]
async fn never_all_are_left_alone() {
    let upstreams = [MoodyUpstream::start().await, MoodyUpstream::start().await, MoodyUpstream::start().await];
    upstreams.iter().for_each(|upstream| upstream.behave(Mood::Status(503)));
    let urls: Vec<String> = upstreams.iter().map(MoodyUpstream::url).collect();
    let outlier = "outlier = { consecutive_failures = 2, eject_for = \"5m\", max_ejected = \"100%\" }";
    let scene = scene(&urls, outlier).await;
    for _ in 0..40 {
        assert_eq!(scene.ask().await, 503, "it comes from an upstream");
    }
    let counts: Vec<usize> = upstreams.iter().map(MoodyUpstream::count).collect();
    let mut sorted = counts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 2, 36], "{counts:?}");
    // The control: the one that is left recovers.
    upstreams.iter().for_each(|upstream| upstream.behave(Mood::Status(200)));
    assert_eq!(scene.ask().await, 200);
}

#[tokio::test]
async fn each_time_in_a_row_is_longer_and_then_it_is_as_before() {
    const FIRST: Duration = Duration::from_millis(150);
    let (failing, other) = (MoodyUpstream::start().await, MoodyUpstream::start().await);
    failing.behave(Mood::Status(502));
    let outlier = "outlier = { consecutive_failures = 2, eject_for = \"150ms\", max_eject_for = \"600ms\" }";
    let scene = scene(&[failing.url(), other.url()], outlier).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while failing.count() < 10 {
        assert!(Instant::now() < deadline, "it comes back each time");
        scene.ask().await;
    }
    let arrived = failing.arrived();
    for (ejection, factor) in [(0, 1), (1, 2), (2, 4), (3, 4)] {
        let gap = arrived[2 * ejection + 2] - arrived[2 * ejection + 1];
        // The answer's way back is not in it, so the gap is seen a little shorter than it is only by the clock's grain.
        assert!(gap + Duration::from_millis(2) >= FIRST * factor, "ejection {ejection}: {gap:?}");
    }

    // The control: once it behaves it is let in and stays.
    failing.behave(Mood::Status(200));
    let before = failing.count();
    while failing.count() < before + 10 {
        assert!(Instant::now() < deadline, "it comes back for good");
        scene.ask().await;
    }
    assert_eq!(scene.ejections(&failing.label()).await, 5.0);
}

#[tokio::test]
async fn one_that_comes_back_begins_with_a_small_share() {
    for balance in ["least_requests", "round_robin"] {
        let (failing, other) = (MoodyUpstream::start().await, MoodyUpstream::start().await);
        failing.behave(Mood::Status(502));
        let outlier = "slow_start = \"10m\"\noutlier = { consecutive_failures = 1, eject_for = \"50ms\" }";
        let scene = scene(&[failing.url(), other.url()], outlier).await;
        if balance == "least_requests" {
            scene.gateway.edit("balance = \"round_robin\"", "balance = \"least_requests\"");
        }
        while failing.count() == 0 {
            scene.ask().await;
        }
        failing.behave(Mood::Status(200));
        while !scene.is_available(&failing.label()).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let before = failing.count();
        for _ in 0..220 {
            assert_eq!(scene.ask().await, 200);
        }
        // One in eleven is 20; fewer than 2 or more than 60 has a probability below one in ten million.
        let count = failing.count() - before;
        assert!((2..=60).contains(&count), "{balance}: {count}");
    }
}
