//! What a request's fields cost on their way through: reading the host, stripping, the request id, forwarding fields.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::{hint::black_box, net::IpAddr};

use criterion::{BatchSize, Criterion};
use http::{HeaderName, HeaderValue, Request};
use postern::{
    clock::UnixTime,
    http::{
        NormalHost, NormalPath, RequestHead,
        forwarded::{self, Hop},
        headers::{self, IdentityHeaderNames},
    },
};

fn request() -> RequestHead {
    let request = Request::builder()
        .uri("/v1/tenants/acme/orders/17?expand=lines")
        .header("host", "api.example.com")
        .header("user-agent", "billing/1.7 (linux; x86_64)")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
        .header("content-type", "application/json")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("x-request-id", "0190a3c4-7b1e-7cc0-8000-0123456789ab");
    request.body(()).unwrap().into_parts().0.into()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let host = NormalHost::parse("api.example.com").unwrap();
    let identity = ["x-client-id", "x-scope", "x-tenant"].map(HeaderName::from_static);
    let identity = IdentityHeaderNames::new(&identity);
    let head = request();

    criterion.bench_function("normalise host", |bencher| bencher.iter(|| NormalHost::from_request(black_box(&head))));
    criterion.bench_function("normalise path, and path for the upstream", |bencher| {
        bencher.iter(|| {
            let uri = black_box(&head.uri);
            NormalPath::parse(uri.path()).unwrap().path_and_query(uri, None)
        });
    });
    criterion.bench_function("strip hop-by-hop", |bencher| {
        let strip = |head: &mut RequestHead| headers::strip_hop_by_hop_from_request(&mut head.fields, false);
        bencher.iter_batched_ref(request, strip, BatchSize::SmallInput);
    });
    criterion.bench_function("strip identity", |bencher| {
        bencher.iter_batched_ref(request, |head| identity.strip(&mut head.fields), BatchSize::SmallInput);
    });
    criterion.bench_function("request id", |bencher| {
        let settle = |head: &mut RequestHead| {
            let id = headers::request_id(&head.fields, UnixTime::from_seconds(1));
            headers::set_request_id(&mut head.fields, &id);
            id
        };
        bencher.iter_batched_ref(request, settle, BatchSize::SmallInput);
    });
    criterion.bench_function("forwarding fields", |bencher| {
        let rewrite =
            |head: &mut RequestHead| forwarded::rewrite(&mut head.fields, &Hop { peer, tls: true, host: &host }, &[]);
        bencher.iter_batched_ref(request, rewrite, BatchSize::SmallInput);
    });
    criterion.bench_function("rewrite a request's fields, all of it", |bencher| {
        let rewrite = |head: &mut RequestHead| {
            let id = headers::request_id(&head.fields, UnixTime::from_seconds(1));
            headers::strip_hop_by_hop_from_request(&mut head.fields, false);
            identity.strip(&mut head.fields);
            headers::strip_credentials(&mut head.fields, false);
            forwarded::rewrite(&mut head.fields, &Hop { peer, tls: true, host: &host }, &[]);
            headers::set_request_id(&mut head.fields, &id);
            head.fields.append(HeaderName::from_static("x-client-id"), HeaderValue::from_static("billing"));
        };
        bencher.iter_batched_ref(request, rewrite, BatchSize::SmallInput);
    });
    criterion.final_summary();
}
