//! Upstreams that are written as names: every address is used, changes are followed, and DNS that fails takes nothing away.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hickory_resolver::proto::{op::ResponseCode, rr::RecordType};
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use crate::support::{
    client::{Answer, HttpClient},
    corp::{Corp, ROUTE},
    dns::{Said, ScriptedDns, loopback},
    gateway::{Gateway, GatewayBuilder},
    observe::{metric, reload},
    openmetrics::scrape,
    upstream::RecordedUpstream,
    wait::until,
};

/// Upstreams on 127.0.0.2 and so on, all on one port, and a DNS server.
struct Scene {
    corp: Corp,
    upstreams: Vec<RecordedUpstream>,
    dns: ScriptedDns,
    client: HttpClient,
}

impl Scene {
    async fn with(last: &[u8]) -> Self {
        let upstreams = RecordedUpstream::on_one_port(&loopback(last)).await;
        Self { corp: Corp::start().await, upstreams, dns: ScriptedDns::start().await, client: HttpClient::http1() }
    }

    fn port(&self) -> u16 {
        self.upstreams[0].address.port()
    }

    /// `[dns]` with times that a test can wait for.
    fn dns(&self) -> String {
        format!("[dns]\nservers = [\"{}\"]\ntimeout = \"400ms\"\nmin_ttl = \"100ms\"\n", self.dns.address)
    }

    /// A gateway whose upstream has `endpoints`, `{port}` being the upstreams' port, and further `keys`.
    fn gateway(&self, endpoints: &str, keys: &str) -> GatewayBuilder {
        let endpoints = endpoints.replace("{port}", &self.port().to_string());
        let upstream = format!("[upstreams.orders]\nendpoints = [{endpoints}]\n{keys}\n");
        self.corp.gateway(&format!("{}{ROUTE}{upstream}", self.dns()))
    }

    async fn ask(&self, gateway: &Gateway, path: &str) -> Answer {
        self.client.get(&gateway.url(path), Some(&self.corp.token())).await
    }

    /// Asks until all these addresses have answered, and nobody else has.
    async fn answered_by(&self, gateway: &Gateway, path: &str, last: &[u8]) {
        let expected: BTreeSet<String> = loopback(last).iter().map(ToString::to_string).collect();
        until(&format!("answers from {expected:?} alone"), async || {
            let mut seen = BTreeSet::new();
            for _ in 0..12 * expected.len() {
                let answer = self.ask(gateway, path).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                seen.insert(answer.text());
            }
            (seen == expected).then_some(())
        })
        .await;
    }
}

/// Load that goes on until it is stopped; no request of it may fail.
struct Load {
    over: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<usize>>,
}

impl Load {
    fn on(scene: &Scene, gateway: &Gateway) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let task = |_| {
            let (over, url, token) = (Arc::clone(&over), gateway.url("/load"), scene.corp.token());
            tokio::spawn(async move {
                let client = HttpClient::http1();
                let mut answered = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer = client.get(&url, Some(&token)).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answered += 1;
                }
                answered
            })
        };
        let tasks = (0..3).map(task).collect();
        Self { over, tasks }
    }

    async fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        for task in self.tasks {
            assert!(task.await.expect("no request failed") > 0);
        }
    }
}

