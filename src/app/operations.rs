//! Owns: what the management API can ask for, done.
//! Always holds: what is told of the configuration is what is applied, never what was refused.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

use super::{activation::Living, readiness, samples::Elsewhere};
use crate::{
    admin::{
        Configuration, IssuerStatus, Operations, Readiness, RefreshError, RejectedReload, ReloadRejected, Reloaded,
    },
    auth::SharedTokenCache,
    authorization_server::{AuthorizationServer, Memory},
    clock::{Clock, UnixTime},
    secret::Secret,
    snapshot::{Exposure, Reloader, Snapshot},
    telemetry::Metrics,
    token_endpoint::{NoSuchReuse, ReuseStatus},
};

/// The operator's hands.
pub(super) struct Operator {
    reloader: Arc<Reloader>,
    metrics: Arc<Metrics>,
    elsewhere: Elsewhere,
    issuer_memory: Arc<Memory>,
    clock: Clock,
    draining: AtomicBool,
}

impl Operator {
    pub(super) fn new(
        reloader: &Arc<Reloader>,
        living: &Arc<Living>,
        metrics: Arc<Metrics>,
        tokens: Arc<SharedTokenCache>,
    ) -> Self {
        let elsewhere = Elsewhere {
            reloader: Arc::clone(reloader),
            server: Arc::clone(&living.server),
            tokens,
            lockouts: living.lockouts.clone(),
            access_log: Arc::clone(&living.access_log),
            log: living.log.clone(),
            clock: living.clock.clone(),
        };
        Self {
            reloader: Arc::clone(reloader),
            metrics,
            elsewhere,
            issuer_memory: Arc::clone(&living.issuer_memory),
            clock: living.clock.clone(),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on requests should go elsewhere.
    pub(super) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.reloader.current().load_full()
    }

    fn status_of(&self, name: &str) -> Result<IssuerStatus, RefreshError> {
        let snapshot = self.snapshot();
        let issuer = snapshot.issuers.by_name(name).ok_or(RefreshError::Unknown)?;
        Ok(readiness::issuer_status(issuer, &snapshot, &self.issuer_memory, self.clock.now()))
    }
}

impl Operations for Operator {
    fn token(&self) -> Option<Secret> {
        let snapshot = self.snapshot();
        snapshot.config.admin.as_ref().and_then(|admin| admin.token.as_ref()).map(|token| token.secret().clone())
    }

    fn readiness(&self) -> Readiness {
        readiness::readiness(&self.snapshot(), self.clock.now(), self.draining.load(Ordering::Acquire))
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        self.metrics.encode(&[&self.elsewhere])
    }

    fn configuration(&self) -> Configuration {
        let snapshot = self.snapshot();
        let last = self.reloader.last();
        Configuration {
            generation: snapshot.generation,
            hash: snapshot.hash.clone(),
            applied_at: snapshot.compiled_at,
            files: self.reloader.files().to_vec(),
            public_routes: readiness::exposed(&snapshot, Exposure::Public),
            report_only_routes: readiness::exposed(&snapshot, Exposure::Reports),
            danger_options: snapshot.danger_options(),
            last_rejected: last.rejection.map(|rejection| RejectedReload { at: last.at, diagnostics: rejection.json }),
            configuration: serde_json::to_value(&*snapshot.config).unwrap_or(Value::Null),
        }
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, ReloadRejected>> + Send + '_>> {
        let reloader = Arc::clone(&self.reloader);
        // Reading files blocks. The task goes on even if the caller leaves.
        let reload = tokio::task::spawn_blocking(move || reloader.reload());
        Box::pin(async move {
            match reload.await {
                Ok(Ok(applied)) => {
                    Ok(Reloaded { generation: applied.generation, hash: applied.hash, changes: applied.changes })
                }
                Ok(Err(rejection)) => Err(ReloadRejected { diagnostics: rejection.json }),
                Err(_ended) => {
                    let diagnostics =
                        serde_json::json!([{ "severity": "error", "message": "the reload was cut short" }]);
                    Err(ReloadRejected { diagnostics })
                }
            }
        })
    }

    fn issuers(&self) -> Vec<IssuerStatus> {
        let snapshot = self.snapshot();
        let (issuers, now) = (snapshot.issuers.iter(), self.clock.now());
        issuers.map(|issuer| readiness::issuer_status(issuer, &snapshot, &self.issuer_memory, now)).collect()
    }

    fn refresh<'a>(
        &'a self,
        issuer: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<IssuerStatus, RefreshError>> + Send + 'a>> {
        Box::pin(async move {
            let snapshot = self.snapshot();
            if snapshot.issuers.by_name(issuer).is_none() {
                return Err(RefreshError::Unknown);
            }
            let keys = snapshot.key_sets.get(issuer).ok_or(RefreshError::Embedded)?;
            keys.set.refresh().await.map_err(|error| RefreshError::Failed(error.to_string()))?;
            self.status_of(issuer)
        })
    }

    fn reused_tokens(&self) -> Vec<ReuseStatus> {
        self.snapshot().reuses.status(self.clock.now()).collect()
    }

    fn drop_reused_tokens(&self, endpoint: Option<&str>, client_id: Option<&str>) -> Result<u64, NoSuchReuse> {
        self.snapshot().reuses.clear(endpoint, client_id)
    }

    fn issuer(&self) -> Option<Arc<AuthorizationServer>> {
        self.snapshot().embedded().map(Arc::clone)
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }
}
