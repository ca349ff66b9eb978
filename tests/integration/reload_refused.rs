//! A configuration that is not good is never applied: the rules before it stay in force, and everybody is told.

use std::{fs, path::Path};

use http::Method;
use serde_json::Value;

use crate::support::{
    client::{HttpClient, request},
    gateway::Gateway,
    launch::{Launch, replace, write},
    scoped::{Scoped, metric, rules, whole, whole_with},
    wait::until,
};

const FAILED: &str = "configuration not applied, the one before stays in force";

/// What an operator may do to a file by mistake, and a word of what is said to it.
fn mistakes(good: &str) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let half = good.split("[routes.x.require]").next().expect("a beginning");
    vec![
        ("a syntax error", good.replace("[upstreams.orders]", "[upstreams.orders").into_bytes(), "error"),
        ("an unknown key", good.replace("scopes = ", "scope = ").into_bytes(), "`scope` is not a key"),
        ("an unknown upstream", good.replace("\"orders\"", "\"oders\"").into_bytes(), "oders"),
        ("half of it", half.as_bytes().to_vec(), "require"),
        ("cut within a value", good.split("\"]\n").next().unwrap_or_default().as_bytes().to_vec(), "error"),
        ("nothing", Vec::new(), "empty"),
        ("not UTF-8", [good.as_bytes(), b"\n# \xff\xfe\n"].concat(), "UTF-8"),
        ("10 MB", [good.as_bytes(), &vec![b'#'; 10 * 1024 * 1024]].concat(), "larger than 4 MiB"),
    ]
}

async fn config_of(gateway: &Gateway) -> Value {
    HttpClient::http1().get(&gateway.admin_url("/api/v1/config"), None).await.json()
}

#[tokio::test]
async fn a_bad_file_leaves_the_old_rules_in_force_and_a_good_one_recovers() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let url = gateway.url("/x");
    scoped.asks_for(&url, "a", "b").await;
    let applied = config_of(&gateway).await;
    let good = fs::read_to_string(gateway.file()).unwrap();
    // The mistakes are made in a file that would also change the rule, so that applying a part of it would show.
    let changed = good.replace("scopes = [\"a\"]", "scopes = [\"b\"]");

    let mut rejected = 0.0;
    for (what, bytes, word) in mistakes(&changed) {
        fs::write(gateway.file(), &bytes).unwrap();
        rejected = until(&format!("the refusal of {what}"), async || {
            let total = metric(&gateway, "postern_config_reloads_total{result=\"rejected\"}").await;
            (total > rejected && told(&config_of(&gateway).await, word)).then_some(total)
        })
        .await;
        assert_eq!(metric(&gateway, "postern_config_last_reload_successful").await, 0.0, "{what}");
        assert_eq!(metric(&gateway, "postern_config_generation").await, 1.0, "{what}");
        let info = format!("postern_config_info{{hash=\"{}\"}}", applied["hash"].as_str().unwrap());
        assert_eq!(metric(&gateway, &info).await, 1.0, "{what}");
        let mut shown = config_of(&gateway).await;
        assert!(shown["last_rejected"]["diagnostics"][0]["message"].is_string(), "{what}: {shown}");
        shown.as_object_mut().unwrap().remove("last_rejected");
        assert_eq!(shown, applied, "{what}: the admin API shows what is applied, not what was refused");
        scoped.asks_for(&url, "a", "b").await;
    }

    fs::remove_file(gateway.file()).unwrap();
    until("the refusal of a file that is gone", async || {
        let total = metric(&gateway, "postern_config_reloads_total{result=\"rejected\"}").await;
        (total > rejected && told(&config_of(&gateway).await, "cannot be read")).then_some(())
    })
    .await;
    scoped.asks_for(&url, "a", "b").await;

    fs::write(gateway.file(), &changed).unwrap();
    scoped.asks_for(&url, "b", "a").await;
    assert_eq!(metric(&gateway, "postern_config_last_reload_successful").await, 1.0);
    let shown = config_of(&gateway).await;
    assert_eq!((&shown["generation"], &shown["last_rejected"]), (&2.into(), &Value::Null));
    assert_ne!(shown["hash"], applied["hash"]);
}

fn told(config: &Value, word: &str) -> bool {
    config["last_rejected"]["diagnostics"].to_string().contains(word)
}

