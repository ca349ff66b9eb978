//! `postern demo`, with the very lines that it prints, run by a shell.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{sync::Mutex, time::timeout};

use crate::support::{
    launch::{Launch, Process},
    wait::until,
};

/// Held while one starts.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A demo that runs, and what it printed.
struct Demo {
    process: Process,
    said: String,
    folder: TempDir,
}

impl Demo {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// Starts it in `folder`, with its data in `folder/data/demo`, which is the default.
    async fn start_in(folder: TempDir) -> Self {
        // Two that start in the same moment may both find a port free, and only one gets it.
        let _turn = ONE_AT_A_TIME.lock().await;
        loop {
            let process = RefCell::new(Launch::new(folder.path(), &["demo"]).start());
            let said = until("what to try, or the end", async || {
                let said = process.borrow().out();
                (said.contains("Ctrl-C ends it") || !process.borrow_mut().runs()).then_some(said)
            })
            .await;
            let process = process.into_inner();
            if said.contains("Ctrl-C ends it") {
                return Self { process, said, folder };
            }
            // Another test may have taken a port between the moment that it was found free and the moment it was wanted.
            assert!(process.log().contains("in use"), "{}", process.log());
        }
    }

    /// The printed command that begins with `beginning`, with its continuation lines; the `occurrence`th, from 0.
    fn command(&self, beginning: &str, occurrence: usize) -> String {
        let lines: Vec<&str> = self.said.lines().collect();
        let is_it = |line: &&&str| line.trim_start().starts_with(beginning);
        let start = lines.iter().position(|line| Some(line) == lines.iter().filter(is_it).nth(occurrence));
        let start = start.unwrap_or_else(|| panic!("{beginning:?} is not printed:\n{}", self.said));
        let mut command = String::new();
        for line in &lines[start..] {
            command.push_str(line.trim());
            match command.strip_suffix('\\') {
                Some(unfinished) => command.truncate(unfinished.len()),
                None => break,
            }
        }
        command
    }

    /// Runs `command` after the printed line that gets a token, and gives what it writes.
    fn shell(&self, command: &str) -> String {
        let script = format!("{}\n{command}", self.command("TOKEN=", 0));
        let output = Command::new("sh").args(["-c", &script]).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The status that a printed `curl -i` line is answered with.
    fn status(&self, command: &str) -> u16 {
        let answer = self.shell(command);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }

    async fn stop(mut self) -> TempDir {
        self.process.signal("INT");
        assert_eq!(self.process.ended().await.code(), Some(0), "{}", self.process.log());
        self.folder
    }
}

#[tokio::test]
async fn what_it_prints_does_what_it_says() {
    let demo = Demo::start().await;
    let good = demo.command("curl -i -H", 0);
    let without = demo.command("curl -i http", 0);
    let scopeless = demo.command("curl -i -X POST", 0);
    let answer = demo.shell(&good);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"x-client-id\": \"demo\"") && answer.contains("\"x-tenant\": \"acme\""), "{answer}");
    assert_eq!(demo.status(&without), 401);
    assert_eq!(demo.status(&scopeless), 403);
    for status in demo.said.split(['(', ')', ',']).filter_map(|word| word.parse::<u16>().ok()) {
        assert!([200, 401, 403].contains(&status), "{status} is promised too");
    }

    demo.shell(&demo.command("sed -i", 0));
    until("the changed rule", async || (demo.status(&scopeless) == 200).then_some(())).await;
    assert_eq!(demo.status(&without), 401, "the control: a token is still asked for");
    demo.process.logged("configuration applied: route orders-write: scopes +orders:read -orders:write").await;

    let config = demo.said.split("What is in force: ").nth(1).unwrap().split("    ").next().unwrap();
    assert!(demo.shell(config).contains("\"generation\":2"));
    let ready = demo.said.split("How it is: ").nth(1).unwrap().lines().next().unwrap();
    assert!(demo.shell(ready).contains("\"status\":\"ready\""));
    demo.stop().await;
}

#[tokio::test]
async fn nothing_is_left_behind_outside_its_folder_and_a_second_start_works() {
    let demo = Demo::start().await;
    assert_eq!(demo.status(&demo.command("curl -i -H", 0)), 200);
    let key_ids = |demo: &Demo| {
        let base = demo.command("TOKEN=", 0);
        let base = base.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL").to_owned();
        format!("curl -s {}/.well-known/jwks.json", base.trim_end_matches("/oauth/token"))
    };
    let keys = demo.shell(&key_ids(&demo));
    assert!(keys.contains("\"kid\""), "{keys}");
    let folder = demo.stop().await;
    let files = files_below(folder.path());
    assert!(files.contains("data/demo/demo.toml"), "{files:?}");
    assert!(files.iter().all(|file| file.starts_with("data/demo/")), "{files:?}");

    // The second start takes the keys over, so a token of the first one is still good.
    assert!(files.contains("data/demo/postern.db"), "{files:?}");
    let again = Demo::start_in(folder).await;
    assert_eq!(again.shell(&key_ids(&again)), keys, "{files:?}");
    again.stop().await;
}

fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(found.insert(path.strip_prefix(folder).unwrap().display().to_string())),
            }
        }
    }
    found
}

#[tokio::test]
async fn an_edited_configuration_is_kept_aside_when_it_starts_anew() {
    let demo = Demo::start().await;
    demo.shell(&demo.command("sed -i", 0));
    let edited = fs::read_to_string(demo.folder.path().join("data/demo/demo.toml")).unwrap();
    let folder = demo.stop().await;
    let again = Demo::start_in(folder).await;
    assert_eq!(again.status(&again.command("curl -i -X POST", 0)), 403, "the rules are those of the demo");
    assert!(again.said.contains("demo.toml.before"), "{}", again.said);
    let folder = again.stop().await;
    assert_eq!(fs::read_to_string(folder.path().join("data/demo/demo.toml.before")).unwrap(), edited);
}

#[tokio::test]
async fn taken_ports_are_avoided() {
    // Other tests may have these ports at the moment, and would give them back too early. Whoever has one for good serves as well.
    let mut taken = Vec::new();
    for port in ["8080", "9090", "9000"] {
        let bound = until("the port is free", || async { TcpListener::bind(format!("127.0.0.1:{port}")).ok() });
        taken.push(timeout(Duration::from_secs(5), bound).await.ok());
    }
    let demo = Demo::start().await;
    let public: SocketAddr = demo.process.address_of("listener public").await;
    assert_ne!(public.port(), 8080);
    assert_eq!(demo.status(&demo.command("curl -i -H", 0)), 200);
    assert_eq!(demo.status(&demo.command("curl -i -X POST", 0)), 403);
    drop(taken);
    demo.stop().await;
}

#[tokio::test]
async fn two_of_them_do_not_share_a_folder() {
    let demo = Demo::start().await;
    let mut second = Launch::new(demo.folder.path(), &["demo"]).start();
    assert_eq!(second.ended().await.code(), Some(1), "{}", second.log());
    assert!(second.log().contains("--data-directory"), "{}", second.log());
    assert_eq!(demo.status(&demo.command("curl -i -H", 0)), 200, "the first one is not disturbed");
    let _turn = ONE_AT_A_TIME.lock().await;
    let elsewhere = Launch::new(demo.folder.path(), &["demo", "--data-directory", "elsewhere"]).start();
    until("the third one", async || elsewhere.out().contains("Ctrl-C ends it").then_some(())).await;
    demo.stop().await;
}
