//! What causes a reload, and that each one is applied: editors, overlays, secrets, symlinks, a signal, the admin API.

use std::{fs, os::unix::fs::symlink, path::Path};

use http::Method;
use serde_json::json;

use crate::support::{
    client::{HttpClient, request},
    gateway::{Gateway, GatewayBuilder},
    launch::{Launch, replace, write},
    scoped::{Scoped, metric, rules, whole},
    wait::until,
};

/// How often a symlink is swapped in a row.
const SWAPS: usize = 100;

#[tokio::test]
async fn a_file_that_is_replaced_is_applied() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let url = gateway.url("/x");
    scoped.asks_for(&url, "a", "b").await;
    gateway.edit("scopes = [\"a\"]", "scopes = [\"b\"]");
    scoped.asks_for(&url, "b", "a").await;
    assert_eq!(metric(&gateway, "postern_config_generation").await, 2.0);
    assert_eq!(metric(&gateway, "postern_config_last_reload_successful").await, 1.0);
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_applied() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let url = gateway.url("/x");
    for (scope, other) in [("b", "a"), ("a", "b"), ("b", "a")] {
        let text = fs::read_to_string(gateway.file()).unwrap();
        let changed = text.replace(&format!("scopes = [\"{other}\"]"), &format!("scopes = [\"{scope}\"]"));
        assert_ne!(text, changed);
        fs::write(gateway.file(), changed).unwrap();
        scoped.asks_for(&url, scope, other).await;
    }
}

/// Puts `text` where a ConfigMap volume has it: `folder/postern.toml -> ..data/postern.toml`, `..data -> <timestamp>`, and
/// swaps `..data` as the kubelet does.
fn swap(folder: &Path, turn: usize, text: &str) {
    let name = format!("..2026_01_01_{turn:03}");
    fs::create_dir(folder.join(&name)).unwrap();
    fs::write(folder.join(&name).join("postern.toml"), text).unwrap();
    let before = fs::read_link(folder.join("..data")).ok();
    symlink(&name, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if let Some(before) = before {
        fs::remove_dir_all(folder.join(before)).unwrap();
    }
}

#[tokio::test]
async fn a_hundred_symlink_swaps_in_a_row_are_all_applied() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    swap(folder.path(), 0, &whole("a"));
    let file = folder.path().join("postern.toml");
    symlink("..data/postern.toml", &file).unwrap();
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "a", "b").await;
    for turn in 1..=SWAPS {
        let (scope, other) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
        swap(folder.path(), turn, &whole(scope));
        scoped.asks_for(&url, scope, other).await;
    }
    // A line comes after what it tells of.
    let log = until("a line for each", async || {
        Some(gateway.log()).filter(|log| log.matches("route x: scopes +").count() >= SWAPS)
    })
    .await;
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(log.matches("route x: scopes +").count(), SWAPS, "{log}");
}

#[tokio::test]
async fn a_symlinked_folder_that_is_swapped_is_applied() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (release, scope) in [("r1", "a"), ("r2", "b")] {
        fs::create_dir(folder.path().join(release)).unwrap();
        write(&folder.path().join(release), "postern.toml", &whole(scope));
    }
    symlink("r1", folder.path().join("current")).unwrap();
    let file = folder.path().join("current/postern.toml");
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "a", "b").await;
    symlink("r2", folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), folder.path().join("current")).unwrap();
    scoped.asks_for(&url, "b", "a").await;
}

#[tokio::test]
async fn an_overlay_that_changes_is_applied_and_named() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let base = write(folder.path(), "base.toml", &whole("orders:read"));
    let overlay = write(folder.path(), "production.toml", "[routes.x]\ntimeout = \"30s\"\n");
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&base, &overlay])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "orders:read", "orders:write").await;
    replace(&overlay, "[routes.x.require]\nscopes = [\"orders:read\", \"orders:write\"]\n");
    gateway.logged("configuration applied: route x: scopes +orders:write; timeout 30s -> 15m").await;
    scoped.asks_for(&url, "orders:read orders:write", "orders:read").await;
}

