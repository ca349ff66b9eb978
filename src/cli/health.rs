//! Owns: `postern health`: asks a running Postern how it is, for containers that have no other program to ask with.
//! Refuses: anything but plain HTTP to the operator's listener.
//! Always holds: an answer comes within the given time, whatever the other side does.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use thiserror::Error;
use url::Url;

/// Where the admin listener is unless something else is said.
const USUAL_ADMIN_URL: &str = "http://127.0.0.1:9090";
/// The environment variable that says something else, so that a container's health check need not be rewritten.
const ADMIN_URL_VARIABLE: &str = "POSTERN_ADMIN_URL";
/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The most of an answer that is read.
const LONGEST_ANSWER_BYTES: u64 = 64 * 1024;

/// Asks a running Postern how it is; exit code 0 if it is well.
#[derive(Clone, Debug, clap::Args)]
pub struct HealthArguments {
    /// The admin listener; default: $POSTERN_ADMIN_URL, else http://127.0.0.1:9090
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// Ask only whether the program is alive, not whether it is ready for requests
    #[arg(long)]
    pub live: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the program is alive: `/livez`. What a restart would cure.
    Live,
    /// Whether requests should be sent to it: `/readyz`. Also false while an issuer is away, which no restart cures.
    Ready,
}

/// Why the answer is no.
#[derive(Debug, Error)]
pub enum HealthError {
    /// The URL is not one of an admin listener.
    #[error("`{url}` is not the URL of an admin listener: write it like http://127.0.0.1:9090")]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody answers there.
    #[error("{url} does not answer")]
    Unreachable {
        /// Where.
        url: Url,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// What answers does not speak HTTP.
    #[error("{url} does not answer like an admin listener")]
    NotHttp {
        /// Where.
        url: Url,
    },
    /// It says no.
    #[error("{url} answers {status}: {body}")]
    Unhealthy {
        /// Where.
        url: Url,
        /// The status.
        status: u16,
        /// What it says.
        body: String,
    },
}

impl HealthArguments {
    /// Asks, and gives what Postern says if it is well.
    ///
    /// # Errors
    /// If it is not well, or says nothing sensible within two seconds.
    pub fn run(&self) -> Result<String, HealthError> {
        let admin = self.admin.clone().or_else(|| std::env::var(ADMIN_URL_VARIABLE).ok());
        let probe = if self.live { Probe::Live } else { Probe::Ready };
        health(admin.as_deref().unwrap_or(USUAL_ADMIN_URL), probe, TIMEOUT)
    }
}

/// Asks the admin listener at `admin`, like `http://127.0.0.1:9090`, and gives what it says if it is well.
///
/// # Errors
/// If it is not well, or says nothing sensible within `timeout`.
pub fn health(admin: &str, probe: Probe, timeout: Duration) -> Result<String, HealthError> {
    let bad_url = || HealthError::Url { url: admin.to_owned() };
    let mut url = Url::parse(admin).map_err(|_| bad_url())?;
    if url.scheme() != "http" || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        return Err(bad_url());
    }
    url.set_path(match probe {
        Probe::Live => "/livez",
        Probe::Ready => "/readyz",
    });
    url.set_query(None);
    url.set_fragment(None);
    let answer =
        ask(&url, Instant::now() + timeout).map_err(|cause| HealthError::Unreachable { url: url.clone(), cause })?;
    let answer = String::from_utf8_lossy(&answer);
    let (status, body) = parse(&answer).ok_or_else(|| HealthError::NotHttp { url: url.clone() })?;
    match status {
        200 => Ok(body.trim_end().to_owned()),
        status => Err(HealthError::Unhealthy { url, status, body: body.trim_end().escape_debug().to_string() }),
    }
}

/// One request on a connection of its own. HTTP/1.0, so that the answer is neither chunked nor followed by another one.
fn ask(url: &Url, deadline: Instant) -> io::Result<Vec<u8>> {
    let authority = url.authority();
    let mut stream = connect(&url.socket_addrs(|| Some(80))?, deadline)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    write!(stream, "GET {} HTTP/1.0\r\nHost: {authority}\r\nConnection: close\r\n\r\n", url.path())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while (answer.len() as u64) < LONGEST_ANSWER_BYTES {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = stream.read(&mut piece)?;
        let Some(received) = piece.get(..count).filter(|received| !received.is_empty()) else { break };
        answer.extend_from_slice(received);
    }
    Ok(answer)
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for address in addresses {
        outcome = TcpStream::connect_timeout(address, left(deadline)?);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The time until `deadline`; an error once it has passed, since the socket would take zero for "for ever".
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// The status and the body of an answer (RFC 9112 section 4).
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    Some((words.next()?.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    const SOON: Duration = Duration::from_secs(10);

    /// Asks somebody who says `answer`; gives what came of it and the request.
    fn asked(answer: &'static str, probe: Probe) -> (Result<String, HealthError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/ignored?x=y", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (health(&url, probe, SOON), server.join().unwrap())
    }

    #[test]
    fn the_answer_decides() {
        let (outcome, request) = asked("HTTP/1.1 200 OK\r\nA: b\r\n\r\nok\n", Probe::Live);
        assert_eq!(outcome.unwrap(), "ok");
        assert!(request.starts_with("GET /livez HTTP/1.0\r\nHost: 127.0.0.1:"), "{request}");
        let (outcome, request) = asked("HTTP/1.0 503 Service Unavailable\r\n\r\n{\"a\":\u{1b}[2J}", Probe::Ready);
        assert!(outcome.unwrap_err().to_string().ends_with(r#"answers 503: {\"a\":\u{1b}[2J}"#));
        assert!(request.starts_with("GET /readyz "), "{request}");
        for garbage in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n"] {
            assert!(matches!(asked(garbage, Probe::Live).0, Err(HealthError::NotHttp { .. })), "{garbage}");
        }
    }

    #[test]
    fn silence_ends_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let outcome = health(&url, Probe::Live, Duration::from_millis(50));
        assert!(matches!(outcome, Err(HealthError::Unreachable { .. })), "{outcome:?}");
        drop(listener);
        assert!(matches!(health(&url, Probe::Live, SOON), Err(HealthError::Unreachable { .. })));
    }

    #[test]
    fn only_plain_urls_are_asked() {
        for url in ["", "127.0.0.1:9090", "https://127.0.0.1", "http://user:x@127.0.0.1", "file:///etc/passwd"] {
            assert!(matches!(health(url, Probe::Live, SOON), Err(HealthError::Url { .. })), "{url}");
        }
    }
}
