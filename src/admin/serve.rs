//! Owns: the operator's socket: accepting, timeouts, the end.
//! Refuses: more than a few connections at a time, slow headers, and connections that never end.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use super::{Operations, api::router};

/// The most connections at a time; further ones wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may live; a client opens another one.
const LONGEST_CONNECTION: Duration = Duration::from_secs(600);
/// How long an answer under way may take after that, or after the end was asked for.
const GRACE: Duration = Duration::from_secs(2);
/// How long accepting pauses when it fails, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminListener {
    /// Binds `address`; port 0 lets the kernel choose. To be called on the runtime that will serve.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address that was bound.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until `stop` turns true or its sender is gone, then ends what is under way within two seconds.
pub async fn serve(listener: AdminListener, operations: Arc<dyn Operations>, mut stop: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router(operations));
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut tasks = JoinSet::new();
    let (end, ended) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener.listener, &connections) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while tasks.try_join_next().is_some() {}
        match accepted {
            Ok((stream, permit)) => {
                let (service, ended) = (service.clone(), ended.clone());
                tasks.spawn(async move {
                    connection(stream, service, ended).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    end.send_replace(true);
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    // Those that are left are ended with the set.
    drop(tokio::time::timeout(GRACE, all_ended).await);
}

async fn accept(listener: &TcpListener, connections: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, service: TowerToHyperService<axum::Router>, mut end: watch::Receiver<bool>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(64 * 1024);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        outcome = connection.as_mut() => return note(outcome),
        _ = end.wait_for(|end| *end) => {}
        () = tokio::time::sleep(LONGEST_CONNECTION) => {}
    }
    connection.as_mut().graceful_shutdown();
    if let Ok(outcome) = tokio::time::timeout(GRACE, connection).await {
        note(outcome);
    }
}

fn note(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection to the admin listener broke");
    }
}