#[tokio::test]
async fn post_reload_answers_a_bad_file_with_its_diagnostics() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    gateway.edit("scopes = [\"a\"]", "scpes = [\"b\"]");
    let answer = HttpClient::http1().send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let diagnostics = answer.json()["diagnostics"].clone();
    assert_eq!(diagnostics.as_array().map(Vec::len), Some(1), "{diagnostics}");
    assert!(diagnostics.to_string().contains("scopes"), "{diagnostics}");
    scoped.asks_for(&gateway.url("/x"), "a", "b").await;
    gateway.edit("scpes = [\"b\"]", "scopes = [\"b\"]");
    let answer = HttpClient::http1().send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    scoped.asks_for(&gateway.url("/x"), "b", "a").await;
}

#[tokio::test]
async fn every_problem_of_a_bad_file_is_in_the_log_as_an_error_with_its_line() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    replace(&file, &whole("b").replace("upstream = \"orders\"", "upstream = \"nowhere\"\ntimeout = \"soon\""));
    gateway.logged(FAILED).await;
    let log = gateway.log();
    for words in ["there is no upstream `nowhere`", "`soon` is not a duration"] {
        let line = log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {log}"));
        assert!(line.contains(" ERROR ") && line.contains("postern.toml:"), "{line}");
    }
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "a", "b").await;
    gateway.signal("HUP");
    gateway.logged_times(FAILED, 2).await;
    scoped.asks_for(&url, "a", "b").await;
}

#[tokio::test]
async fn a_listener_whose_address_is_taken_refuses_the_whole_configuration() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // A listener that cannot be had, another access log, another rule: none of the three.
    let more = format!("\n[listeners.second]\naddress = \"{address}\"\n[telemetry]\naccess_log_to = \"access.log\"\n");
    replace(&file, &whole_with("b", &more));
    gateway.logged(FAILED).await;
    assert!(gateway.log().contains("another program listens there already"), "{}", gateway.log());
    scoped.asks_for(&url, "a", "b").await;
    until("the access log where it was", async || gateway.out().contains("\"route\":\"x\"").then_some(())).await;
    assert!(nothing_in(&folder.path().join("access.log")));

    drop(taken);
    gateway.signal("HUP");
    gateway.logged("listener second: listening on").await;
    scoped.asks_for(&url, "b", "a").await;
    scoped.asks_for(&format!("http://{address}/x"), "b", "a").await;
}

fn nothing_in(file: &Path) -> bool {
    fs::metadata(file).map_or(true, |metadata| metadata.len() == 0)
}

#[tokio::test]
async fn a_certificate_that_is_named_before_it_is_there_is_applied_once_it_is() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    let tls = "\n[upstreams.secure]\nendpoints = [\"https://127.0.0.1:1\"]\n[upstreams.secure.tls]\nca = \"ca.pem\"\n";
    replace(&file, &whole_with("b", tls));
    gateway.logged(FAILED).await;
    scoped.asks_for(&url, "a", "b").await;
    let ca = rcgen::generate_simple_self_signed(vec!["secure.test".to_owned()]).unwrap();
    write(folder.path(), "ca.pem", &ca.cert.pem());
    scoped.asks_for(&url, "b", "a").await;
}

#[tokio::test]
async fn the_admin_token_cannot_be_taken_away_while_the_listener_can_be_reached_from_outside() {
    // The address is fixed at the start, so a loopback address beside it that would need no token is not there yet.
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let open = "[listeners.public]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"0.0.0.0:0\"\n\
                token = \"a-token-of-the-administrator\"\n";
    let file = write(folder.path(), "postern.toml", &format!("{open}{}", rules("a")));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let port = gateway.address_of("admin listener").await.port();
    let admin = format!("http://127.0.0.1:{port}/api/v1/config");
    for without in ["[admin]\naddress = \"127.0.0.1:0\"\n", ""] {
        let text = format!("[listeners.public]\naddress = \"127.0.0.1:0\"\n{without}{}", rules("b"));
        replace(&file, &text);
        let reload = request(
            Method::POST,
            &format!("http://127.0.0.1:{port}/api/v1/reload"),
            Some("a-token-of-the-administrator"),
        );
        assert_eq!(HttpClient::http1().send(reload).await.status, 422, "{}", gateway.log());
        assert_eq!(HttpClient::http1().get(&admin, None).await.status, 401);
        let known = HttpClient::http1().get(&admin, Some("a-token-of-the-administrator")).await;
        assert_eq!(known.status, 200);
    }
}
