//! HTTP/1.1 as it should not be written: each row byte by byte over a socket, with a good token and with a second request
//! behind it. What could be read in two ways is read in none; the second request is never read out of the first.

mod bodies;
mod heads;
mod upgrades;

use serde_json::Value;

use crate::support::{
    client::HttpClient,
    corp::Corp,
    gateway::Gateway,
    raw::{RawAnswer, exchange},
    upstream::{Recorded, RecordedUpstream},
    wait::until,
};

/// A gateway, what is behind it, and a token that opens it.
struct Scene {
    corp: Corp,
    upstream: RecordedUpstream,
    gateway: Gateway,
    token: String,
    client: HttpClient,
}

impl Scene {
    async fn new() -> Self {
        Self::with("").await
    }

    /// With `config` beside the usual.
    async fn with(config: &str) -> Self {
        let corp = Corp::start().await;
        let upstream = RecordedUpstream::start().await;
        let gateway = corp.before(&upstream.url(), config).start().await;
        let token = corp.token();
        Self { corp, upstream, gateway, token, client: HttpClient::http1() }
    }

    /// Host and credential, as lines.
    fn fields(&self) -> String {
        format!("host: a\r\nauthorization: Bearer {}\r\n", self.token)
    }

    /// A request that would be let through if it were read as one.
    fn smuggled(&self) -> String {
        format!("GET /smuggled HTTP/1.1\r\n{}connection: close\r\n\r\n", self.fields())
    }

    /// Sends `bytes` with the smuggled request behind them; everything that comes back, and what reached the upstream.
    async fn attack(&self, bytes: impl AsRef<[u8]>) -> (RawAnswer, Vec<Recorded>) {
        let before = self.upstream.count();
        let mut all = bytes.as_ref().to_vec();
        all.extend_from_slice(self.smuggled().as_bytes());
        let answer = exchange(self.gateway.address(), all).await;
        (answer, self.upstream.requests().split_off(before))
    }

    /// `bytes` are answered `status` and `reason`, once; nothing reaches the upstream, and the next one gets through.
    async fn is_refused(&self, bytes: impl AsRef<[u8]>, status: u16, reason: &str) {
        let what = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        let (answer, seen) = self.attack(bytes).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{what:?}: {}", answer.text);
        assert_eq!(answer.text.matches("HTTP/1.").count(), 1, "{what:?}: {}", answer.text);
        assert_eq!(answer.header("connection"), "close", "{what:?}");
        assert!(seen.is_empty(), "{what:?}: {seen:?}");
        self.control(&what).await;
    }

    /// A good request on a connection of its own gets through.
    async fn control(&self, what: &str) {
        let before = self.upstream.count();
        let answer = self.client.get(&self.gateway.url("/control"), Some(&self.token)).await;
        assert_eq!((answer.status.as_u16(), self.upstream.count()), (200, before + 1), "after {what:?}");
        assert_eq!(self.upstream.last().target, "/control", "after {what:?}");
    }

    /// The lines of the access log with this reason, once there are as many.
    async fn log_lines(&self, reason: &str, count: usize) -> Vec<Value> {
        until("the lines of the log", || async {
            let text = std::fs::read_to_string(self.gateway.folder.path().join("access.log")).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let lines: Vec<_> = lines.filter(|line| line["reason"] == reason).collect();
            (lines.len() >= count).then_some(lines)
        })
        .await
    }
}

/// The statuses of all answers in `text`.
fn statuses_in(text: &str) -> Vec<&str> {
    text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect()
}