#[tokio::test]
async fn sighup_reloads_and_the_log_says_that_nothing_changed() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let mut gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    for times in 1..=3 {
        gateway.signal("HUP");
        gateway.logged_times("configuration applied, nothing changed", times).await;
    }
    assert!(gateway.runs());
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "a", "b").await;
}

/// A gateway whose admin API asks for a token out of a file.
async fn with_admin_token() -> Gateway {
    let config = r#"
[listeners.public]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
token = { file = "admin.token" }
[upstreams.orders]
endpoints = ["http://127.0.0.1:1"]
[routes.x]
path = "/x"
upstream = "orders"
public = true
"#;
    let builder = GatewayBuilder::whole(config);
    write(builder.folder(), "admin.token", "the-first-token-of-the-admin");
    builder.start().await
}

#[tokio::test]
async fn a_secret_file_that_changes_is_applied_and_the_words_do_not_hold_it() {
    let gateway = with_admin_token().await;
    let (client, url) = (HttpClient::http1(), gateway.admin_url("/api/v1/config"));
    assert_eq!(client.get(&url, Some("the-first-token-of-the-admin")).await.status, 200);
    replace(&gateway.folder.path().join("admin.token"), "the-second-token-of-the-admin\n");
    let answer = until("the second token", async || {
        let answer = client.get(&url, Some("the-second-token-of-the-admin")).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(client.get(&url, Some("the-first-token-of-the-admin")).await.status, 401);
    assert_eq!(answer.json()["generation"], 2);
    assert!(!answer.text().contains("-token-of-the-admin"), "{}", answer.text());
}

#[tokio::test]
async fn a_secret_that_changes_is_told_without_being_shown() {
    let gateway = with_admin_token().await;
    gateway.edit("token = { file = \"admin.token\" }", "token = \"the-third-token-of-the-admin\"");
    until("the third token", async || {
        let url = gateway.admin_url("/readyz");
        let ready = HttpClient::http1().get(&url, None).await.status == 200;
        let config = gateway.admin_url("/api/v1/config");
        let known = HttpClient::http1().get(&config, Some("the-third-token-of-the-admin")).await.status == 200;
        (ready && known).then_some(())
    })
    .await;
    let text = fs::read_to_string(gateway.file()).unwrap();
    fs::write(gateway.file(), text.replace("the-third-token-of-the-admin", "the-fourth-token-of-the-admin")).unwrap();
    let reload = request(Method::POST, &gateway.admin_url("/api/v1/reload"), Some("the-third-token-of-the-admin"));
    let answer = HttpClient::http1().send(reload).await;
    // The watcher may have been first.
    if answer.status == 200 && answer.json()["generation"] == 3 {
        assert_eq!(answer.json()["changes"], json!(["admin: token has a new value"]));
        assert!(!answer.text().contains("fourth"));
    }
}

#[tokio::test]
async fn post_reload_applies_at_once_and_tells_what_changed() {
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let client = HttpClient::http1();
    let before = client.get(&gateway.admin_url("/api/v1/config"), None).await.json();
    // The file system's own word may come first; either way the answer tells the state after the change.
    gateway.edit("scopes = [\"a\"]", "scopes = [\"b\"]");
    let answer = client.send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await;
    assert_eq!(answer.status, 200);
    let reloaded = answer.json();
    if reloaded["generation"] == 2 {
        assert_eq!(reloaded["changes"], json!(["route x: scopes +b -a"]));
    }
    let refused = client.get(&gateway.url("/x"), Some(&scoped.token("a"))).await;
    assert_eq!(refused.status, 403, "applied when the answer came");
    let after = client.get(&gateway.admin_url("/api/v1/config"), None).await.json();
    assert_ne!(before["hash"], after["hash"]);
    assert_eq!(after["hash"], reloaded["hash"]);
    assert_eq!(after["configuration"]["routes"]["x"]["require"]["scopes"], json!(["b"]));
}

#[tokio::test]
async fn a_file_that_was_edited_while_the_start_waited_is_applied() {
    // The issuer is slow, so the start waits for its keys; meanwhile the file is edited.
    let scoped = Scoped::start().await;
    scoped.issuer.conduct(crate::support::issuer::Conduct::Slow(std::time::Duration::from_secs(2)));
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &whole("a"));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    until("the first fetch of keys", async || (scoped.issuer.key_fetches() > 0).then_some(())).await;
    replace(&file, &whole("b"));
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "b", "a").await;
}

