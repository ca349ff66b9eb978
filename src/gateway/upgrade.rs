//! Owns: a connection that has become something else than HTTP, from the 101 to its end.
//! Always holds: only a request that had a permit gets here.

use hyper::upgrade::OnUpgrade;
use tracing::debug;

use crate::{
    server::ConnectionInfo,
    upstream::{UpstreamUpgrade, upgrade},
};

/// Joins both sides until either ends, beside whatever else the worker does.
pub(super) fn join_in_background(downstream: OnUpgrade, upstream: UpstreamUpgrade, connection: &ConnectionInfo) {
    let idle_timeout = connection.settings().limits.body_idle_timeout;
    let peer = connection.peer;
    tokio::task::spawn_local(async move {
        let joined = upgrade::join(downstream, upstream, idle_timeout).await;
        debug!(
            %peer,
            bytes_to_upstream = joined.bytes_to_upstream,
            bytes_to_downstream = joined.bytes_to_downstream,
            end = %joined.end,
            "an upgraded connection ended"
        );
    });
}
