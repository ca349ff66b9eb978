//! Owns: counting what happens to requests, and telling it in the OpenMetrics text format.
//! Refuses: a lock or a shared cache line on the way of a request; a label out of an unverified token.
//! Always holds: each worker counts in shards of its own, which are added up when somebody asks; a series goes on over a
//! reload as long as its name stays.

pub mod catalogue;
mod decision;
mod directory;
mod exposition;
mod histogram;
mod process;
mod route;
mod sample;
mod shard;
mod tally;
mod upstream;

use std::{fmt, sync::Arc};

use self::{
    directory::{Directory, Shard as _},
    route::RouteShard,
    shard::{Sharded, WorkerShard},
    upstream::UpstreamShard,
};

pub use self::{
    catalogue::{Metric, MetricKind},
    decision::{Decision, DecisionMode, DecisionResult},
    exposition::CONTENT_TYPE,
    histogram::{BUCKETS_SECONDS, HistogramCount},
    route::{FinishedRequest, RouteCounters, RouteMetrics},
    sample::{MetricsSource, SampleValue, Samples},
    shard::{UnderWay, WorkerMetrics},
    upstream::{Exchange, UpstreamMetrics},
};

/// Everything that is counted on the data plane.
#[derive(Debug)]
pub struct Metrics {
    workers: Sharded<WorkerShard>,
    routes: Directory<RouteShard>,
    upstreams: Directory<UpstreamShard>,
    unmatched: RouteMetrics,
}

impl Metrics {
    /// Makes room for so many workers, and the one handle of each.
    #[must_use]
    pub fn new(workers: usize) -> (Arc<Self>, Vec<WorkerMetrics>) {
        let shards = Sharded::new(workers);
        let handles = (0..workers).map(|index| WorkerMetrics::new(index, shards.clone())).collect();
        let metrics = Self {
            workers: shards,
            routes: Directory::new(workers),
            upstreams: Directory::new(workers),
            unmatched: RouteMetrics(Sharded::new(workers)),
        };
        (Arc::new(metrics), handles)
    }

    /// The series of a route: those that there are under this name, or new ones. To be asked for while a configuration is
    /// compiled, not while a request waits.
    #[must_use]
    pub fn route(&self, name: &str) -> RouteMetrics {
        RouteMetrics(self.routes.resolve(name))
    }

    /// The series of requests that matched no route; their label `route` is empty.
    #[must_use]
    pub fn unmatched(&self) -> RouteMetrics {
        self.unmatched.clone()
    }

    /// The series of an upstream: those that there are under this name, or new ones.
    #[must_use]
    pub fn upstream(&self, name: &str) -> UpstreamMetrics {
        UpstreamMetrics(self.upstreams.resolve(name))
    }

    /// Everything, from here and from `sources`, in the OpenMetrics text format (see [`CONTENT_TYPE`]).
    ///
    /// # Errors
    /// Only if the encoder refuses a metric, which a test of the catalogue rules out.
    pub fn encode(&self, sources: &[&dyn MetricsSource]) -> Result<String, fmt::Error> {
        let mut samples = Samples::default();
        samples.add(&catalogue::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1u64);
        process::collect(&mut samples);
        self.collect(&mut samples);
        for source in sources {
            source.collect(&mut samples);
        }
        exposition::encode(samples)
    }
}

