//! How many tokens one core issues: the program itself with one worker and a SQLite file, all of it on one core, asked over
//! loopback from another one. Each token is signed with ES256, by a client with a secret, and durable before it is answered.
//!
//!     cargo bench --bench issuance
//!
//! `POSTERN_BENCH_BOUND=5000` fails below so many tokens for a second of the gateway's CPU time; `POSTERN_BENCH_SECONDS` and
//! `POSTERN_BENCH_CONNECTIONS` change how long and how hard it is asked.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::thread::{CpuSet, sched_setaffinity};

const GATEWAY_CORE: usize = 0;
const LOAD_CORE: usize = 1;
const WARM_UP: Duration = Duration::from_secs(2);
/// What the kernel counts CPU time in, everywhere that this runs.
const TICKS_PER_SECOND: f64 = 100.0;

const CONFIG: &str = r#"
[process]
workers = 1
[telemetry]
access_log = "off"
[listeners.public]
address = "127.0.0.1:0"
[issuers.own]
embedded = true
audience = "https://api.test/orders"
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://issuer.test/"
store = "sqlite:postern.db"
[authorization_server.signing]
algorithm = "ES256"
[authorization_server.apis."https://api.test/orders"]
scopes = ["orders:read", "orders:write"]
[authorization_server.clients.billing]
secret = "the-secret-of-billing-which-is-long-enough"
grants = { "https://api.test/orders" = ["orders:read", "orders:write"] }
"#;

/// The program, on its core. Ended when dropped.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        fs::write(folder.join("postern.toml"), CONFIG).expect("written");
        let mut child = Command::new("taskset")
            .args(["-c", &GATEWAY_CORE.to_string(), env!("CARGO_BIN_EXE_postern"), "serve", "-c", "postern.toml"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("taskset, of util-linux, starts the program");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let said = log.find_map(|line| Some(line.split_once("listening on ")?.1.to_owned())).expect("it starts");
        let address = said.split_whitespace().next().and_then(|text| text.parse().ok()).expect("an address");
        let _ = log.find(|line| line.contains("postern is running")).expect("it starts");
        // So that it never waits for somebody to read.
        thread::spawn(move || log.for_each(|line| eprintln!("{line}")));
        Self { child, address }
    }

    /// User and system time of each thread so far, by the thread's name.
    fn cpu_seconds(&self) -> Vec<(String, f64)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
        stats.map(|stat| thread_time(&stat).expect("the form of proc_pid_stat(5)")).collect()
    }

    /// User and system time of the whole process, also of threads that have ended.
    fn total_cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        thread_time(&stat).expect("the form of proc_pid_stat(5)").1
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name of a process or thread, and how long it has had a core.
fn thread_time(stat: &str) -> Option<(String, f64)> {
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((name, (user + system) / TICKS_PER_SECOND))
}

/// What all who ask share.
struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    issued: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let form = "grant_type=client_credentials&client_id=billing&scope=orders%3Aread\
                    &client_secret=the-secret-of-billing-which-is-long-enough";
        let mut request = String::new();
        let _ = write!(
            request,
            "POST /oauth/token HTTP/1.1\r\nhost: issuer.test\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n\r\n{form}",
            form.len()
        );
        let (issued, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { address, request: request.into_bytes(), issued, stop }
    }

    /// Asks for one token after the other on one connection; how long each took.
    fn ask(&self) -> Vec<Duration> {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_nodelay(true).expect("an option that there is");
        let mut took = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        while !self.stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            stream.write_all(&self.request).expect("sent");
            read_answer(&mut stream, &mut buffer);
            took.push(asked.elapsed());
            self.issued.fetch_add(1, Ordering::Relaxed);
        }
        let _ = stream.shutdown(Shutdown::Both);
        took
    }
}

/// Reads one answer, which must carry a token.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).expect("an answer fits");
        let count = stream.read(room).expect("an answer");
        assert!(count > 0, "the connection was closed");
        filled += count;
        let text = std::str::from_utf8(buffer.get(..filled).expect("just filled")).expect("an answer is text");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() == length.parse::<usize>().expect("a number") {
            assert!(body.contains("\"access_token\""), "{body}");
            return;
        }
    }
}

