//! The Redis of the tests, and a relay to it that can be slow, be cut, and go away.

use std::{
    env,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use super::{raw::free_address, wait::until};

/// Where the server of the tests is: a URL that `scripts/with-redis` gives.
const REDIS: &str = "POSTERN_TEST_REDIS";

/// What `scripts/test` sets, where every server of the tests is there: leaving out what needs one would go unnoticed.
const REQUIRED: &str = "POSTERN_TEST_SERVERS_REQUIRED";

/// The address of the server of the tests; without one none, and a word about it.
pub(crate) fn server() -> Option<String> {
    let url = env::var(REDIS).ok();
    if url.is_none() {
        assert!(env::var_os(REQUIRED).is_none(), "{REDIS} is not set, but {REQUIRED} is");
        eprintln!("left out: {REDIS} is not set; scripts/with-redis starts a server for the tests");
    }
    url?.strip_prefix("redis://")?.split('/').next().map(str::to_owned)
}

/// A prefix that no other test has.
pub(crate) fn fresh_prefix() -> String {
    format!("test:{}", uuid::Uuid::now_v7())
}

/// Has the server at `address` carry out a command.
pub(crate) async fn command(address: &str, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(format!("redis://{address}/0")).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("the server is there");
    let (name, rest) = words.split_first().expect("a command");
    redis::cmd(name).arg(rest).query_async(&mut connection).await.expect("it is carried out")
}

/// A server of one's own, of the sort that `scripts/with-redis` starts. It goes with this.
pub(crate) struct OwnRedis {
    pub(crate) address: String,
    process: Child,
    _directory: tempfile::TempDir,
}

impl OwnRedis {
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = free_address().await;
        let started = ["redis-server", "valkey-server"].into_iter().find_map(|program| {
            let mut server = Command::new(program);
            server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
            server.arg(address.port().to_string()).arg("--dir").arg(directory.path()).args(settings);
            server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        });
        let process = started.expect("the server of the tests was started, so there is such a program");
        let own = Self { address: address.to_string(), process, _directory: directory };
        until("the server listens", || async { TcpStream::connect(address).await.ok() }).await;
        own
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A way to the server. It listens as long as it is there.
pub(crate) struct RedisRelay {
    pub(crate) address: String,
    manner: watch::Sender<Manner>,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

/// What is done with what goes through.
#[derive(Clone, Copy)]
struct Manner {
    /// How long an answer is held up.
    delay: Duration,
    /// Whether anybody is let through.
    away: bool,
    cuts: usize,
}

impl RedisRelay {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server: SocketAddr = server.parse().expect("an address");
        let manner = watch::Sender::new(Manner { delay: Duration::ZERO, away: false, cuts: 0 });
        let relay = Self { address, manner, made: Arc::default(), open: Arc::default() };
        let (manner, made, open) = (relay.manner.subscribe(), Arc::clone(&relay.made), Arc::clone(&relay.open));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if manner.borrow().away {
                    continue;
                }
                let far = TcpStream::connect(server).await.expect("the server is there");
                let (mut manner, open) = (manner.clone(), Arc::clone(&open));
                let cuts = manner.borrow_and_update().cuts;
                made.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let delays = manner.clone();
                    tokio::select! {
                        () = pass_on(near, far, delays) => {}
                        _ = manner.wait_for(|manner| manner.cuts > cuts) => {}
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        relay
    }

    /// From now on answers take so long, also those that are held up already.
    pub(crate) fn delay(&self, delay: Duration) {
        self.manner.send_modify(|manner| manner.delay = delay);
    }

    /// Breaks every connection.
    pub(crate) fn cut(&self) {
        self.manner.send_modify(|manner| manner.cuts += 1);
    }

    /// Breaks every connection, and each that is made from now on.
    pub(crate) fn go_away(&self) {
        self.manner.send_modify(|manner| manner.away = true);
        self.cut();
    }

    /// Lets through again.
    pub(crate) fn come_back(&self) {
        self.manner.send_modify(|manner| manner.away = false);
    }

    /// How many connections have been made so far.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn pass_on(mut near: TcpStream, mut far: TcpStream, mut manner: watch::Receiver<Manner>) {
    let ((mut asks, mut hears), (mut answers, mut is_asked)) = (near.split(), far.split());
    let there = tokio::io::copy(&mut asks, &mut is_asked);
    let back = async {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = answers.read(&mut bytes).await {
            loop {
                let delay = manner.borrow_and_update().delay;
                if delay.is_zero() || timeout(delay, manner.changed()).await.is_err() {
                    break;
                }
            }
            if hears.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { _ = there => {}, () = back => {} }
}
