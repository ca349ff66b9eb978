//! The command line as an operator meets it: what is printed, where, and with which exit code.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use assert_cmd::assert::OutputAssertExt as _;
use serde_json::Value;

use crate::support::launch::write;

/// The program with no variables but `PATH`.
pub(crate) fn postern(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    postern(folder, arguments).output().expect("it runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

const GOOD: &str = r#"[listeners.public]
address = "127.0.0.1:8080"

[upstreams.orders]
endpoints = ["http://127.0.0.1:9001"]

[routes.health]
path = "/healthz"
upstream = "orders"
public = true
"#;

const FIVE_MISTAKES: &str = r#"[listeners.public]
adress = "127.0.0.1:8080"

[issuers.corp]
issuer = "https://id.example/"
algorithms = ["HS256"]
audience = "https://api.example"

[upstreams.orders]
endpoints = ["http://127.0.0.1:9001"]
connect_timeout = "soon"

[routes.read]
path = "/orders"
upstream = "oders"
[routes.read.require]
scopes = ["orders:read"]

[routes.write]
path = "/orders/{id}"
upstream = "orders"
"#;

/// Line, what is marked, a word of what is wrong, and a word of what to write.
const TOLD: [(usize, &str, &str, &str); 5] = [
    (2, "adress", "`adress` is not a key", "`address`"),
    (6, "\"HS256\"", "HS256", "RS256"),
    (11, "\"soon\"", "`soon` is not a duration", "\"30s\""),
    (15, "\"oders\"", "there is no upstream `oders`", "\"orders\""),
    (19, "write", "the route does not say who may use it", "public = true"),
];

#[test]
fn check_shows_five_mistakes_at_once_each_with_its_place_and_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", FIVE_MISTAKES);
    let output = run(folder.path(), &["check", "-c", "postern.toml"]);
    let shown = err(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert_eq!(out(&output), "");
    assert!(shown.contains("the configuration has 5 errors"), "{shown}");
    let blocks: Vec<&str> = shown.split("\n\n").filter(|block| block.contains("-->")).collect();
    assert_eq!(blocks.len(), 5, "{shown}");
    let lines: Vec<&str> = FIVE_MISTAKES.lines().collect();
    for (block, (line, marked, message, remedy)) in blocks.iter().zip(TOLD) {
        let (title, help) = block.split_once("= help:").unwrap_or_else(|| panic!("no remedy in {block}"));
        assert!(title.contains(message), "{message} is not in {block}");
        assert!(help.contains(remedy), "{remedy} is not in {block}");
        assert!(title.contains(&format!("postern.toml:{line}:")), "{block}");
        // The place is marked: as many ^ as what is marked is long, below it.
        let source = title.lines().position(|shown| shown.contains(lines[line - 1])).expect("the line is shown");
        let (shown, mark) = (title.lines().nth(source).unwrap(), title.lines().nth(source + 1).unwrap());
        let at = shown.find(marked).unwrap_or_else(|| panic!("{marked} is not in {shown}"));
        assert_eq!(mark.find('^'), Some(at), "{block}");
        assert_eq!(mark.matches('^').count(), marked.len(), "{block}");
    }
}

/// What routes say alike is compiled once; what is wrong with it, or with only one of them, is told of each.
#[test]
fn routes_that_say_the_same_are_judged_one_by_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = "[routes.NAME.require]\naudience = \"api\"\npath_claims = { tenant = \"tenant_id\" }\n";
    let route = |name: &str, path: &str, more: &str| {
        let table = format!("[routes.{name}]\npath = \"{path}\"\nupstream = \"orders\"\n{more}\n");
        table + &rules.replace("NAME", name)
    };
    let report = "mode = \"report\"\nend_with_token = true";
    let routes = [
        route("a", "/a/{tenant}", ""),
        route("b", "/b/{tenant}", ""),
        route("c", "/c/{tenat}", ""),
        route("d", "/d/{tenant}", report),
        route("e", "/e/{tenant}", report),
    ];
    let issuer = "[issuers.corp]\nissuer = \"https://id.example/\"\n";
    write(folder.path(), "bad.toml", &format!("{GOOD}{issuer}{}", routes.concat()));
    let output = run(folder.path(), &["check", "-c", "bad.toml"]);
    let told = err(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.matches("the path has no parameter {tenant}").count(), 1, "{told}");
    assert_eq!(told.matches("nothing is cut while the route only reports").count(), 2, "{told}");
    let good = [&routes[..2], &routes[3..]].concat().concat();
    write(folder.path(), "good.toml", &format!("{GOOD}{issuer}{good}"));
    let output = run(folder.path(), &["check", "-c", "good.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn check_tells_machines_the_same() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", FIVE_MISTAKES);
    let output = run(folder.path(), &["check", "-c", "postern.toml", "--format", "json"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), ""));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["good"], false);
    let diagnostics = document["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 5, "{document:#}");
    for (diagnostic, (line, _, message, remedy)) in diagnostics.iter().zip(TOLD) {
        assert_eq!((&diagnostic["severity"], &diagnostic["line"]), (&"error".into(), &line.into()), "{diagnostic:#}");
        assert!(diagnostic["message"].as_str().unwrap().contains(message), "{diagnostic:#}");
        assert!(diagnostic["remedy"].as_str().unwrap().contains(remedy), "{diagnostic:#}");
        assert!(diagnostic["file"].as_str().unwrap().ends_with("postern.toml"), "{diagnostic:#}");
    }
    write(folder.path(), "good.toml", GOOD);
    let good = run(folder.path(), &["check", "-c", "good.toml", "--format", "json", "--print"]);
    let document: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((good.status.code(), &document["good"]), (Some(0), &true.into()));
    assert_eq!(document["configuration"]["routes"]["health"]["public"], true);
    assert_eq!(document["hash"].as_str().map(str::len), Some(64));
}

#[test]
fn a_good_configuration_is_said_to_be_good_and_what_it_leaves_open_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", GOOD);
    let output = run(folder.path(), &["check", "-c", "postern.toml"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    assert!(out(&output).contains("route health is public"), "{}", out(&output));
}

#[test]
fn overlays_are_merged_and_secrets_are_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let admin = "[admin]\naddress = \"127.0.0.1:9090\"\ntoken = \"canary-inline-0123456789\"\n";
    write(folder.path(), "base.toml", &format!("{GOOD}timeout = \"11s\"\n{admin}"));
    write(folder.path(), "client.secret", "canary-file-0123456789\n");
    let overlay = r#"
[process]
data_directory = "data"
[routes.health]
timeout = "7s"
[authorization_server]
issuer = "https://id.example/"
[authorization_server.apis."https://api.example"]
scopes = ["a"]
[authorization_server.clients.one]
secret = { file = "client.secret" }
grants = { "https://api.example" = ["a"] }
[authorization_server.clients.two]
secret = { env = "TWO" }
[authorization_server.clients.three]
secret = "${THREE}"
"#;
    write(folder.path(), "production.toml", overlay);
    for format in ["text", "json"] {
        let arguments = ["check", "-c", "base.toml", "-c", "production.toml", "--print", "--format", format];
        let mut command = postern(folder.path(), &arguments);
        let output =
            command.env("TWO", "canary-env-0123456789").env("THREE", "canary-in-place-0123456789").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let printed = out(&output) + &err(&output);
        assert!(printed.contains("7s") && !printed.contains("11s"), "{printed}");
        assert!(printed.contains("127.0.0.1:8080") && printed.contains("https://id.example/"), "{printed}");
        assert!(printed.contains("redacted"), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
    // Nor in a diagnostic about the very value.
    write(
        folder.path(),
        "bad.toml",
        "[admin]\naddress = \"127.0.0.1:1\"\ntoken = { secret = \"canary-0123456789\" }\n",
    );
    let output = run(folder.path(), &["check", "-c", "base.toml", "-c", "bad.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!err(&output).contains("canary"), "{}", err(&output));
}

#[test]
fn mistakes_that_would_weaken_a_rule_or_never_take_effect_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = r#"
[listeners.public]
address = "127.0.0.1:8080"
[issuers.corp]
issuer = "https://id.example/"
audience = "https://api.example"
[upstreams.orders]
endpoints = ["http://127.0.0.1:9001"]
[routes.orders]
path = "/orders/{tenant}"
upstream = "orders"
[routes.orders.require]
scopes = ["a"]
"#;
    write(folder.path(), "base.toml", base);
    assert_eq!(run(folder.path(), &["check", "-c", "base.toml"]).status.code(), Some(0));
    for (text, message) in [
        ("[routes.orders]\nmethods = []", "a route without any method"),
        ("[routes.orders]\npublic = true", "the route is public and has a `require` table"),
        ("[routes.orders.require]\nissuers = []", "no issuer is accepted"),
        ("[routes.orders.require]\naudience = []", "an audience is missing"),
        ("[routes.orders.require]\nscopes = [\"a b\"]", "`a b` is no scope"),
        ("[routes.orders.require]\nclaims = { roles = [] }", "no value is accepted"),
        ("[routes.orders.require]\nclaims = { \"\" = \"x\" }", "the claim has no name"),
        ("[routes.orders.require]\npath_claims = { tennant = \"tenant_id\" }", "the path has no parameter {tennant}"),
        ("[routes.orders.identity]\nheaders = { \"X_Forwarded_For\" = \"sub\" }", "cannot carry a claim"),
        ("[routes.orders.identity]\nheaders = { \"x-who\" = \"sub\", \"X_Who\" = \"azp\" }", "is named twice"),
        ("[routes.orders]\nstrip_prefix = \"/ord\"", "is not the literal beginning"),
        ("[issuers.corp]\nleeway = \"10m\"", "longer than 5 minutes"),
        ("[issuers.two]\nissuer = \"https://id.example/\"\naudience = \"x\"", "has the same `iss` already"),
        ("[upstreams.orders.tls]\nserver_name = \"x\"", "the endpoints are http"),
        ("[listeners.public]\ntrusted_proxies = [\"::ffff:10.0.0.0/104\"]", "none is ever in this network"),
        ("[listeners.two]\naddress = \"0.0.0.0:8080\"", "overlap"),
        ("[listeners.two]\naddress = \"[::]:8080\"", "overlap"),
        ("[admin]\naddress = \"0.0.0.0:9090\"", "asks for no token"),
        ("[process]\nworkers = 0", "without a worker nobody is answered"),
    ] {
        write(folder.path(), "over.toml", text);
        let output = run(folder.path(), &["check", "-c", "base.toml", "-c", "over.toml"]);
        assert_eq!(output.status.code(), Some(1), "accepted: {text}");
        assert!(err(&output).contains(message), "{text}: {}", err(&output));
    }
    write(folder.path(), "over.toml", "[listeners.public]\ntrusted_proxies = [\"0.0.0.0/0\"]");
    let output = run(folder.path(), &["check", "-c", "base.toml", "-c", "over.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(err(&output).contains("everybody can claim any address"), "{}", err(&output));
}

#[test]
fn exit_codes_tell_a_bad_configuration_from_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "good.toml", GOOD);
    write(folder.path(), "bad.toml", "[routes.x]\n");
    let cases: [(i32, &[&str]); 16] = [
        (0, &["check", "-c", "good.toml"]),
        (0, &["--version"]),
        (0, &["--help"]),
        (1, &["check", "-c", "bad.toml"]),
        (1, &["check", "-c", "not-there.toml"]),
        (1, &["serve", "-c", "bad.toml"]),
        (1, &["explain", "-c", "bad.toml", "GET", "http://a/"]),
        (2, &[]),
        (2, &["check"]),
        (2, &["check", "-c", "good.toml", "--pritn"]),
        (2, &["explain", "-c", "good.toml", "GET"]),
        (2, &["nonsense"]),
        (1, &["client", "list", "-c", "bad.toml"]),
        (1, &["client", "list", "-c", "good.toml"]),
        (2, &["client", "list"]),
        (2, &["keys", "list", "-c", "good.toml", "--admin", "http://127.0.0.1:9090"]),
    ];
    for (code, arguments) in cases {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn the_schema_is_json_and_the_reference_is_the_page_in_docs() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["routes"].is_object(), "{schema}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let printed = out(&run(folder.path(), &["schema", "--markdown"]));
    assert!(printed == page, "docs/configuration.md is not what `postern schema --markdown` prints");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, word) in
        [("bash", "complete -F _postern"), ("zsh", "#compdef postern"), ("fish", "complete -c postern")]
    {
        let output = run(folder.path(), &["completions", shell]);
        assert!(out(&output).contains(word), "{shell}: {}", out(&output));
        for name in ["explain", "client", "rotate", "issued-before", "secret-file"] {
            assert!(out(&output).contains(name), "{name} is not in that of {shell}");
        }
        output.assert().success();
    }
    run(folder.path(), &["completions", "tcsh"]).assert().code(2);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", GOOD);
    for command in [
        "schema",
        "schema --markdown",
        "completions bash",
        "completions zsh",
        "check -c postern.toml --print",
        "--help",
        "explain -c postern.toml GET http://a/healthz",
    ] {
        // `exec 0<&-; exit` closes the pipe without reading a byte.
        let line = format!("{{ {} {command}; echo $? >&3; }} 3>code | {{ exec 0<&-; }}", env!("CARGO_BIN_EXE_postern"));
        let output = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output().unwrap();
        let code = std::fs::read_to_string(folder.path().join("code")).unwrap();
        assert_eq!((code.trim(), err(&output).as_str()), ("0", ""), "{command}");
    }
}

#[test]
fn colours_are_for_terminals_only() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", FIVE_MISTAKES);
    let arguments = ["check", "-c", "postern.toml"];
    assert!(!err(&run(folder.path(), &arguments)).contains('\u{1b}'));
    // `script` gives the program a terminal; it is in Debian's bsdutils, which is on every system.
    let on_a_terminal = |no_colour: &str| {
        let line = format!("{} {}", env!("CARGO_BIN_EXE_postern"), arguments.join(" "));
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(folder.path()).stdin(Stdio::null());
        command.env("TERM", "xterm").env("NO_COLOR", no_colour).output().expect("there is `script`")
    };
    let coloured = out(&on_a_terminal(""));
    assert!(coloured.contains("\u{1b}[") && coloured.contains("adress"), "{coloured:?}");
    let plain = out(&on_a_terminal("1"));
    assert!(!plain.contains('\u{1b}') && plain.contains("adress"), "{plain:?}");
}