const NAMED: &str = r#""http://orders.test:{port}""#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_is_used_and_a_change_is_followed_while_what_is_under_way_goes_on() {
    let scene = Scene::with(&[2, 3, 4]).await;
    scene.dns.say("orders.test.", Said::Addresses(0, loopback(&[2, 3])));
    let gateway = scene.gateway(NAMED, "").start().await;
    scene.answered_by(&gateway, "/a", &[2, 3]).await;
    let endpoints = async || {
        let exposition = scrape(&scene.client, &gateway).await;
        let of = exposition.samples.into_iter().filter(|sample| sample.name == "postern_upstream_connections");
        of.map(|sample| sample.labels["endpoint"].clone()).collect::<Vec<String>>()
    };
    let labels = |last: &[u8]| {
        loopback(last).iter().map(|address| format!("orders.test@{address}:{}", scene.port())).collect::<Vec<_>>()
    };
    assert_eq!(endpoints().await, labels(&[2, 3]));

    // One request is with an address that goes.
    scene.upstreams[0].hold();
    let before = scene.upstreams[0].count();
    let held = until("a request that is held", async || {
        let (client, url, token) = (HttpClient::http1(), gateway.url("/held"), scene.corp.token());
        let asked = tokio::spawn(async move { client.get(&url, Some(&token)).await });
        let arrived = until("an answer or a request that is held", async || {
            (asked.is_finished() || scene.upstreams[0].count() > before).then(|| scene.upstreams[0].count() > before)
        })
        .await;
        arrived.then_some(asked)
    })
    .await;
    let load = Load::on(&scene, &gateway);
    scene.dns.say("orders.test.", Said::Addresses(0, loopback(&[3, 4])));
    // What was sent to the one that is held before the change may be waiting there.
    until("the change", async || (endpoints().await == labels(&[3, 4])).then_some(())).await;
    scene.answered_by(&gateway, "/a", &[3, 4]).await;
    assert!(!held.is_finished());
    let left = scene.upstreams[0].count();
    scene.upstreams[0].release();
    assert_eq!(held.await.expect("no panic").text(), "127.0.0.2");
    scene.answered_by(&gateway, "/a", &[3, 4]).await;
    load.stop().await;
    assert_eq!(scene.upstreams[0].count(), left, "nothing more is sent to an address that has gone");
    let name = format!("orders.test:{}", scene.port());
    let labels = [("upstream", "orders"), ("name", name.as_str())];
    assert_eq!(metric(&gateway, "postern_upstream_name_addresses", &labels).await, 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_that_fails_takes_no_address_away() {
    let scene = Scene::with(&[2, 3]).await;
    let failures = [
        ("servfail", Said::Error(ResponseCode::ServFail), "failed"),
        ("refused", Said::Error(ResponseCode::Refused), "failed"),
        ("gone", Said::Error(ResponseCode::NXDomain), "no_address"),
        ("nothing", Said::Nothing, "no_address"),
        ("nobody", Said::Addresses(0, vec!["0.0.0.0".parse().unwrap(), "224.0.0.1".parse().unwrap()]), "no_address"),
        ("silent", Said::Silence, "failed"),
        ("garbage", Said::Garbage, "failed"),
    ];
    let mut config = scene.dns();
    for (name, _, _) in &failures {
        scene.dns.say(&format!("{name}.test."), Said::Addresses(0, loopback(&[2])));
        let endpoint = format!("http://{name}.test:{}", scene.port());
        let route = ROUTE.replace("orders]", &format!("{name}]")).replace("routes.orders.", &format!("routes.{name}."));
        let route = route.replace("/{*rest}", &format!("/{name}")).replace("\"orders\"", &format!("\"{name}\""));
        config.push_str(&format!("{route}\n[upstreams.{name}]\nendpoints = [\"{endpoint}\"]\n"));
    }
    let gateway = scene.corp.gateway(&config).start().await;
    for (name, said, _) in &failures {
        scene.answered_by(&gateway, &format!("/{name}"), &[2]).await;
        scene.dns.say(&format!("{name}.test."), said.clone());
    }
    for (name, _, result) in &failures {
        let labels = [("upstream", *name), ("result", *result)];
        let failed = || metric(&gateway, "postern_upstream_name_lookups_total", &labels);
        until(&format!("a lookup of {name} in vain"), async || (failed().await >= 1.0).then_some(())).await;
        for _ in 0..5 {
            let answer = scene.ask(&gateway, &format!("/{name}")).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "127.0.0.2"), "{name}");
        }
    }
    // The control: what is said next is followed.
    for (name, _, _) in &failures {
        scene.dns.say(&format!("{name}.test."), Said::Addresses(0, loopback(&[3])));
    }
    for (name, _, _) in &failures {
        scene.answered_by(&gateway, &format!("/{name}"), &[3]).await;
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_at_the_start_is_a_502_and_recovers_by_itself() {
    let scene = Scene::with(&[2]).await;
    let gateway = scene.gateway(NAMED, "").start().await;
    let answer = scene.ask(&gateway, "/a").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect_failed"));
    assert_eq!(scene.upstreams[0].count(), 0);
    scene.dns.say("orders.test.", Said::Addresses(60, loopback(&[2])));
    until("the name", async || (scene.ask(&gateway, "/a").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_first_request_waits_for_the_first_answer_but_not_for_ever() {
    let scene = Scene::with(&[2]).await;
    scene.dns.say("orders.test.", Said::Silence);
    let patient = scene.gateway(NAMED, "connect_timeout = \"15s\"").with("400ms", "15s").start().await;
    let (client, url, token) = (HttpClient::http1(), patient.url("/a"), scene.corp.token());
    let asked = tokio::spawn(async move { client.get(&url, Some(&token)).await });
    until("the question", async || (scene.dns.asked("orders.test.") > 0).then_some(())).await;
    assert!(!asked.is_finished());

    let hasty = scene.gateway(NAMED, "connect_timeout = \"50ms\"").with("400ms", "15s").start().await;
    let answer = scene.ask(&hasty, "/a").await;
    assert_eq!((answer.status.as_u16(), answer.reason().as_str()), (502, "upstream_connect_timeout"));

    scene.dns.say("orders.test.", Said::Addresses(60, loopback(&[2])));
    assert_eq!(asked.await.expect("no panic").status, 200);
    assert_eq!(scene.upstreams[0].count(), 1);
}

#[tokio::test]
async fn answers_are_used_for_their_time_to_live_within_the_bounds_of_the_configuration() {
    let scene = Scene::with(&[2]).await;
    scene.dns.say("second.test.", Said::Addresses(1, loopback(&[2])));
    scene.dns.say("alias.test.", Said::Alias(1, "elsewhere.test.", 3600, loopback(&[2])));
    scene.dns.say("day.test.", Said::Addresses(86_400, loopback(&[2])));
    let endpoints = r#""http://second.test:{port}", "http://alias.test:{port}", "http://day.test:{port}""#;
    let builder = scene.gateway(endpoints, "");
    let _gateway = builder.with("min_ttl = \"100ms\"", "min_ttl = \"100ms\"\nmax_ttl = \"1500ms\"").start().await;
    for (name, least) in [("second.test.", 1000), ("alias.test.", 1000), ("day.test.", 1500)] {
        until(name, async || (scene.dns.asked(name) >= 3).then_some(())).await;
        let questions = scene.dns.questions();
        let times: Vec<_> = questions
            .iter()
            .filter(|question| question.name == name && question.record_type == RecordType::A)
            .map(|question| question.at)
            .collect();
        for pair in times.windows(2) {
            let between = pair[1].duration_since(pair[0]);
            assert!(between >= Duration::from_millis(least - 20), "{name} {between:?}");
        }
    }
}

#[tokio::test]
async fn the_addresses_of_a_name_share_with_others_by_weight() {
    let scene = Scene::with(&[2, 3, 4]).await;
    scene.dns.say("orders.test.", Said::Addresses(60, loopback(&[3, 2, 3])));
    let endpoints = r#"{ url = "http://orders.test:{port}", weight = 3 }, "http://127.0.0.4:{port}""#;
    let gateway = scene.gateway(endpoints, "balance = \"round_robin\"").start().await;
    // The written address is there from the beginning.
    let name = format!("orders.test:{}", scene.port());
    until("the name", async || {
        (metric(&gateway, "postern_upstream_name_addresses", &[("name", &name)]).await == 2.0).then_some(())
    })
    .await;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for _ in 0..70 {
        *counts.entry(scene.ask(&gateway, "/a").await.text()).or_default() += 1;
    }
    let expected = [("127.0.0.2", 30), ("127.0.0.3", 30), ("127.0.0.4", 10)];
    assert_eq!(counts, expected.map(|(address, count)| (address.to_owned(), count)).into());
}

#[tokio::test]
async fn what_dns_can_say_is_understood() {
    let scene = Scene::with(&[2, 3]).await;
    let both: Vec<IpAddr> = loopback(&[2, 3]);
    let dns = &scene.dns;
    dns.say("tcp.test.", Said::ByTcpOnly(60, both.clone()));
    dns.say("alias.test.", Said::Alias(60, "elsewhere.test.", 60, both.clone()));
    // One family is enough, whatever becomes of the other.
    dns.say("half.test.", Said::Addresses(60, both.clone()));
    dns.say_of("half.test.", RecordType::AAAA, Said::Error(ResponseCode::ServFail));
    dns.say("mute.test.", Said::Addresses(60, both.clone()));
    dns.say_of("mute.test.", RecordType::AAAA, Said::Silence);
    dns.say("filtered.test.", Said::Addresses(60, [both, vec!["0.0.0.0".parse().unwrap()]].concat()));
    for name in ["tcp", "alias", "half", "mute", "filtered"] {
        let gateway = scene.gateway(&NAMED.replace("orders", name), "").start().await;
        scene.answered_by(&gateway, "/a", &[2, 3]).await;
    }
    assert!(scene.dns.questions().iter().any(|question| question.by_tcp), "the answer that did not fit");
}

#[tokio::test]
async fn a_server_that_fails_is_passed_over() {
    for said in [Said::Silence, Said::Error(ResponseCode::ServFail), Said::Garbage] {
        let scene = Scene::with(&[2]).await;
        let broken = ScriptedDns::start().await;
        broken.say("orders.test.", said);
        scene.dns.say("orders.test.", Said::Addresses(0, loopback(&[2])));
        let servers = format!("servers = [\"{}\", ", broken.address);
        let gateway = scene.gateway(NAMED, "").with("servers = [", &servers).start().await;
        until("an address", async || (scene.ask(&gateway, "/a").await.status == 200).then_some(())).await;
        let asked = broken.asked("orders.test.");
        assert!(asked > 0);
        let again = scene.dns.asked("orders.test.") + 3;
        until("further lookups", async || (scene.dns.asked("orders.test.") >= again).then_some(())).await;
        assert_eq!(broken.asked("orders.test."), asked, "the one that answered is asked first from then on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_changes_servers_and_names_without_losing_a_request() {
    let scene = Scene::with(&[2, 3, 4]).await;
    let other = ScriptedDns::start().await;
    scene.dns.say("orders.test.", Said::Addresses(0, loopback(&[2])));
    scene.dns.say("more.test.", Said::Addresses(0, loopback(&[4])));
    let gateway = scene.gateway(NAMED, "").start().await;
    scene.answered_by(&gateway, "/a", &[2]).await;
    let load = Load::on(&scene, &gateway);
    let connections = scene.upstreams[0].connections();

    // The other server is silent at first: what is known stays, and so do the connections.
    other.say("orders.test.", Said::Silence);
    gateway.edit(&scene.dns.address.to_string(), &other.address.to_string());
    assert_eq!(reload(&gateway).await.status, 200);
    until("the other server", async || (other.asked("orders.test.") > 0).then_some(())).await;
    scene.answered_by(&gateway, "/a", &[2]).await;
    // The load's connections and the client's reach the same workers as before.
    assert!(scene.upstreams[0].connections() <= connections + 4, "{}", scene.upstreams[0].connections());
    other.say("orders.test.", Said::Addresses(0, loopback(&[3])));
    scene.answered_by(&gateway, "/a", &[3]).await;
    let asked = scene.dns.asked("orders.test.");
    let again = other.asked("orders.test.") + 5;
    until("further lookups", async || (other.asked("orders.test.") >= again).then_some(())).await;
    assert_eq!(scene.dns.asked("orders.test."), asked, "the first server is not asked any more");

    // Another name beside the first, and then without it.
    other.say("more.test.", Said::Addresses(0, loopback(&[4])));
    let (first, second) =
        (format!("\"http://orders.test:{}\"", scene.port()), format!("\"http://more.test:{}\"", scene.port()));
    gateway.edit(&first, &format!("{first}, {second}"));
    assert_eq!(reload(&gateway).await.status, 200);
    scene.answered_by(&gateway, "/a", &[3, 4]).await;
    gateway.edit(&format!("{first}, {second}"), &second);
    assert_eq!(reload(&gateway).await.status, 200);
    scene.answered_by(&gateway, "/a", &[4]).await;
    load.stop().await;
    // Workers let go of a configuration at their next request; then nobody asks for what nobody uses.
    until("the end of the questions", async || {
        scene.answered_by(&gateway, "/a", &[4]).await;
        let (gone, stays) = (other.asked("orders.test."), other.asked("more.test."));
        until("further lookups", async || (other.asked("more.test.") >= stays + 4).then_some(())).await;
        (other.asked("orders.test.") == gone).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_address_of_a_name_is_asked_after_its_own_health() {
    let addresses = loopback(&[2, 3]);
    let upstreams = RecordedUpstream::on_one_port_answering(&addresses, |address, request| {
        let mut answer = Response::new(Full::from(address.to_string()));
        if request.target == "/healthz" && address.to_string() == "127.0.0.3" {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    })
    .await;
    let mut scene = Scene::with(&[]).await;
    scene.upstreams = upstreams;
    scene.dns.say("orders.test.", Said::Addresses(60, addresses));
    let health = "[upstreams.orders.health]\npath = \"/healthz\"\ninterval = \"200ms\"\nunhealthy_after = 1";
    let gateway = scene.gateway(NAMED, health).start().await;
    until("questions", async || (scene.upstreams.iter().all(|upstream| upstream.count() > 0)).then_some(())).await;
    scene.answered_by(&gateway, "/a", &[2]).await;
    let asked = scene.upstreams[1].requests().into_iter().filter(|request| request.target != "/healthz");
    let asked = asked.count();
    for _ in 0..20 {
        assert_eq!(scene.ask(&gateway, "/a").await.text(), "127.0.0.2");
    }
    let requests = scene.upstreams[1].requests();
    assert_eq!(requests.iter().filter(|request| request.target != "/healthz").count(), asked);
    let host = requests[0].headers["host"].to_str().unwrap().to_owned();
    assert_eq!(host, format!("orders.test:{}", scene.port()), "asked by its name");
}

#[tokio::test]
async fn a_start_does_not_wait_for_dns() {
    let scene = Scene::with(&[2]).await;
    scene.dns.say("orders.test.", Said::Silence);
    let began = Instant::now();
    let gateway = scene.gateway(NAMED, "").with("400ms", "60s").start().await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(scene.client.get(&gateway.admin_url("/readyz"), None).await.status, 200);
}
