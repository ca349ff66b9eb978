//! What a gateway tells of itself: its metrics, its access log, its admin API.

use http::Method;
use serde_json::Value;

use super::{
    client::{Answer, HttpClient, request},
    gateway::Gateway,
    wait::until,
};

/// The sum of all samples of `name` that have every one of `labels`.
pub(crate) fn sum_of(metrics: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (its_labels, value) = rest.rsplit_once(' ')?;
        let ours = its_labels.is_empty() || its_labels.starts_with('{');
        (ours && labels.iter().all(|label| its_labels.contains(label))).then(|| value.parse::<f64>().expect("a number"))
    });
    samples.sum()
}

/// The sum of all samples of `name` that have every one of `labels`, as the gateway tells it now.
pub(crate) async fn metric(gateway: &Gateway, name: &str, labels: &[(&str, &str)]) -> f64 {
    let answer = HttpClient::http1().get(&gateway.admin_url("/metrics"), None).await;
    assert_eq!(answer.status, 200);
    sum_of(&answer.text(), name, labels)
}

/// Reloads by the admin API.
pub(crate) async fn reload(gateway: &Gateway) -> Answer {
    HttpClient::http1().send(request(Method::POST, &gateway.admin_url("/api/v1/reload"), None)).await
}

/// Waits for a line of the access log that is as `wanted`.
pub(crate) async fn log_line(gateway: &Gateway, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let text = std::fs::read_to_string(gateway.folder.path().join("access.log")).unwrap_or_default();
        // The last line may be half written at the moment.
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(&wanted)
    })
    .await
}
