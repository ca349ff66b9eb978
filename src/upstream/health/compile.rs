//! Owns: turning `[upstreams.*.health]` into [`Health`].
//! Refuses: a question that cannot be asked; an answer that cannot come.

use http::{HeaderValue, uri::Authority};

use super::Health;
use crate::{
    config::HealthConfig,
    diagnostic::{Diagnostics, KeyPath},
    upstream::{
        availability::Thresholds,
        vigilance::{above_zero, statuses},
    },
};

impl Health {
    /// Compiles `raw`, which stands at `path`.
    pub(in crate::upstream) fn compile(
        raw: &HealthConfig,
        path: &KeyPath,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let question = raw.path.starts_with('/').then(|| raw.path.parse().ok()).flatten();
        if question.is_none() {
            let remedy = "write a path that begins with `/`, like \"/healthz\"";
            diagnostics.error(&path.key("path"), format!("`{}` cannot be asked for", raw.path), remedy);
        }
        let host = match &raw.host {
            None => Some(None),
            Some(host) => {
                let host = compile_host(host, &path.key("host"), diagnostics);
                host.map(Some)
            }
        };
        let interval = above_zero(raw.interval, &path.key("interval"), diagnostics);
        let timeout = above_zero(raw.timeout, &path.key("timeout"), diagnostics);
        for (key, written) in [("healthy_after", raw.healthy_after), ("unhealthy_after", raw.unhealthy_after)] {
            if written == 0 {
                let remedy = "write a number of at least 1, or take the key out for the default";
                diagnostics.error(&path.key(key), "no answer at all would have to change its mind", remedy);
            }
        }
        let expect = statuses(&raw.expect, &path.key("expect"), diagnostics);
        let (interval, timeout) = (interval?, timeout?);
        if timeout > interval {
            diagnostics.warning(
                &path.key("timeout"),
                "an endpoint that does not answer is asked less often than `interval` says",
                "make `timeout` no longer than `interval`",
            );
        }
        let is_complete = raw.healthy_after > 0 && raw.unhealthy_after > 0;
        is_complete.then_some(Self {
            path: question?,
            host: host?,
            interval,
            timeout,
            thresholds: Thresholds { healthy_after: raw.healthy_after, unhealthy_after: raw.unhealthy_after },
            expect: expect?,
        })
    }
}

/// RFC 9110 section 7.2: a host and perhaps a port.
fn compile_host(host: &str, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let is_host = host.parse::<Authority>().is_ok_and(|authority| !authority.as_str().contains('@'));
    let value = HeaderValue::from_str(host).ok().filter(|_| is_host);
    if value.is_none() {
        let remedy = "write a host, with its port if it needs one, like \"orders.internal\"";
        diagnostics.error(path, format!("`{host}` cannot be a `Host`"), remedy);
    }
    value
}
