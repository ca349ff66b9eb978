//! Owns: bringing everything up, in order.
//! Always holds: listeners answer only once everything that a start waits for is there.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use aws_lc_rs::rand;
use tokio::{runtime::Builder, sync::watch};
use tracing::{info, warn};

use super::{
    ALSO_COMPILE, Options, Running, StartError, activation::Living, operations::Operator, running::Parts, signals,
    telemetry, worker_thread,
};
use crate::{
    admin::{AdminListener, Operations, serve},
    auth::{
        Inquirers, SharedTokenCache, WorkerTokenCache,
        key_set::{KeySetDirectory, KeySets},
    },
    authorization_server::Memory,
    config::{self, Config},
    descriptors,
    gateway::Shared,
    limit::Limits,
    outbound::Outbound,
    server::Server,
    snapshot::{Activation, Reloader, Surroundings, Watch},
    telemetry::{AccessLog, Destination, Metrics, log},
    token_endpoint::Lasting,
};

/// Threads of the control plane: it fetches, watches and answers operators, none of it much.
const CONTROL_THREADS: usize = 2;

/// Starts a gateway. Returns once it answers.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub fn start(options: Options) -> Result<Running, StartError> {
    gather_randomness();
    // What is read at start only has to be known before the rest can be compiled. The reloader reports what is wrong with it.
    let loaded = config::load(&options.files, &*options.environment);
    let first = loaded.0.draft().map(Arc::clone).unwrap_or_default();
    let log = if options.log { Some(Arc::new(log::init(telemetry::log(&first.telemetry))?)) } else { None };
    let control = Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("postern-control")
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    // From here on; a reload that is asked for while the start waits for keys would otherwise end the program.
    let hangup = if options.log { Some(signals::hangup(&control).map_err(StartError::Thread)?) } else { None };

    let descriptors = descriptors::raise_limit();
    let workers = worker_count(&first);
    let (metrics, worker_metrics) = Metrics::new(workers.get());
    let (server, seats) = Server::new(workers);
    let server = Arc::new(server);
    let issuer_memory = Arc::new(Memory::default());
    let key_sets = Arc::new(KeySets::new(options.clock.clone(), key_set_directory(&first)));
    let outbound = Arc::new(Outbound::new(Some(control.handle().clone())));
    let token_endpoints = Lasting::new(Arc::clone(&outbound));
    let access_log = Arc::new(AccessLog::start(&Destination::Off)?);
    let living = Arc::new(Living {
        server: Arc::clone(&server),
        issuer_memory: Arc::clone(&issuer_memory),
        key_sets: Arc::clone(&key_sets),
        lockouts: token_endpoints.lockouts.clone(),
        registry: Mutex::new(None),
        access_log: Arc::clone(&access_log),
        log: log.clone(),
        control: control.handle().clone(),
        clock: options.clock.clone(),
        destination: Mutex::new(Destination::Off),
        fixed: OnceLock::new(),
    });
    let surroundings = Surroundings {
        clock: options.clock.clone(),
        metrics: Arc::clone(&metrics),
        key_sets,
        inquirers: Arc::new(Inquirers::new(Arc::clone(&outbound))),
        issuer_memory,
        token_endpoints,
        outbound,
        limits: Arc::new(Limits::new(options.clock.clone())),
        also_compile: ALSO_COMPILE,
    };
    let activation: Arc<dyn Activation> = Arc::<Living>::clone(&living);
    let reloader = match Reloader::start(options.files, options.environment, loaded, surroundings, activation) {
        Ok(reloader) => Arc::new(reloader),
        Err(rejection) => {
            // Dropping the runtime would wait for a name that does not resolve, or for a disk.
            control.shutdown_background();
            return Err(rejection.into());
        }
    };

    let tokens = Arc::new(SharedTokenCache::new());
    let shared = Shared {
        current: Arc::clone(reloader.current()),
        access_log: Arc::clone(&access_log),
        clock: options.clock.clone(),
        unmatched: metrics.unmatched(),
    };
    let mut threads = Vec::with_capacity(workers.get());
    for (index, (seat, metrics)) in seats.into_iter().zip(worker_metrics).enumerate() {
        let tokens = Arc::clone(&tokens);
        let cache = move || WorkerTokenCache::new(tokens);
        threads.push(worker_thread::spawn(index, seat, metrics, shared.clone(), cache).map_err(StartError::Thread)?);
    }

    let operator = Arc::new(Operator::new(&reloader, &living, metrics, tokens));
    let (stop_admin, admin_stopped) = watch::channel(false);
    let snapshot = reloader.current().load_full();
    warn_of_few_descriptors(descriptors, &snapshot.config);
    let mut admin_address = None;
    let mut admin_task = None;
    if let Some(raw) = &snapshot.config.admin {
        let address = raw.address;
        let listener =
            control.block_on(AdminListener::bind(address)).map_err(|source| StartError::Admin { address, source })?;
        admin_address = Some(listener.address());
        info!("admin listener: listening on {}", listener.address());
        let operations: Arc<dyn Operations> = Arc::<Operator>::clone(&operator);
        admin_task = Some(control.spawn(serve(listener, operations, admin_stopped)));
    }
    let watch = Watch::start(Arc::clone(&reloader)).map_err(StartError::Thread)?;
    info!(generation = snapshot.generation, hash = snapshot.hash, workers = workers.get(), "postern is running");
    Ok(Running::new(Parts {
        control,
        server,
        threads,
        reloader,
        living,
        operator,
        watch,
        stop_admin,
        admin_task,
        admin_address,
        hangup,
    }))
}

/// Asks for the first random bytes on a thread of its own. The library then measures how unsteady the processor's clock is, 400 million
/// instructions, which would otherwise be waited for once the configuration has been read.
fn gather_randomness() {
    let gather = || rand::fill(&mut [0; 1]);
    if let Err(error) = thread::Builder::new().name("postern-random".to_owned()).spawn(gather) {
        tracing::debug!(%error, "no thread for the first random bytes: whoever needs some asks for them");
    }
}

/// Each connection from downstream takes a descriptor, and while a request is under way one towards its upstream, too.
fn warn_of_few_descriptors(limit: Option<u64>, config: &Config) {
    let connections = config.listeners.values().map(|listener| u64::from(listener.limits.connections)).sum::<u64>();
    let needed = connections.saturating_mul(2);
    if let Some(limit) = limit.filter(|limit| *limit < needed) {
        warn!(
            "at most {limit} files may be open (ulimit -n), but `listeners.*.limits.connections` lets {connections} connections in, which \
             may need {needed}: beyond the limit, connections are closed at once"
        );
    }
}

fn worker_count(config: &Config) -> NonZeroUsize {
    let configured = config.process.workers.map(usize::from).and_then(NonZeroUsize::new);
    configured.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

fn key_set_directory(config: &Config) -> Option<KeySetDirectory> {
    let directory = config.process.data_directory.as_ref()?;
    match KeySetDirectory::open(&directory.0) {
        Ok(directory) => Some(directory),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            warn!(error, "key sets are not kept on disk: a restart while an issuer is down will miss its keys");
            None
        }
    }
}