fn option<T: FromStr>(name: &str, usual: T) -> T {
    env::var(name).ok().map_or(usual, |text| text.parse().ok().expect("the variable is a number"))
}

fn main() {
    if !env::args().any(|argument| argument == "--bench") {
        println!("this is a benchmark: cargo bench --bench issuance");
        return;
    }
    let seconds = Duration::from_secs(option("POSTERN_BENCH_SECONDS", 10));
    let connections: usize = option("POSTERN_BENCH_CONNECTIONS", 64);
    // Where builds go, which is a disk; the folder for temporary files may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let gateway = Gateway::start(folder.path());
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE);
    sched_setaffinity(None, &cores).expect("there are two cores");

    let load = Arc::new(Load::on(gateway.address));
    let askers: Vec<_> = (0..connections)
        .map(|_| {
            let load = Arc::clone(&load);
            thread::spawn(move || load.ask())
        })
        .collect();
    thread::sleep(WARM_UP);
    let (begun, tokens_before) = (Instant::now(), load.issued.load(Ordering::Relaxed));
    let (cpu_before, threads_before) = (gateway.total_cpu_seconds(), gateway.cpu_seconds());
    thread::sleep(seconds);
    let (elapsed, tokens_after) = (begun.elapsed(), load.issued.load(Ordering::Relaxed));
    let (cpu_after, threads_after) = (gateway.total_cpu_seconds(), gateway.cpu_seconds());
    load.stop.store(true, Ordering::Relaxed);
    let mut took: Vec<Duration> = askers.into_iter().flat_map(|asker| asker.join().expect("no panic")).collect();
    took.sort_unstable();

    let tokens = u32::try_from(tokens_after - tokens_before).map(f64::from).expect("not that many");
    let (wall, cpu) = (elapsed.as_secs_f64(), cpu_after - cpu_before);
    let for_cpu_second = tokens / cpu;
    let percentile = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    println!("{connections} connections, {wall:.1} s, the gateway on one core of its own");
    println!("tokens a second                  {:9.0}", tokens / wall);
    println!("tokens for a second of its CPU   {for_cpu_second:9.0}");
    println!("CPU a token                      {:9.1} us", cpu / tokens * 1e6);
    println!("its core was busy                {:9.0} %", cpu / wall * 100.0);
    println!("a token took                     {:9.1?} (half), {:.1?} (99 of 100)", percentile(50), percentile(99));
    for (name, spent) in by_name(&threads_before, &threads_after) {
        println!("  of that by {name:20} {:9.1} us", spent / tokens * 1e6);
    }
    println!("the store's file                 {:9} KiB", size_of_file(&folder.path().join("postern.db")) / 1024);
    let bound: f64 = option("POSTERN_BENCH_BOUND", 0.0);
    if for_cpu_second < bound {
        println!("below the bound of {bound}");
        drop(gateway);
        std::process::exit(1);
    }
}

/// What the threads of each name have spent in between, most first.
fn by_name(before: &[(String, f64)], after: &[(String, f64)]) -> Vec<(String, f64)> {
    let sum = |threads: &[(String, f64)], name: &str| -> f64 {
        threads.iter().filter(|(its_name, _)| its_name == name).map(|(_, seconds)| seconds).sum()
    };
    let mut names: Vec<&String> = after.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut spent: Vec<(String, f64)> =
        names.into_iter().map(|name| (name.clone(), sum(after, name) - sum(before, name))).collect();
    spent.retain(|(_, seconds)| *seconds > 0.0);
    spent.sort_unstable_by(|first, second| second.1.total_cmp(&first.1));
    spent
}

fn size_of_file(path: &PathBuf) -> u64 {
    File::open(path).and_then(|file| file.metadata()).map(|metadata| metadata.len()).unwrap_or_default()
}
