//! The commands that work on the embedded issuer, each on a store and on a running gateway, as an operator types them.

mod desk;

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use self::desk::{ADMIN_TOKEN, CONFIG, Desk, GRANT, ORDERS, Said};
use crate::support::{
    certificates::Authority, client::HttpClient, connection::bytes, program::Program, served_upstream::ServedUpstream,
    wait::until,
};

/// What `action` does on a store alone, and then on a running gateway.
async fn everywhere(action: impl Fn(&Desk)) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("postern.toml"), CONFIG).unwrap();
    action(&Desk::of_store(folder.path()));
    let program = Program::start(CONFIG, &[]).await;
    action(&Desk::of_gateway(program.folder.path(), &program.admin_url("")));
}

/// Whether `text` speaks of an hour from now, a second of which may have passed.
fn says_an_hour(text: &str) -> bool {
    text.contains("in 60 minutes") || text.contains("in 59 minutes")
}

#[tokio::test]
async fn clients_are_registered_shown_switched_and_removed() {
    everywhere(|desk| {
        let added = desk.run(&["client", "add", "shipping", "--grant", GRANT, "--owner", "ann", "--claim", "level=3"]);
        added.assert(0);
        let secret = added.out.trim_end();
        assert!(secret.starts_with("pst_") && added.out == format!("{secret}\n"), "{}", added.out);
        assert!(added.err.contains("client shipping") && added.err.contains("not shown again"), "{}", added.err);
        assert!(!added.err.contains(secret));

        let shown = desk.json(&["client", "show", "shipping"]);
        let definition = json!({ "grants": { ORDERS: ["orders:read"] }, "claims": { "level": 3 }, "owner": "ann" });
        assert_eq!((&shown["definition"], &shown["origin"]), (&definition, &json!("store")));
        let shown = desk.run(&["client", "show", "shipping"]);
        shown.assert(0);
        for words in ["shipping\n", "level = 3", "orders:read", " UTC, "] {
            assert!(shown.out.contains(words), "{}", shown.out);
        }

        // A definition in a file, an id that is made up, and an answer for machines.
        fs::write(desk.folder().join("client.json"), json!({ "grants": { ORDERS: ["orders:read"] } }).to_string())
            .unwrap();
        let registered = desk.json(&["client", "add", "--from", "client.json"]);
        let random = registered["id"].as_str().unwrap();
        assert!(registered["secret"].as_str().unwrap().starts_with("pst_"), "{registered}");

        let listed = desk.json(&["client", "list"]);
        let mut ids: Vec<&str> =
            listed["clients"].as_array().unwrap().iter().map(|client| client["id"].as_str().unwrap()).collect();
        let mut expected = ["billing", random, "shipping"];
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(ids, expected);
        let table = desk.run(&["client", "list"]);
        table.assert(0);
        let row = |id: &str| table.out.lines().find(|line| line.contains(id)).unwrap_or_default().to_owned();
        assert!(row("billing").contains("configuration") && row("shipping").contains("store"), "{}", table.out);

        for (action, enabled) in [("disable", false), ("enable", true)] {
            for client in ["shipping", "billing"] {
                assert_eq!(desk.json(&["client", action, client])["enabled"], enabled);
                let said = desk.run(&["client", action, client]);
                said.assert(0);
                assert!(said.out.starts_with(&format!("The client {client} is o")), "{}", said.out);
                assert_eq!(desk.json(&["client", "show", client])["enabled"], enabled);
            }
        }
        desk.run(&["token", "issue", "--client", "shipping"]).assert(0);
        assert_eq!(desk.json(&["client", "remove", "shipping", "--yes"]), json!({ "revoked_tokens": 1 }));
        let said = desk.run(&["client", "remove", random, "--yes"]);
        said.assert(0);
        assert!(said.out.contains("is removed"), "{}", said.out);
        let gone = desk.run(&["client", "show", "shipping"]);
        gone.assert(1);
        assert!(gone.out.is_empty() && gone.err.contains("There is no client \"shipping\""), "{}", gone.err);
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_replaced_and_can_go_into_a_file() {
    everywhere(|desk| {
        let first = desk.run(&["client", "add", "shipping", "--grant", GRANT]);
        let second = desk.run(&["client", "rotate", "shipping", "--grace", "1h"]);
        second.assert(0);
        assert!(second.out.starts_with("pst_") && second.out != first.out && second.out.lines().count() == 1);
        assert!(second.err.contains("The one before is good until") && says_an_hour(&second.err), "{}", second.err);

        let file = desk.folder().join("secret");
        let third = desk.run(&["client", "rotate", "shipping", "--grace", "0s", "--secret-file", "secret"]);
        third.assert(0);
        let secret = fs::read_to_string(&file).unwrap();
        assert!(third.out.is_empty() && secret.starts_with("pst_") && secret.ends_with('\n'), "{}", third.out);
        assert!(!third.err.contains(secret.trim()) && third.err.contains("The one before has ended"), "{}", third.err);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        // One that is there is not written over, and then no secret is made either.
        let before = desk.json(&["client", "show", "shipping"])["secrets"].clone();
        let refused = desk.run(&["client", "rotate", "shipping", "--secret-file", "secret"]);
        refused.assert(1);
        assert!(refused.err.contains("File exists"), "{}", refused.err);
        assert_eq!(fs::read_to_string(&file).unwrap(), secret);
        assert_eq!(desk.json(&["client", "show", "shipping"])["secrets"], before);
        // What is refused leaves no file behind.
        desk.run(&["client", "add", "shipping", "--secret-file", "other"]).assert(1);
        assert!(!desk.folder().join("other").exists());

        let added = desk.json(&["client", "add", "post", "--grant", GRANT, "--secret-file", "third"]);
        assert_eq!(added, json!({ "id": "post", "secret_file": "third" }));
    })
    .await;
}

#[tokio::test]
async fn tokens_are_issued_listed_and_revoked() {
    everywhere(|desk| {
        desk.run(&["client", "add", "shipping", "--grant", GRANT, "--owner", "ann", "--tenant", "acme"]).assert(0);
        let issue = ["token", "issue", "--client", "shipping", "--audience", ORDERS, "--scope", "orders:read"];
        let issued = desk.run(&issue);
        issued.assert(0);
        let token = issued.out.strip_suffix('\n').unwrap();
        assert!(token.matches('.').count() == 2 && !token.contains(char::is_whitespace), "{token}");
        assert!(says_an_hour(&issued.err) && issued.err.contains("scopes orders:read"), "{}", issued.err);
        assert!(!issued.err.contains(token.rsplit_once('.').unwrap().1));
        let other = desk.json(&["token", "issue", "--client", "shipping", "--dialect", "auth0"]);
        let id = other["token_id"].as_str().unwrap();
        let third = desk.json(&["token", "issue", "--client", "billing"])["token_id"].clone();

        for selection in [["--client", "shipping"], ["--owner", "ann"], ["--tenant", "acme"]] {
            let listed = desk.json(&[&["token", "list"], &selection[..]].concat());
            assert_eq!(listed["tokens"].as_array().unwrap().len(), 2, "{selection:?}");
        }
        let key = desk.json(&["keys", "list"])["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["state"] == "current")
            .unwrap()["key_id"]
            .clone();
        let listed = desk.json(&["token", "list", "--audience", ORDERS, "--key", key.as_str().unwrap()]);
        assert_eq!(listed["tokens"].as_array().unwrap().len(), 3);
        let first = desk.json(&["token", "list", "--limit", "1"]);
        let rest = desk.json(&["token", "list", "--after", first["next"].as_str().unwrap()]);
        assert_eq!((first["tokens"].as_array().unwrap().len(), rest["tokens"].as_array().unwrap().len()), (1, 2));
        let table = desk.run(&["token", "list", "--limit", "2"]);
        assert!(says_an_hour(&table.out), "{}", table.out);
        for words in ["shipping", "live", "There are more: --after "] {
            assert!(table.out.contains(words), "{words} is not in\n{}", table.out);
        }

        let revoked = desk.run(&["token", "revoke", id]);
        revoked.assert(0);
        assert_eq!(revoked.out, "1 token is revoked.\n");
        let all = desk.json(&["token", "list", "--client", "shipping", "--include-revoked", "--include-expired"]);
        let states: Vec<&Value> = all["tokens"].as_array().unwrap().iter().map(|token| &token["state"]).collect();
        assert!(states.contains(&&json!("revoked")) && states.contains(&&json!("live")), "{all}");

        // More than one is never revoked by an oversight.
        let asked = desk.run(&["token", "revoke", "--owner", "ann"]);
        asked.assert(2);
        assert!(asked.err.contains("--yes") && asked.err.contains("owner ann"), "{}", asked.err);
        assert_eq!(desk.json(&["token", "revoke", "--owner", "ann", "--yes"]), json!({ "revoked": 1 }));
        assert_eq!(desk.json(&["token", "revoke", "--tenant", "acme", "--yes"]), json!({ "revoked": 0 }));
        desk.run(&["token", "issue", "--client", "shipping"]).assert(0);
        assert_eq!(desk.run(&["token", "revoke", "--client", "shipping", "--yes"]).out, "1 token is revoked.\n");
        assert_eq!(desk.json(&["token", "revoke", "--key", key.as_str().unwrap(), "--yes"]), json!({ "revoked": 1 }));
        assert_eq!(desk.run(&["token", "list"]).out, "There are no such tokens.\n");
        let again = desk.json(&["token", "list", "--include-revoked"]);
        assert!(again["tokens"].as_array().unwrap().iter().any(|token| token["id"] == third));
        let since = desk.run(&["token", "revoke", "--issued-before", "2026-01-01T00:00:00Z", "--yes"]);
        since.assert(0);
        assert_eq!(since.out, "Revoked is every token that was issued before 2026-01-01T00:00:00Z.\n");
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_rotated_and_revoked() {
    everywhere(|desk| {
        let key = |state: &str| {
            let keys = desk.json(&["keys", "list"]);
            let keys = keys["keys"].as_array().unwrap().iter().find(|key| key["state"] == state).cloned();
            keys.unwrap_or_else(|| panic!("no key is {state}"))["key_id"].as_str().unwrap().to_owned()
        };
        let (current, next) = (key("current"), key("next"));
        let hasty = desk.run(&["keys", "rotate"]);
        hasty.assert(1);
        assert!(hasty.out.is_empty() && hasty.err.contains("--now"), "{}", hasty.err);
        let rotated = desk.run(&["keys", "rotate", "--now"]);
        rotated.assert(0);
        assert!(rotated.out.contains(&next) && rotated.out.contains("previous"), "{}", rotated.out);
        assert_eq!((key("current"), key("previous")), (next.clone(), current));

        desk.run(&["token", "issue", "--client", "billing"]).assert(0);
        desk.run(&["keys", "revoke", &next]).assert(2);
        assert_eq!(desk.json(&["keys", "revoke", &next, "--yes"]), json!({ "revoked": 1 }));
        assert_eq!(key("revoked"), next);
        let table = desk.run(&["keys", "list"]);
        assert!(table.out.contains("revoked") && table.out.contains("ES256"), "{}", table.out);
        let unknown = desk.run(&["keys", "revoke", "no-such-key", "--yes"]);
        unknown.assert(1);
        assert!(unknown.err.contains("no-such-key"), "{}", unknown.err);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_command_says_what_to_write() {
    everywhere(|desk| {
        desk.run(&["client", "add", "taken", "--grant", GRANT]).assert(0);
        let refused: [(&[&str], i32, &str); 12] = [
            (&["client", "add", "taken"], 1, "There is a client \"taken\" already"),
            (&["client", "add", "billing"], 1, "stands in the configuration"),
            (&["client", "rotate", "billing"], 1, "stands in the configuration"),
            (
                &["client", "add", "x", "--grant", "https://api.test/order=orders:read"],
                1,
                "did you mean `https://api.test/orders`?",
            ),
            (&["client", "add", "x", "--claim", "region=north"], 2, "region=\"north\""),
            (&["client", "add", "x", "--method", "password"], 2, "client_secret_basic"),
            (&["client", "rotate", "taken", "--grace", "365d"], 1, "90d"),
            (&["client", "rotate", "taken", "--grace", "soon"], 2, "\"30s\""),
            (&["token", "issue", "--client", "nobody"], 1, "There is no client \"nobody\""),
            (&["token", "issue", "--client", "taken", "--scope", "orders:write"], 1, "not granted"),
            (&["token", "revoke", "no-such-token"], 1, "There is no token no-such-token"),
            (&["token", "revoke", "--issued-before", "yesterday"], 2, "2026-11-20T03:00:00Z"),
        ];
        for (arguments, code, words) in refused {
            let said = desk.run(arguments);
            said.assert(code);
            assert!(said.out.is_empty(), "{arguments:?}: {}", said.out);
            assert!(said.err.starts_with("error: ") && said.err.contains(words), "{arguments:?}: {}", said.err);
        }
        let said = desk.run(&["client", "add", "taken", "--format", "json"]);
        said.assert(1);
        let problem: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&json!("client_exists"), &json!(409)));
    })
    .await;
}

#[tokio::test]
async fn a_client_of_the_store_is_known_to_the_gateway_that_runs_on_it() {
    let program = Program::start(&CONFIG.replace("log_level = \"info\"", "log_level = \"trace\""), &[]).await;
    let store = Desk::of_store(program.folder.path());
    let added = store.run(&["client", "add", "shipping", "--grant", GRANT]);
    added.assert(0);
    let secret = added.out.trim();
    let client = HttpClient::http1();
    let by_gateway = Desk::of_gateway(program.folder.path(), &program.admin_url(""));
    // Not by asking for tokens: whoever fails often is locked out.
    until("the client is known", async || {
        let listed = by_gateway.json(&["client", "list"]);
        listed.to_string().contains("shipping").then_some(())
    })
    .await;
    let body = format!("grant_type=client_credentials&client_id=shipping&client_secret={secret}");
    let request = Request::post(program.url("/oauth/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = client.send(request).await;
    let token = answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
    // The other way round: what the gateway issued is seen, and revoked, on the store.
    let listed = store.json(&["token", "list", "--client", "shipping"]);
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
    let issued = by_gateway.run(&["token", "issue", "--client", "shipping"]);
    store.run(&["client", "disable", "shipping"]).assert(0);
    until("the gateway knows that the client is off", async || {
        (by_gateway.json(&["client", "show", "shipping"])["enabled"] == false).then_some(())
    })
    .await;

    // The audit tells who did what from where, and no secret is in it, nor in the log.
    let audit =
        Request::get(program.admin_url("/api/v1/audit")).header("authorization", format!("Bearer {ADMIN_TOKEN}"));
    let audit = client.send(audit.body(Full::default()).unwrap()).await;
    let entries = audit.json()["entries"].clone();
    let by = |action: &str| {
        let entry = entries.as_array().unwrap().iter().find(|entry| entry["action"] == action);
        entry.unwrap_or_else(|| panic!("no {action} in {entries}"))["actor"].as_str().unwrap().to_owned()
    };
    assert!(by("client.add").starts_with("cli:") && by("client.disable").starts_with("cli:"), "{entries}");
    assert_eq!(by("token.issue"), "admin-api");
    let signature = |token: &str| token.trim().rsplit_once('.').unwrap().1.to_owned();
    let canaries = [secret.to_owned(), ADMIN_TOKEN.to_owned(), signature(&token), signature(&issued.out)];
    for place in [program.log(), audit.text(), store.run(&["client", "show", "shipping"]).out] {
        assert!(canaries.iter().all(|canary| !place.contains(canary.as_str())), "{place}");
    }
}

#[tokio::test]
async fn the_admin_token_is_asked_for_and_can_come_from_a_file() {
    let program = Program::start(CONFIG, &[]).await;
    let (folder, url) = (program.folder.path(), program.admin_url(""));
    let without = Desk::of_gateway(folder, &url).without_variables();
    let refused = without.run(&["keys", "list"]);
    refused.assert(1);
    assert!(
        refused.err.contains("--admin-token-file") && refused.err.contains("POSTERN_ADMIN_TOKEN"),
        "{}",
        refused.err
    );
    fs::write(folder.join("token"), format!("{ADMIN_TOKEN}\n")).unwrap();
    without.run(&["keys", "list", "--admin-token-file", "token"]).assert(0);
    fs::write(folder.join("token"), "wrong-admin-token-0123\n").unwrap();
    let wrong = without.run(&["keys", "list", "--admin-token-file", "token"]);
    wrong.assert(1);
    assert!(!wrong.err.contains("wrong-admin-token"), "{}", wrong.err);
    fs::write(folder.join("token"), "\n").unwrap();
    without.run(&["keys", "list", "--admin-token-file", "token"]).assert(1);
    without.run(&["keys", "list", "--admin-token-file", "nowhere"]).assert(1);
    Desk::of_store(folder).run(&["keys", "list", "--admin-token-file", "token"]).assert(2);
    // The public listener is no management API.
    let public = Desk::of_gateway(folder, &program.url("")).run(&["keys", "list"]);
    public.assert(1);
    assert!(public.err.contains("no management API"), "{}", public.err);
}

#[tokio::test]
async fn over_https_the_certificate_must_be_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    trusted.write(folder.path(), "trusted");
    other.write(folder.path(), "other");
    let identity = trusted.issue(&["localhost"]);
    let tls = Authority::server(&identity, &["http/1.1"], None);
    let proxy = ServedUpstream::over(Some(tls), |request| async move {
        let authorized =
            request.headers().get("authorization").is_some_and(|value| value == &format!("Bearer {ADMIN_TOKEN}"));
        let known = authorized && request.uri().path() == "/postern/api/v1/keys";
        http::Response::new(bytes(if known { "{\"keys\":[]}" } else { "{}" }))
    })
    .await;
    let url = format!("https://localhost:{}/postern/", proxy.address.port());
    let ask = async |authority: &str| -> Said {
        let desk = Desk::of_gateway(folder.path(), &url).variable("SSL_CERT_FILE", authority);
        tokio::task::spawn_blocking(move || desk.run(&["keys", "list"])).await.unwrap()
    };
    let good = ask("trusted.pem").await;
    good.assert(0);
    assert_eq!(good.out, "There are no keys.\n");
    let bad = ask("other.pem").await;
    bad.assert(1);
    assert!(bad.err.contains("no TLS connection can be made"), "{}", bad.err);
    assert_eq!(proxy.requests(), 1);
}

#[test]
fn on_a_terminal_what_cannot_be_taken_back_is_asked_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("postern.toml"), CONFIG).unwrap();
    let desk = Desk::of_store(folder.path());
    desk.run(&["token", "issue", "--client", "billing"]).assert(0);
    // `script` gives the program a terminal, and types what comes to it.
    let typed = |answer: &str| {
        let line = format!("{} token revoke --client billing -c postern.toml", env!("CARGO_BIN_EXE_postern"));
        let line = format!("printf '{answer}\\n' | script -q -e -c '{line}' /dev/null");
        Command::new("sh").args(["-c", &line]).current_dir(folder.path()).env("TERM", "xterm").output().unwrap()
    };
    for (answer, code, words) in
        [("", 1, "nothing was done"), ("n", 1, "nothing was done"), ("y", 0, "1 token is revoked")]
    {
        let output = typed(answer);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Go on? [y/N]") && said.contains(words), "{answer}: {said}");
        assert_eq!(output.status.code(), Some(code), "{answer}: {said}");
    }
}