#[tokio::test]
async fn keys_that_are_fixed_at_the_start_are_warned_about() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "postern.toml", &format!("[process]\nworkers = 1\n{}", whole("a")));
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let admin = gateway.address_of("admin listener").await;
    let changed = whole("b").replace("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"127.0.0.1:1\"");
    assert_ne!(changed, whole("b"));
    replace(&file, &format!("[process]\nworkers = 2\ndata_directory = \"data\"\n{changed}"));
    for key in ["process.workers", "process.data_directory", "admin.address"] {
        gateway.logged(&format!("`{key}` is read at start only")).await;
    }
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "b", "a").await;
    assert_eq!(HttpClient::http1().get(&format!("http://{admin}/livez"), None).await.status, 200);
}

#[tokio::test]
async fn watching_costs_nothing_while_nothing_changes() {
    // Comparing files reads them, which some systems report as an event: it must not go round in circles. The access log
    // grows in the same folder meanwhile.
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[telemetry]\naccess_log_to = \"access.log\"\n{}", whole("a"));
    let file = write(folder.path(), "postern.toml", &config);
    let gateway = scoped.variables(Launch::serve(folder.path(), &[&file])).start();
    gateway.running().await;
    let url = format!("http://{}/x", gateway.address_of("listener public").await);
    scoped.asks_for(&url, "a", "b").await;
    let before = ticks_of_thread(gateway.id(), "postern-watch");
    let (client, token) = (HttpClient::http1(), scoped.token("a"));
    for _ in 0..300 {
        assert_eq!(client.get(&url, Some(&token)).await.status, 200);
    }
    let spent = ticks_of_thread(gateway.id(), "postern-watch") - before;
    assert!(spent <= 5, "the watcher used {spent} ticks of a hundredth of a second while nothing changed");
}

/// The processor time of a thread in clock ticks, which Linux shows as hundredths of a second.
fn ticks_of_thread(process: u32, name: &str) -> u64 {
    for entry in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let stat = fs::read_to_string(entry.unwrap().path().join("stat")).unwrap_or_default();
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        if head.ends_with(&format!("({name}")) {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            return fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    panic!("process {process} has no thread {name}");
}

#[tokio::test]
async fn rules_are_taken_from_the_file_as_it_is_after_a_slow_write() {
    // Written piece by piece, as a slow editor or `cp` over a network does: no half of it is ever in force.
    let scoped = Scoped::start().await;
    let gateway = scoped.builder("a").start().await;
    let text = fs::read_to_string(gateway.file()).unwrap();
    let preamble = text.split("\n[issuers").next().unwrap().to_owned();
    let mut written = preamble;
    for piece in rules("b").split_inclusive('\n') {
        written.push_str(piece);
        fs::write(gateway.file(), &written).unwrap();
        // On a slow machine the file may stand still long enough to be read without the route; never without its rule.
        let status = HttpClient::http1().get(&gateway.url("/x"), Some(&scoped.token("c"))).await.status.as_u16();
        assert!(matches!(status, 403 | 404), "{status}");
    }
    scoped.asks_for(&gateway.url("/x"), "b", "a").await;
}
