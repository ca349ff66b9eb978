//! The program is killed at random moments while it issues, revokes and registers: what it had answered is there afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use postern::config::StoreConfig;
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::support::{
    client::Answer,
    issuing::{BILLING, Issuing, OAUTH2, grant, id_of, registration, text, token_in, write_config},
    launch::{Launch, Process},
    stores::{on_postgres, on_sqlite},
    upstream::RecordedUpstream,
};

/// How many rounds there are, if not as many as usual: `POSTERN_KILL_ROUNDS=1000` for a night.
const ROUNDS: &str = "POSTERN_KILL_ROUNDS";

/// What was asked for, and what of it was acknowledged. What was asked for last and not answered may or may not have happened.
#[derive(Default)]
struct Book {
    tokens: Vec<String>,
    revoked: Vec<String>,
    /// Tokens of which it is not known whether they are revoked, or that are refused for another reason.
    doubtful: BTreeSet<String>,
    clients: BTreeMap<String, Registered>,
    /// Clients of which something is not known.
    doubtful_clients: BTreeSet<String>,
    /// `None`: not known.
    switched_on: Option<bool>,
    answers: usize,
}

#[derive(Clone)]
struct Registered {
    secret: String,
    old_secret: Option<String>,
    token: String,
    enabled: bool,
    removed: bool,
}

/// Everything that outlives the program.
struct House {
    folder: tempfile::TempDir,
    _upstream: RecordedUpstream,
    book: Arc<Mutex<Book>>,
}

impl House {
    async fn at(location: &StoreConfig) -> Self {
        let (folder, upstream) = (tempfile::tempdir().expect("a folder"), RecordedUpstream::start().await);
        write_config(folder.path(), location, &upstream);
        let book = Book { switched_on: Some(true), ..Book::default() };
        Self { folder, _upstream: upstream, book: Arc::new(Mutex::new(book)) }
    }

    /// Starts the program, and kills it somewhen after it was given work.
    async fn round(&self) {
        let (process, issuing) = start(self.folder.path()).await;
        self.look(&issuing).await;
        // Whoever cannot be asked any more ends by himself.
        let mut work = JoinSet::new();
        for _ in 0..3 {
            work.spawn(issue(issuing.clone(), Arc::clone(&self.book)));
        }
        work.spawn(manage(issuing.clone(), Arc::clone(&self.book)));
        let moment = rand::rng().random_range(20..600);
        sleep(Duration::from_millis(moment)).await;
        // By SIGKILL, and waited for.
        drop(process);
        while let Some(ended) = work.join_next().await {
            ended.expect("no panic");
        }
    }

    /// Looks whether everything is as it was acknowledged.
    async fn look(&self, issuing: &Issuing) {
        let mut book = std::mem::take(&mut *self.book.lock().expect("not poisoned"));
        let switches = issuing.read("/switches").await;
        if let Some(on) = book.switched_on {
            assert_eq!(switches["m2m_enabled"], on, "{switches}");
        }
        if switches["m2m_enabled"] == false {
            assert!(!issuing.issues_to(BILLING).await);
            if let Some(token) = book.tokens.last() {
                assert!(!issuing.accepts(token).await);
            }
            issuing.switch(true).await;
        }
        book.switched_on = Some(true);

        let wanted = book.tokens.iter().map(|token| id_of(token)).collect();
        let listed = issuing.listed(wanted).await;
        for token in &book.tokens {
            let found = listed.get(&id_of(token));
            assert!(found.is_some(), "{} was answered, and is not listed", id_of(token));
            if !book.doubtful.contains(token) {
                assert_eq!(found, Some(&false), "{} was not revoked by anybody", id_of(token));
                assert!(issuing.accepts(token).await);
            }
        }
        for token in &book.revoked {
            assert_eq!(listed.get(&id_of(token)), Some(&true), "{} was revoked", id_of(token));
            assert_eq!(issuing.orders(token).await.reason(), "token_revoked");
        }
        for (id, client) in &book.clients {
            if !book.doubtful_clients.contains(id) {
                look_at_client(issuing, id, client).await;
            }
        }
        // So that a long run does not look at the same things again and again.
        let answers = book.answers;
        *self.book.lock().expect("not poisoned") = Book { switched_on: Some(true), answers, ..Book::default() };
    }
}

async fn look_at_client(issuing: &Issuing, id: &str, client: &Registered) {
    let shown = issuing.manage(Method::GET, &format!("/clients/{id}"), Value::Null).await;
    if client.removed {
        assert_eq!(shown.status, 404, "{}", shown.text());
    } else {
        assert_eq!(
            (shown.status.as_u16(), &shown.json()["enabled"]),
            (200, &json!(client.enabled)),
            "{}",
            shown.text()
        );
    }
    let good = client.enabled && !client.removed;
    assert_eq!(issuing.issues_to((id, &client.secret)).await, good, "{id}");
    assert_eq!(issuing.accepts(&client.token).await, good, "{id}");
    if let Some(old) = &client.old_secret {
        assert_eq!(issuing.ask((id, old)).await.status, 401, "{id}");
    }
}

/// Starts the program on what is in `folder`, which must work whatever it was killed in.
async fn start(folder: &Path) -> (Process, Issuing) {
    let process = Launch::serve(folder, &[&folder.join("postern.toml")]).start();
    process.running().await;
    let (public, admin) = (process.address_of("listener public").await, process.address_of("admin listener").await);
    (process, Issuing::at(public, admin))
}

