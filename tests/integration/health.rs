//! Health checks: who gets requests when some endpoints are not well, and how they are asked.

use std::time::Duration;

use http::{Response, Version};
use tokio::net::TcpListener;

use crate::support::{
    certificates::Authority,
    client::HttpClient,
    connection::bytes,
    corp::{Corp, ROUTE},
    dns::{Said, ScriptedDns, loopback},
    gateway::Gateway,
    launch::{self, Launch, write},
    moody_upstream::{Mood, MoodyUpstream},
    openmetrics::{Exposition, scrape},
    raw_socket::{listen, url_of},
    served_upstream::ServedUpstream,
    upstream::RecordedUpstream,
    wait::until,
};

/// Asked often, so that tests are soon over; patient enough for a slow machine.
const HEALTH: &str = r#"
[upstreams.orders.health]
path = "/healthz"
interval = "50ms"
timeout = "2s"
healthy_after = 2
unhealthy_after = 2
"#;

struct Scene {
    corp: Corp,
    gateway: Gateway,
    client: HttpClient,
}

async fn scene(endpoints: &[String], config: &str) -> Scene {
    let corp = Corp::start().await;
    let endpoints = endpoints.iter().map(|url| format!("\"{url}\"")).collect::<Vec<_>>().join(", ");
    let config = format!("{ROUTE}[upstreams.orders]\nendpoints = [{endpoints}]\n{config}\n");
    let gateway = corp.gateway(&config).start().await;
    Scene { corp, gateway, client: HttpClient::http1() }
}

impl Scene {
    /// Sends so many requests and wants them answered.
    async fn ask(&self, times: usize) {
        for number in 0..times {
            let answer = self.client.get(&self.gateway.url("/a"), Some(&self.corp.token())).await;
            assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
        }
    }

    async fn metrics(&self) -> Exposition {
        scrape(&self.client, &self.gateway).await
    }

    async fn is_available(&self, endpoint: &str) -> bool {
        let metrics = self.metrics().await;
        metrics.value("postern_upstream_endpoint_available", &[("endpoint", endpoint)]) == Some(1.0)
    }

    async fn until_available(&self, endpoint: &str, expected: bool) {
        until(&format!("{endpoint} available: {expected}"), || async {
            (self.is_available(endpoint).await == expected).then_some(())
        })
        .await;
    }

