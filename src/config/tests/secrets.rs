//! Secrets are found, and shown nowhere.

use super::*;

/// A configuration whose only secret, on its fourth line, is written as `secret`.
pub(super) fn client_with(secret: &str) -> String {
    format!("[authorization_server]\nissuer = \"https://a/\"\n[authorization_server.clients.b]\nsecret = {secret}\n")
}

#[test]
fn secrets_are_read_from_where_they_are_and_shown_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "canary-file\r\n").unwrap();
    let file = directory.path().join("postern.toml");
    for (secret, expected, printed) in [
        ("\"canary-inline\"", "canary-inline", "\"[redacted]\"".to_owned()),
        ("\"${BILLING_SECRET}\"", "canary-billing", "\"[redacted]\"".to_owned()),
        ("{ env = \"BILLING_SECRET\" }", "canary-billing", r#"{"env":"BILLING_SECRET"}"#.to_owned()),
        ("{ file = \"secret\" }", "canary-file", format!(r#"{{"file":"{}/secret"}}"#, directory.path().display())),
    ] {
        std::fs::write(&file, client_with(secret)).unwrap();
        let (loaded, mut diagnostics) = load(std::slice::from_ref(&file), &environment());
        assert_eq!(diagnostics.iter().count(), 0, "{diagnostics:?}");
        assert_eq!(
            loaded.secret_files.contains_key(&directory.path().join("secret")),
            secret.contains("file"),
            "{secret}"
        );
        let path = KeyPath::of(&["authorization_server", "clients", "b", "secret"]);
        diagnostics.error(&path, "weak", "write a longer one");
        assert!(!loaded.sources.render(&diagnostics, true).contains("canary"), "{secret}");
        assert!(!format!("{loaded:?}").contains("canary"), "{secret}");
        let LoadedConfig { config, .. } = loaded.into_config().unwrap();
        let server = config.authorization_server.as_ref().unwrap();
        assert_eq!(server.clients["b"].secret.as_ref().unwrap().secret().expose(), expected);
        let shown = serde_json::to_value(&config).unwrap();
        assert_eq!(shown["authorization_server"]["clients"]["b"]["secret"].to_string(), printed);
        assert!(!shown.to_string().contains("canary"), "{secret}");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    for (secret, message) in [
        ("\"\"", "this secret is empty"),
        ("\"${EMPTY}\"", "this secret is empty"),
        ("\"${NOWHERE}\"", "the environment variable `NOWHERE` is not set"),
        ("77013", "this is no secret"),
        ("[\"canary\"]", "this is no secret"),
        ("{ env = \"NOWHERE\" }", "this environment variable is not set"),
        ("{ env = \"EMPTY\" }", "this environment variable is empty"),
        ("{ env = 77013 }", "this does not say where the secret is"),
        (
            "{ file = \"/nonexistent/secret\" }",
            "this secret file cannot be read: No such file or directory (os error 2)",
        ),
        ("{ file = \"/\" }", "this secret file cannot be read: Is a directory (os error 21)"),
        ("{ value = \"canary\" }", "a secret is found by `env` or `file`"),
        ("{ env = \"A\", value = \"canary\" }", "a secret's table has exactly one key: `env` or `file`"),
        ("{}", "a secret's table has exactly one key: `env` or `file`"),
    ] {
        let text = client_with(secret);
        let (loaded, diagnostics) = loaded(&text);
        let messages: Vec<_> = diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(messages, [message], "{secret}");
        let place = loaded.sources.place_of(diagnostics.iter().next().unwrap()).unwrap();
        assert_eq!(place.line, 4, "{secret}");
        let rendered = loaded.sources.render(&diagnostics, false) + &loaded.sources.to_json(&diagnostics).to_string();
        for canary in ["canary", "77013"].into_iter().filter(|canary| !secret.contains(&format!("env = {canary}"))) {
            assert!(!rendered.contains(canary), "{secret}: {rendered}");
        }
        assert!(!format!("{diagnostics:?}{loaded:?}").contains("canary"), "{secret}");
    }
}

#[test]
fn a_line_with_a_mistake_is_shown_without_the_secret_beside_it() {
    for text in [
        client_with("\"canary"),
        client_with("\"can\"ary\""),
        client_with("{ env = \"A\", value = \"canary\" "),
        client_with("\"x\"").replace("secret =", "sceret = \"canary\" #"),
        client_with("\"x\"").replace("secret =", "password = \"canary\" #"),
        "[authorization_server]\nissuer = \"https://a/\"\nclients = { a = { secret = \"canary\", grnats = {} } }"
            .to_owned(),
        "admin = { address = 5, token = \"canary\" }".to_owned(),
        "[admin]\naddress = \"127.0.0.1:1\"\ntoken = canary".to_owned(),
        "[issuers.a]\nintrospection = { client_secret = \"canary\" }".to_owned(),
        "[upstreams.a]\nendpoints = [[\"http://me:canary@host\"]]".to_owned(),
    ] {
        let (loaded, diagnostics) = loaded(&text);
        assert!(diagnostics.has_errors(), "{text}");
        let rendered = loaded.sources.render(&diagnostics, false) + &loaded.sources.to_json(&diagnostics).to_string();
        assert!(!rendered.contains("canary") && !rendered.contains("ary\""), "{text}: {rendered}");
    }
}
