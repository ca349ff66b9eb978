//! Owns: the embedded issuer of a configuration without a gateway around it, so that the command line can do on the store what
//! the management API does on a running gateway.
//! Refuses: listening on anything, answering requests other than the caller's own, and waiting for a store that is away.
//! Always holds: the very router of the admin listener answers, and the audit names who asked.

use std::{fmt, future::Future, io, mem::ManuallyDrop, path::PathBuf, pin::Pin, sync::Arc};

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::{EmbeddedError, readiness};
use crate::{
    admin::{self, Configuration, IssuerStatus, Operations, Readiness, RefreshError, ReloadRejected, Reloaded},
    auth::key_set::KeySets,
    authorization_server::{Actor, AuthorizationServer, Memory, Opening, Registry, Sealing, Settings},
    clock::{Clock, UnixTime},
    secret::Secret,
    snapshot::{Exposure, Snapshot},
    store::Store,
    telemetry::{Log, LogLevel, LogSettings, log},
    token_endpoint::{NoSuchReuse, ReuseStatus},
};

/// The embedded issuer of a configuration, its store open.
pub struct Offline {
    /// Ends with the process: to drop it would be to wait for whatever it looks up, like a name that does not resolve.
    control: ManuallyDrop<Runtime>,
    router: Router,
    store: Option<Store>,
    /// What goes wrong in the store is told to the caller in general and to standard error in particular.
    log: Option<Log>,
}

/// Why the embedded issuer of a configuration cannot be opened.
#[derive(Debug, Error)]
pub enum OfflineError {
    /// The operating system gives no thread, or no events.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// The issuer itself.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// An answer broke off.
    #[error("the answer cannot be read")]
    Answer(#[source] axum::Error),
}

/// What the management API can ask for where nothing runs.
struct Desk {
    snapshot: Arc<Snapshot>,
    files: Vec<PathBuf>,
    memory: Arc<Memory>,
    issuer: Option<Arc<AuthorizationServer>>,
    actor: Actor,
    clock: Clock,
}

impl Offline {
    /// Opens the store of `snapshot`, which was read from `files`. What is changed is noted as done by `actor`. Without an
    /// embedded issuer in the configuration nothing is opened, and every request is answered that there is none.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn open(snapshot: Snapshot, files: Vec<PathBuf>, actor: Actor) -> Result<Self, OfflineError> {
        // Somebody else's log in this process is as good.
        let log = log::init(LogSettings { level: LogLevel::Warn, ..LogSettings::default() }).ok();
        let control = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postern-control")
            .enable_all()
            .build()
            .map_err(OfflineError::Thread)?;
        let control = ManuallyDrop::new(control);
        let (clock, memory) = (Clock::system(), Arc::new(Memory::default()));
        let issuer = match &snapshot.authorization_server {
            Some(settings) => Some(control.block_on(open_issuer(settings, &memory, &clock, &control))?),
            None => None,
        };
        let store = issuer.as_ref().map(|issuer| issuer.registry().store().clone());
        let desk = Desk { snapshot: Arc::new(snapshot), files, memory, issuer, actor, clock };
        Ok(Self { control, router: admin::router(Arc::new(desk)), store, log })
    }

    /// Answers a request to the management API. It must say that it is for this machine, as every request there must.
    ///
    /// # Errors
    /// If the answer breaks off.
    pub fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, OfflineError> {
        let request = request.map(axum::body::Body::from);
        self.control.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(OfflineError::Answer)?.to_bytes();
            Ok(Response::from_parts(parts, body))
        })
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        // First, or whoever follows the store would tell the operator that it is away.
        drop(self.log.take());
        if let Some(store) = &self.store {
            self.control.block_on(store.close());
        }
    }
}

/// The issuer of `settings`. Its configuration does not come into force here: keys are rotated by their age and clients' keys
/// fetched where requests are answered.
async fn open_issuer(
    settings: &Arc<Settings>,
    memory: &Arc<Memory>,
    clock: &Clock,
    control: &Runtime,
) -> Result<Arc<AuthorizationServer>, EmbeddedError> {
    let opening = Opening {
        store: Store::open(settings.store()).await?,
        memory: Arc::clone(memory),
        sealing: Sealing::of(settings.encryption_key())?,
        key_sets: Arc::new(KeySets::new(clock.clone(), None)),
        clock: clock.clone(),
        control: control.handle().clone(),
    };
    let registry = Registry::open(opening).await?;
    registry.ensure_keys(settings.algorithm()).await?;
    Ok(Arc::new(AuthorizationServer::new(Arc::clone(settings), registry)))
}

impl Operations for Desk {
    fn token(&self) -> Option<Secret> {
        // Whoever can open the store needs no permission to ask for what is in it.
        None
    }

    fn readiness(&self) -> Readiness {
        readiness::readiness(&self.snapshot, self.clock.now(), false)
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        // Nothing runs that could be measured.
        Err(fmt::Error)
    }

    fn configuration(&self) -> Configuration {
        Configuration {
            generation: self.snapshot.generation,
            hash: self.snapshot.hash.clone(),
            applied_at: self.snapshot.compiled_at,
            files: self.files.clone(),
            public_routes: readiness::exposed(&self.snapshot, Exposure::Public),
            report_only_routes: readiness::exposed(&self.snapshot, Exposure::Reports),
            danger_options: self.snapshot.danger_options(),
            last_rejected: None,
            configuration: serde_json::to_value(&*self.snapshot.config).unwrap_or(Value::Null),
        }
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, ReloadRejected>> + Send + '_>> {
        let diagnostics = json!([{ "severity": "error", "message": "no gateway runs here that could be reloaded" }]);
        Box::pin(std::future::ready(Err(ReloadRejected { diagnostics })))
    }

    fn issuers(&self) -> Vec<IssuerStatus> {
        let (issuers, now) = (self.snapshot.issuers.iter(), self.clock.now());
        issuers.map(|issuer| readiness::issuer_status(issuer, &self.snapshot, &self.memory, now)).collect()
    }

    fn refresh<'a>(
        &'a self,
        issuer: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<IssuerStatus, RefreshError>> + Send + 'a>> {
        let refusal = match self.snapshot.issuers.by_name(issuer) {
            Some(_) => RefreshError::Failed("no gateway runs here that could use them".to_owned()),
            None => RefreshError::Unknown,
        };
        Box::pin(std::future::ready(Err(refusal)))
    }

    fn reused_tokens(&self) -> Vec<ReuseStatus> {
        // Nothing runs that could keep any.
        self.snapshot.reuses.status(self.clock.now()).collect()
    }

    fn drop_reused_tokens(&self, endpoint: Option<&str>, client_id: Option<&str>) -> Result<u64, NoSuchReuse> {
        self.snapshot.reuses.clear(endpoint, client_id)
    }

    fn issuer(&self) -> Option<Arc<AuthorizationServer>> {
        self.issuer.clone()
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn actor(&self) -> Actor {
        self.actor.clone()
    }
}