    /// Answers to health checks of one kind, of all endpoints.
    async fn answers(&self, result: &str) -> f64 {
        self.metrics().await.sum("postern_upstream_health_checks_total", &[("result", result)])
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_well_gets_no_requests_until_it_is_well_again() {
    for (mood, result, config) in [
        (Mood::Status(503), "status", HEALTH.to_owned()),
        (Mood::Status(301), "status", HEALTH.to_owned()),
        (Mood::Status(200), "status", format!("{HEALTH}expect = [204]\n")),
        (Mood::Slow(Duration::from_secs(30)), "timed_out", HEALTH.replace("2s", "300ms")),
    ] {
        let (ailing, other) = (MoodyUpstream::start().await, MoodyUpstream::start().await);
        let good = if config.contains("expect") { Mood::Status(204) } else { Mood::Status(200) };
        ailing.feel(good);
        other.feel(good);
        let scene = scene(&[ailing.url(), other.url()], &config).await;
        scene.until_available(&ailing.label(), true).await;
        scene.until_available(&other.label(), true).await;

        ailing.feel(mood);
        scene.until_available(&ailing.label(), false).await;
        let before = (ailing.count(), other.count());
        scene.ask(30).await;
        assert_eq!((ailing.count(), other.count()), (before.0, before.1 + 30), "{mood:?}");
        assert!(scene.answers(result).await >= 2.0, "{mood:?}");

        // The control: it is well again and gets its share.
        ailing.feel(good);
        scene.until_available(&ailing.label(), true).await;
        scene.ask(40).await;
        assert!(ailing.count() > before.0, "{mood:?}");
    }
}

#[tokio::test]
async fn one_that_is_not_there_gets_requests_once_it_is() {
    let nobody = listen().await;
    let (address, url) = (nobody.local_addr().expect("an address"), url_of(&nobody));
    drop(nobody);
    let other = MoodyUpstream::start().await;
    let scene = scene(&[url, other.url()], HEALTH).await;
    scene.until_available(&other.label(), true).await;
    until("a connection refused", || async { (scene.answers("unreachable").await > 0.0).then_some(()) }).await;
    scene.ask(20).await;
    assert_eq!(other.count(), 20);
    let failures = scene.metrics().await.sum("postern_upstream_connect_failures_total", &[]);
    assert_eq!(failures, 0.0, "no request went where nobody is, and checks are not counted as requests");

    let listener = TcpListener::bind(address).await.expect("still free");
    let late = ServedUpstream::at(listener, None, |_| async { Response::new(bytes("late")) });
    scene.until_available(&address.to_string(), true).await;
    let checked = late.requests();
    scene.ask(40).await;
    assert!(other.count() < 60 && late.requests() > checked);
}

#[tokio::test]
async fn if_none_is_well_all_get_requests() {
    let upstreams = [MoodyUpstream::start().await, MoodyUpstream::start().await];
    upstreams.iter().for_each(|upstream| upstream.feel(Mood::Status(500)));
    let urls: Vec<String> = upstreams.iter().map(MoodyUpstream::url).collect();
    let scene = scene(&urls, &format!("balance = \"round_robin\"\n{HEALTH}")).await;
    let none = || async { scene.metrics().await.value("postern_upstream_none_available", &[("upstream", "orders")]) };
    until("none is available", || async { (none().await == Some(1.0)).then_some(()) }).await;
    scene.ask(20).await;
    assert_eq!([upstreams[0].count(), upstreams[1].count()], [10, 10]);

    // One recovers, and has them all.
    upstreams[1].feel(Mood::Status(200));
    until("one is available", || async { (none().await == Some(0.0)).then_some(()) }).await;
    scene.ask(10).await;
    assert_eq!([upstreams[0].count(), upstreams[1].count()], [10, 30 - 10]);
}

#[tokio::test]
async fn it_is_asked_as_it_is_spoken_to_and_says_who_asks() {
    let authority = Authority::new("the test's own");
    let identity = authority.issue(&["upstream.test"]);
    let both: &[&str] = &["h2", "http/1.1"];
    for (protocol, alpn, version) in [
        ("http1", None, Version::HTTP_11),
        ("http2", None, Version::HTTP_2),
        ("http1", Some(both), Version::HTTP_11),
        ("http2", Some(both), Version::HTTP_2),
        ("auto", Some(both), Version::HTTP_2),
        ("auto", Some(&["http/1.1"][..]), Version::HTTP_11),
    ] {
        let tls = alpn.map(|alpn| Authority::server(&identity, alpn, None));
        let upstream = MoodyUpstream::over(tls).await;
        let scheme = if alpn.is_some() { "https" } else { "http" };
        let secure = if alpn.is_some() { "tls = { ca = \"ca.pem\", server_name = \"upstream.test\" }" } else { "" };
        for host in [None, Some("orders.internal:81")] {
            let corp = Corp::start().await;
            let named = host.map(|host| format!("host = \"{host}\"\n")).unwrap_or_default();
            let config = format!(
                "{ROUTE}[upstreams.orders]\nendpoints = [\"{scheme}://{}\"]\nprotocol = \"{protocol}\"\n{secure}\n\
                 {}{named}",
                upstream.address,
                HEALTH.replace("/healthz", "/healthz?deep=1"),
            );
            let builder = corp.gateway(&config);
            authority.write(builder.folder(), "ca");
            let scene = Scene { corp, gateway: builder.start().await, client: HttpClient::http1() };
            scene.until_available(&upstream.label(), true).await;
            assert!(scene.answers("good").await >= 1.0);
            let asked = upstream.asked().pop().expect("it was asked");
            assert_eq!((asked.target.as_str(), asked.version), ("/healthz?deep=1", version), "{protocol} {alpn:?}");
            assert_eq!(asked.host, host.map_or_else(|| upstream.label(), str::to_owned), "{protocol} {alpn:?}");
            assert_eq!(asked.agent, concat!("postern-health/", env!("CARGO_PKG_VERSION")));
            assert!(!asked.is_authorized);
            let open = scene.metrics().await.value("postern_upstream_connections", &[]);
            assert_eq!(open, Some(0.0), "checks take no request's place");
            scene.ask(1).await;
        }
    }
}

#[tokio::test]
async fn one_whose_certificate_is_of_another_authority_is_not_well() {
    let corp = Corp::start().await;
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let upstream =
        MoodyUpstream::over(Some(Authority::server(&other.issue(&["localhost"]), &["http/1.1"], None))).await;
    let url = format!("https://{}", upstream.address);
    let tls = "[upstreams.orders.tls]\nca = \"ca.pem\"\nserver_name = \"localhost\"\n";
    let builder = corp.before(&url, &format!("{tls}{HEALTH}"));
    trusted.write(builder.folder(), "ca");
    let scene = Scene { corp, gateway: builder.start().await, client: HttpClient::http1() };
    until("TLS fails", || async { (scene.answers("tls").await > 0.0).then_some(()) }).await;
    assert!(!scene.is_available(&upstream.label()).await);
    assert_eq!(upstream.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let upstream = MoodyUpstream::start().await;
    upstream.feel(Mood::Endless);
    let scene = scene(&[upstream.url()], HEALTH).await;
    until("several good answers", || async { (scene.answers("good").await >= 3.0).then_some(()) }).await;
    scene.ask(3).await;
}

#[tokio::test]
async fn a_reload_keeps_what_is_known_and_follows_what_is_asked_for() {
    let upstreams = [MoodyUpstream::start().await, MoodyUpstream::start().await, MoodyUpstream::start().await];
    let scene = scene(&[upstreams[0].url(), upstreams[1].url()], HEALTH).await;
    upstreams[0].feel(Mood::Status(500));
    scene.until_available(&upstreams[0].label(), false).await;
    scene.until_available(&upstreams[1].label(), true).await;
    let generation = |expected: f64| {
        let scene = &scene;
        async move {
            until("the reload", || async {
                (scene.metrics().await.value("postern_config_generation", &[]) == Some(expected)).then_some(())
            })
            .await;
        }
    };

    // Another endpoint comes, which gets requests once it has said that it is well; nobody forgets the one that is not.
    let (second, third) = (upstreams[1].url(), upstreams[2].url());
    scene.gateway.edit(&format!("\"{second}\"]"), &format!("\"{second}\", \"{third}\"]"));
    generation(2.0).await;
    scene.ask(20).await;
    scene.until_available(&upstreams[2].label(), true).await;
    scene.ask(40).await;
    assert_eq!(upstreams[0].count(), 0);
    assert!(upstreams[2].count() > 0);

    // It leaves, and is asked no more.
    scene.gateway.edit(&format!(", \"{third}\"]"), "]");
    generation(3.0).await;
    let asked = |index: usize| upstreams[index].asked().len();
    let (before, others) = (asked(2), asked(1));
    until("further questions to another", || async { (asked(1) > others + 5).then_some(()) }).await;
    assert!(asked(2) <= before + 1, "one may have been on its way");

    // Nobody is asked any more, and so all get requests.
    scene.gateway.edit(
        "[upstreams.orders.health]",
        "[upstreams.unused]\nendpoints = [\"http://127.0.0.1:1\"]\n[upstreams.unused.health]",
    );
    generation(4.0).await;
    until("requests to all", || async {
        scene.ask(1).await;
        (upstreams[0].count() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_address_of_a_name_is_asked_by_itself_and_those_that_come_later_too() {
    let upstreams = RecordedUpstream::on_one_port(&loopback(&[2, 3, 4])).await;
    let (dns, corp) = (ScriptedDns::start().await, Corp::start().await);
    dns.say("orders.test.", Said::Addresses(0, loopback(&[2, 3])));
    let port = upstreams[0].address.port();
    let config = format!(
        "[dns]\nservers = [\"{}\"]\nmin_ttl = \"100ms\"\n{ROUTE}\
         [upstreams.orders]\nendpoints = [\"http://orders.test:{port}\"]\n{}",
        dns.address,
        HEALTH.replace("2s", "400ms"),
    );
    let scene = Scene { gateway: corp.gateway(&config).start().await, corp, client: HttpClient::http1() };
    let label = |last: u8| format!("orders.test@127.0.0.{last}:{port}");
    let requests = |index: usize| {
        let of: &RecordedUpstream = &upstreams[index];
        of.requests().iter().filter(|seen| seen.target == "/a").count()
    };
    for last in [2, 3] {
        scene.until_available(&label(last), true).await;
    }
    // It answers nobody any more.
    upstreams[0].hold();
    scene.until_available(&label(2), false).await;
    let before = requests(0);
    scene.ask(20).await;
    assert_eq!((requests(0), requests(1)), (before, 20));
    let asked = upstreams[1].requests().into_iter().find(|seen| seen.target == "/healthz").expect("it was asked");
    assert_eq!(asked.headers["host"], format!("orders.test:{port}").as_str());

    dns.say("orders.test.", Said::Addresses(0, loopback(&[2, 3, 4])));
    scene.until_available(&label(4), true).await;
    assert!(!scene.is_available(&label(2)).await, "who stays keeps what is known");
    scene.ask(40).await;
    assert!(requests(0) == before && requests(2) > 0);

    upstreams[0].release();
    scene.until_available(&label(2), true).await;
    scene.ask(40).await;
    assert!(requests(0) > before);
}

#[tokio::test]
async fn the_log_says_each_change_and_why() {
    let upstreams = [MoodyUpstream::start().await, MoodyUpstream::start().await];
    let folder = tempfile::tempdir().expect("a folder");
    let config = format!(
        "{}[routes.all]\npath = \"/{{*rest}}\"\nupstream = \"orders\"\npublic = true\n\
         [upstreams.orders]\nendpoints = [\"{}\", \"{}\"]\n\
         outlier = {{ consecutive_failures = 2, eject_for = \"100ms\" }}\n{HEALTH}",
        launch::PREAMBLE,
        upstreams[0].url(),
        upstreams[1].url(),
    );
    let file = write(folder.path(), "postern.toml", &config);
    let process = Launch::serve(folder.path(), &[&file]).start();
    let url = format!("http://{}/a", process.address_of("listener public").await);
    let labels = [upstreams[0].label(), upstreams[1].label()];
    process.logged(&format!("upstream orders: {} is well", labels[0])).await;
    process.logged(&format!("upstream orders: {} is well", labels[1])).await;

    upstreams[0].feel(Mood::Status(500));
    process.logged(&format!("upstream orders: {} is not well and gets no requests", labels[0])).await;
    process.logged("it answered with status 500").await;
    upstreams[1].feel(Mood::Status(500));
    process.logged(&format!("upstream orders: {} is not well and gets no requests", labels[1])).await;
    let client = HttpClient::http1();
    for _ in 0..3 {
        assert_eq!(client.get(&url, None).await.status, 200);
    }
    process.logged("upstream orders: no endpoint is available, so requests go to all of them").await;
    upstreams.iter().for_each(|upstream| upstream.feel(Mood::Status(200)));
    process.logged_times(&format!("upstream orders: {} is well", labels[0]), 2).await;
    process.logged_times(&format!("upstream orders: {} is well", labels[1]), 2).await;
    assert_eq!(client.get(&url, None).await.status, 200);
    process.logged("upstream orders: endpoints are available again").await;

    upstreams[0].behave(Mood::Status(503));
    until("it is left alone", || async {
        let _ = client.get(&url, None).await;
        process.log().contains("failed 2 requests in a row and is left alone for 100ms").then_some(())
    })
    .await;
    process.logged(&format!("upstream orders: {} is no longer left alone", labels[0])).await;
    for once in ["no endpoint is available", "are available again", "it answered with status 500"] {
        let times = process.log().matches(once).count();
        assert!(times == 1 || (times == 2 && once.contains("500")), "{once}: {times}");
    }
}