impl MetricsSource for Metrics {
    fn collect(&self, samples: &mut Samples) {
        shard::collect(&self.workers, samples);
        RouteShard::collect("", &self.unmatched.0, samples);
        self.routes.collect(samples);
        self.upstreams.collect(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{rc::Rc, time::Duration};

    fn finished(status: u16, milliseconds: u64) -> FinishedRequest {
        FinishedRequest {
            status: Some(status),
            duration: Duration::from_millis(milliseconds),
            bytes_in: 10,
            bytes_out: 100,
        }
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
    }

    #[test]
    fn the_shards_of_all_workers_are_added_up() {
        let (metrics, workers) = Metrics::new(2);
        let route = metrics.route("orders");
        let threads = workers.into_iter().map(|worker| {
            let route = route.clone();
            std::thread::spawn(move || {
                let counters = route.of(&Rc::new(worker));
                for _ in 0..1000 {
                    counters.finished(&finished(200, 3));
                }
                counters.finished(&finished(404, 70_000));
                counters.finished(&FinishedRequest { status: None, ..finished(0, 0) });
            })
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        let text = metrics.encode(&[]).unwrap();
        has(&text, r#"postern_requests_total{route="orders",status_class="2xx"} 2000"#);
        has(&text, r#"postern_requests_total{route="orders",status_class="4xx"} 2"#);
        has(&text, r#"postern_requests_total{route="orders",status_class="5xx"} 0"#);
        has(&text, r#"postern_requests_total{route="orders",status_class="none"} 2"#);
        has(&text, r#"postern_request_bytes_total{route="orders"} 20040"#);
        has(&text, r#"postern_request_duration_seconds_bucket{le="0.0005",route="orders"} 2"#);
        has(&text, r#"postern_request_duration_seconds_bucket{le="0.0025",route="orders"} 2"#);
        has(&text, r#"postern_request_duration_seconds_bucket{le="0.005",route="orders"} 2002"#);
        has(&text, r#"postern_request_duration_seconds_bucket{le="60.0",route="orders"} 2002"#);
        has(&text, r#"postern_request_duration_seconds_bucket{le="+Inf",route="orders"} 2004"#);
        has(&text, r#"postern_request_duration_seconds_count{route="orders"} 2004"#);
        has(&text, r#"postern_request_duration_seconds_sum{route="orders"} 146.0"#);
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn every_class_of_status_is_told_and_a_route_that_nobody_asked_for_is_not() {
        let (metrics, mut workers) = Metrics::new(2);
        let (route, _unused) = (metrics.route("orders"), metrics.route("stock"));
        let counters = route.of(&Rc::new(workers.remove(1)));
        for status in [99, 100, 200, 302, 404, 503, 600] {
            counters.finished(&finished(status, 1));
        }
        counters.token_ended();
        let text = metrics.encode(&[]).unwrap();
        for (class, count) in [("none", 2), ("1xx", 1), ("2xx", 1), ("3xx", 1), ("4xx", 1), ("5xx", 1)] {
            has(&text, &format!(r#"postern_requests_total{{route="orders",status_class="{class}"}} {count}"#));
        }
        assert!(
            text.lines().any(|line| line.contains("token_ended") && line.ends_with(r#"{route="orders"} 1"#)),
            "{text}"
        );
        assert!(!text.contains("stock"), "{text}");
    }

    #[test]
    fn decisions_and_rejections_are_told_apart_by_their_labels() {
        let (metrics, workers) = Metrics::new(2);
        let (route, corp) = (metrics.route("orders"), Arc::<str>::from("corp"));
        let decision = |result, reason, mode, issuer| Decision { issuer, result, reason, mode };
        for worker in workers.into_iter().map(Rc::new) {
            let counters = route.of(&worker);
            let allowed = decision(DecisionResult::Allowed, "authorized", DecisionMode::Enforce, Some(&*corp));
            counters.decided(&worker, allowed);
            counters.decided(&worker, allowed);
            counters.decided(&worker, decision(DecisionResult::Refused, "no_token", DecisionMode::Enforce, None));
            counters.decided(&worker, decision(DecisionResult::Refused, "no_token", DecisionMode::Report, None));
            counters.rejected("no_token");
        }
        let text = metrics.encode(&[]).unwrap();
        let line = |issuer: &str, result: &str, reason: &str, mode: &str, count: u32| {
            let labels =
                format!(r#"route="orders",issuer="{issuer}",result="{result}",reason="{reason}",mode="{mode}""#);
            format!("postern_auth_decisions_total{{{labels}}} {count}")
        };
        has(&text, &line("corp", "allowed", "authorized", "enforce", 4));
        has(&text, &line("", "refused", "no_token", "enforce", 2));
        has(&text, &line("", "refused", "no_token", "report", 2));
        has(&text, r#"postern_rejections_total{route="orders",reason="no_token"} 2"#);
    }

    #[test]
    fn series_survive_a_reload_by_name_and_end_with_their_route() {
        let (metrics, mut workers) = Metrics::new(1);
        let worker = Rc::new(workers.remove(0));
        let before = metrics.route("orders");
        let counters = before.of(&worker);
        counters.finished(&finished(200, 1));
        // A reload resolves the new configuration's handles while the old one still holds its own.
        let after = metrics.route("orders");
        drop(before);
        after.of(&worker).finished(&finished(200, 1));
        has(&metrics.encode(&[]).unwrap(), r#"postern_requests_total{route="orders",status_class="2xx"} 2"#);
        drop(after);
        // Told once more, then gone.
        has(&metrics.encode(&[]).unwrap(), r#"postern_requests_total{route="orders",status_class="2xx"} 2"#);
        counters.finished(&finished(200, 1));
        assert!(!metrics.encode(&[]).unwrap().contains("orders"), "what a worker keeps does not hold the series");
    }

    #[test]
    fn requests_under_way_are_counted_until_their_guard_is_dropped() {
        let (metrics, workers) = Metrics::new(1);
        let workers: Vec<_> = workers.into_iter().map(Rc::new).collect();
        let (one, two) = (UnderWay::begin(&workers[0]), UnderWay::begin(&workers[0]));
        has(&metrics.encode(&[]).unwrap(), "postern_requests_under_way 2");
        drop(one);
        has(&metrics.encode(&[]).unwrap(), "postern_requests_under_way 1");
        drop(two);
        has(&metrics.encode(&[]).unwrap(), "postern_requests_under_way 0");
    }

    #[test]
    fn exchanges_with_upstreams_are_counted() {
        let (metrics, workers) = Metrics::new(1);
        let orders = metrics.upstream("orders");
        let connect = Some(Duration::from_millis(1));
        let header = Some(Duration::from_millis(40));
        orders.exchanged(&workers[0], &Exchange { status: Some(200), failure: None, connect, header });
        orders.exchanged(
            &workers[0],
            &Exchange { status: None, failure: Some("connect_refused"), connect: None, header: None },
        );
        let text = metrics.encode(&[]).unwrap();
        has(&text, r#"postern_upstream_requests_total{upstream="orders",status_class="2xx"} 1"#);
        has(&text, r#"postern_upstream_requests_total{upstream="orders",status_class="none"} 1"#);
        has(&text, r#"postern_upstream_failures_total{upstream="orders",reason="connect_refused"} 1"#);
        has(&text, r#"postern_upstream_connect_seconds_count{upstream="orders"} 1"#);
        has(&text, r#"postern_upstream_response_header_seconds_bucket{le="0.05",upstream="orders"} 1"#);
    }
}