/// Asks for tokens until nobody answers any more.
async fn issue(issuing: Issuing, book: Arc<Mutex<Book>>) {
    while let Ok(answer) = issuing.try_form(OAUTH2, &grant(BILLING.0, BILLING.1)).await {
        if answer.status != 200 {
            // Everything is switched off at the moment.
            assert_eq!(answer.json()["error"], "unauthorized_client", "{}", answer.text());
            continue;
        }
        let mut book = book.lock().expect("not poisoned");
        book.tokens.push(token_in(&answer));
        book.answers += 1;
    }
}

/// Changes one thing after the other until nobody answers any more.
async fn manage(issuing: Issuing, book: Arc<Mutex<Book>>) {
    while change(&issuing, &book).await.is_some() {
        book.lock().expect("not poisoned").answers += 1;
    }
}

/// One change at random. What it is about is in doubt until it is acknowledged; `None`: it was not.
async fn change(issuing: &Issuing, book: &Mutex<Book>) -> Option<()> {
    let chosen: u32 = rand::rng().random_range(0..10);
    match chosen {
        0 | 1 => return register(issuing, book).await,
        2 => return switch(issuing, book).await,
        3..6 => return revoke(issuing, book).await,
        _ => {}
    }
    let Some((id, mut client)) = any_client(book) else { return Some(()) };
    book.lock().expect("not poisoned").doubtful_clients.insert(id.clone());
    match chosen {
        6 => {
            let body = json!({ "grace": "0s" });
            let rotated = post(issuing, &format!("/clients/{id}/rotate"), body).await?.json();
            client.old_secret = Some(std::mem::replace(&mut client.secret, text(&rotated["secret"])));
        }
        7 => {
            post(issuing, &format!("/clients/{id}/disable"), Value::Null).await?;
            client.enabled = false;
        }
        8 => {
            post(issuing, &format!("/clients/{id}/enable"), Value::Null).await?;
            client.enabled = true;
        }
        _ => {
            done(issuing.try_manage(Method::DELETE, &format!("/clients/{id}"), Value::Null).await)?;
            client.removed = true;
        }
    }
    let mut book = book.lock().expect("not poisoned");
    book.doubtful_clients.remove(&id);
    book.clients.insert(id, client);
    Some(())
}

async fn register(issuing: &Issuing, book: &Mutex<Book>) -> Option<()> {
    let id = format!("client-{:08x}", rand::rng().random::<u32>());
    let secret = text(&post(issuing, "/clients", registration(&id)).await?.json()["secret"]);
    let answer = issuing.try_form(OAUTH2, &grant(&id, &secret)).await.ok()?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = token_in(&answer);
    let client = Registered { secret, old_secret: None, token, enabled: true, removed: false };
    book.lock().expect("not poisoned").clients.insert(id, client);
    Some(())
}

/// Off, and on again.
async fn switch(issuing: &Issuing, book: &Mutex<Book>) -> Option<()> {
    for on in [false, true] {
        book.lock().expect("not poisoned").switched_on = None;
        done(issuing.try_manage(Method::PUT, "/switches", json!({ "m2m_enabled": on })).await)?;
        book.lock().expect("not poisoned").switched_on = Some(on);
    }
    Some(())
}

async fn revoke(issuing: &Issuing, book: &Mutex<Book>) -> Option<()> {
    let token = {
        let mut book = book.lock().expect("not poisoned");
        let tokens: Vec<_> = book.tokens.iter().filter(|token| !book.doubtful.contains(*token)).cloned().collect();
        if tokens.is_empty() {
            return Some(());
        }
        let token = tokens[rand::rng().random_range(0..tokens.len())].clone();
        book.doubtful.insert(token.clone());
        token
    };
    post(issuing, "/revocations", json!({ "token_id": id_of(&token) })).await?;
    book.lock().expect("not poisoned").revoked.push(token);
    Some(())
}

fn any_client(book: &Mutex<Book>) -> Option<(String, Registered)> {
    let book = book.lock().expect("not poisoned");
    let clients: Vec<_> = book.clients.iter().filter(|(_, client)| !client.removed).collect();
    if clients.is_empty() {
        return None;
    }
    let (id, client) = clients[rand::rng().random_range(0..clients.len())];
    Some((id.clone(), client.clone()))
}

async fn post(issuing: &Issuing, path: &str, body: Value) -> Option<Answer> {
    done(issuing.try_manage(Method::POST, path, body).await)
}

/// The answer of what was done; `None` if nobody answered.
fn done(answer: Result<Answer, String>) -> Option<Answer> {
    let answer = answer.ok()?;
    assert!(answer.status.is_success(), "{} {}", answer.status, answer.text());
    Some(answer)
}

async fn killed_again_and_again(location: StoreConfig, usual: u32) {
    let rounds = std::env::var(ROUNDS).map_or(usual, |rounds| rounds.parse().expect("a number of rounds"));
    let house = House::at(&location).await;
    for _ in 0..rounds {
        house.round().await;
    }
    let (_process, issuing) = start(house.folder.path()).await;
    house.look(&issuing).await;
    let answers = house.book.lock().expect("not poisoned").answers;
    assert!(answers > 10 * usize::try_from(rounds).expect("few"), "only {answers} answers in {rounds} rounds");
    println!("{rounds} times killed, {answers} acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_sqlite() {
    on_sqlite(|location| killed_again_and_again(location, 15)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_postgresql() {
    on_postgres(|location| killed_again_and_again(location, 5)).await;
}
