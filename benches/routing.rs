//! How long finding a request's route takes, with ten routes and with ten thousand; and how long building the table takes.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::Criterion;
use http::Method;
use postern::{
    diagnostic::{Diagnostics, KeyPath},
    http::{NormalHost, NormalPath},
    routing::{RoutePattern, RouteTable, RouteTableBuilder},
};

fn table(routes: usize) -> RouteTable<usize> {
    let mut diagnostics = Diagnostics::new();
    let mut builder = RouteTableBuilder::new();
    for index in 0..routes {
        let at = KeyPath::of(&["routes", &format!("r{index}")]);
        let host = ["api.example.com", "*.example.org"].get(index % 3).copied();
        let path = format!("/v1/service{}/tenants/{{tenant}}/orders{}/{{*rest}}", index / 10, index % 10);
        let methods = ["GET".to_owned(), "HEAD".to_owned()];
        let pattern = RoutePattern::compile(&at, host, &path, Some(&methods), &mut diagnostics).unwrap();
        builder.insert(at, pattern, index, &mut diagnostics);
    }
    builder.build()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let host = NormalHost::parse("api.example.com").unwrap();
    for routes in [10, 10_000] {
        let table = table(routes);
        let path = format!("/v1/service{}/tenants/acme/orders6/17/lines", routes / 10 - 1);
        criterion.bench_function(&format!("match among {routes} routes"), |bencher| {
            bencher.iter(|| {
                let path = NormalPath::parse(black_box(&path)).unwrap();
                table.match_route(black_box(&host), &path, &Method::GET).unwrap().parameters()
            });
        });
        criterion.bench_function(&format!("no route among {routes} routes"), |bencher| {
            let path = NormalPath::parse("/v1/nothing/here").unwrap();
            bencher.iter(|| table.match_route(black_box(&host), &path, &Method::GET).is_err());
        });
    }
    criterion.bench_function("build a table of 10000 routes", |bencher| bencher.iter(|| table(10_000)));
    criterion.final_summary();
}
