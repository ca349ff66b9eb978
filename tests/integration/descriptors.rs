//! No descriptor is left: accepting waits instead of spinning, what is under way goes on, the operator is answered, and it ends
//! when there are some again.

use std::{fs, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, time::sleep};

use crate::support::{
    client::{HttpClient, request},
    launch::{Launch, Process, write},
    lone_connection::Connection,
    scoped::{Scoped, whole},
    wait::until,
};

/// How many descriptors the program may have.
const MOST: usize = 96;
/// How long processor time is looked at.
const WATCHED: Duration = Duration::from_secs(2);

/// How many descriptors a process has open.
fn open_in(process: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs").count()
}

/// The processor time that a process has used, in the hundredths of a second in which Linux counts it.
fn processor_time(process: &Process) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(10 * ticks)
}

/// Connects so often that some are never accepted: the kernel completes them, and they wait in its queue.
async fn crowd(address: SocketAddr) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..MOST + 20 {
        crowd.push(TcpStream::connect(address).await.expect("the kernel's queue has room"));
    }
    crowd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_accepting_waits_and_everything_else_goes_on() {
    let scoped = Scoped::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[process]\nworkers = 1\n[telemetry]\naccess_log = \"off\"\n{}", whole("a"));
    let file = write(folder.path(), "postern.toml", &config);
    let line = format!("ulimit -n {MOST}; exec \"$POSTERN\" serve -c '{}'", file.display());
    let process = scoped.variables(Launch::shell(folder.path(), &line)).start();
    process.running().await;
    let (address, admin) = (process.address_of("listener public").await, process.address_of("admin listener").await);
    let (token, bad) = (scoped.token("a"), scoped.token("b"));
    // Connections of before: to the gateway, and from it to the upstream.
    let mut kept = Connection::http1(address).await.unwrap();
    assert_eq!(kept.get("/x", Some(&token)).await.unwrap().status, 200);

    for round in 0..2 {
        let crowd = crowd(address).await;
        // Some are kept back for what the gateway itself has to open.
        until("the end of accepting", async || (open_in(&process) >= MOST - 40).then_some(())).await;
        until("the end of accepting", async || {
            let before = open_in(&process);
            sleep(Duration::from_millis(200)).await;
            (open_in(&process) == before).then_some(())
        })
        .await;
        let before = processor_time(&process);
        sleep(WATCHED).await;
        let spent = processor_time(&process) - before;
        assert!(spent < WATCHED / 5, "{spent:?} of {WATCHED:?} were spent on accepting nobody, round {round}");

        for (token, status) in [(&token, 200), (&bad, 403)] {
            assert!(kept.is_ready().await, "what is connected stays so");
            assert_eq!(kept.get("/x", Some(token)).await.unwrap().status, status, "and is served and judged as ever");
        }
        for path in ["/livez", "/metrics"] {
            let question = request(http::Method::GET, &format!("http://{admin}{path}"), None);
            let answer = tokio::time::timeout(Duration::from_secs(5), HttpClient::http1().try_send(question)).await;
            let status = answer.expect("the operator is answered in time").expect("the operator is answered").status;
            assert_eq!(status, 200, "{path}");
        }

        drop(crowd);
        until("accepting anew", async || {
            let mut connection = Connection::http1(address).await.ok()?;
            let answer = tokio::time::timeout(Duration::from_secs(5), connection.get("/x", Some(&token))).await;
            (answer.ok()?.ok()?.status == 200).then_some(())
        })
        .await;
    }
    let reached = scoped.upstream.requests();
    assert!(reached.iter().all(|request| request.headers.get("authorization").is_none()));
    assert!(!process.log().contains("panicked"), "{}", process.log());
}
