//! How long a configuration of ten thousand routes takes from its text until it could be put in force.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

use std::{collections::BTreeMap, fmt::Write as _, hint::black_box, sync::Arc};

use criterion::{Criterion, criterion_group, criterion_main};
use postern::{
    app::offline_surroundings,
    config::{self, Environment},
    snapshot::{Activation, Commit, Reloader, Snapshot, load_and_compile},
};

const ROUTES: usize = 10_000;

/// As large installations have them: a route has a host, a path with parameters, methods, scopes, a claim that must agree
/// with the path, and headers for its upstream.
fn text() -> String {
    let mut text = String::from(
        "[listeners.public]\naddress = \"127.0.0.1:8080\"\n\n[issuers.corp]\nissuer = \"https://id.corp.example/\"\n\
         jwks_uri = \"https://id.corp.example/jwks.json\"\naudience = \"https://api.corp.example\"\n",
    );
    for upstream in 0..ROUTES / 100 {
        let port = 9000 + upstream;
        write!(
            text,
            "\n[upstreams.service-{upstream}]\nendpoints = [\"http://10.0.0.1:{port}\", \"http://10.0.0.2:{port}\"]\n"
        )
        .expect("text");
    }
    for route in 0..ROUTES {
        let (service, resource) = (route / 100, route % 100);
        write!(
            text,
            "\n[routes.service-{service}-{resource}]\nhost = \"api.corp.example\"\n\
             path = \"/v1/service{service}/tenants/{{tenant}}/resource{resource}/{{*rest}}\"\n\
             methods = [\"GET\", \"HEAD\"]\nupstream = \"service-{service}\"\n\
             [routes.service-{service}-{resource}.require]\nscopes = [\"service{service}:read\"]\n\
             path_claims = {{ tenant = \"tenant_id\" }}\n\
             [routes.service-{service}-{resource}.identity]\nheaders = {{ \"x-client-id\" = \"client_id\" }}\n",
        )
        .expect("text");
    }
    text
}

/// Nothing lives in a benchmark.
struct Nothing;

impl Activation for Nothing {
    fn before_first(&self, _: &Arc<Snapshot>) -> Result<(), String> {
        Ok(())
    }

    fn prepare(self: Arc<Self>, _: &Arc<Snapshot>, _: Option<&Snapshot>) -> Result<Commit, String> {
        Ok(Box::new(|| {}))
    }
}

fn configuration(criterion: &mut Criterion) {
    let text = text();
    let environment: &dyn Environment = &BTreeMap::new();
    let surroundings = offline_surroundings();
    let folder = tempfile::tempdir().expect("folder");
    let files = [folder.path().join("postern.toml")];
    std::fs::write(&files[0], &text).expect("file");
    let compile = |previous| load_and_compile(&files, environment, previous, &surroundings).snapshot.expect("snapshot");
    let applied = compile(None);

    let mut group = criterion.benchmark_group("configuration/10000_routes");
    group.sample_size(10);
    group.bench_function("read", |bencher| {
        bencher
            .iter(|| config::load_text("postern.toml", black_box(&text), environment).0.into_config().expect("config"));
    });
    group.bench_function("read_and_compile", |bencher| bencher.iter(|| compile(None)));
    // What a reload does: everything that is still the same is taken over.
    group.bench_function("reload", |bencher| bencher.iter(|| compile(Some(&applied))));
    // The same, with what changed told and the snapshot put in force, and the one before it let go of.
    let first = config::load(&files, environment);
    let environment = Arc::new(BTreeMap::<String, String>::new());
    let reloader = Reloader::start(files.to_vec(), environment, first, offline_surroundings(), Arc::new(Nothing));
    let reloader = reloader.map_err(|rejection| rejection.to_string()).expect("reloader");
    group.bench_function("reload_and_swap", |bencher| bencher.iter(|| reloader.reload().expect("reload")));
    group.finish();
}

criterion_group!(benches, configuration);
criterion_main!(benches);
