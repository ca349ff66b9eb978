//! Owns: a connection that has become something else than HTTP, from the 101 to its end.
//! Always holds: only a request that had a permit gets here; where the route says so, it ends with its token.

use tracing::debug;

use super::lifeline::{Lifeline, Part};
use crate::{
    server::{ConnectionInfo, DownstreamUpgrade, StreamHold},
    upstream::{UpstreamUpgrade, upgrade},
};

/// Joins both sides until either ends (which lets go of the hold on downstream's connection), or `tie` does, which `on_cut` is then told; beside whatever else the worker does.
pub(super) fn join_in_background(
    (downstream, hold): (DownstreamUpgrade, Option<StreamHold>),
    upstream: UpstreamUpgrade,
    connection: &ConnectionInfo,
    tie: Option<Lifeline>,
    on_cut: impl FnOnce() + 'static,
) {
    let idle_timeout = connection.settings().limits.body_idle_timeout;
    let peer = connection.peer;
    tokio::task::spawn_local(async move {
        let _hold = hold;
        let token_ended = async {
            match &tie {
                Some(tie) => {
                    let error = tie.end(Part::Upgrade).await;
                    on_cut();
                    debug!(%peer, reason = "token_ended", %error, "an upgraded connection is cut");
                }
                None => std::future::pending().await,
            }
        };
        let joined = upgrade::join(downstream, upstream, idle_timeout, token_ended).await;
        debug!(
            %peer,
            bytes_to_upstream = joined.bytes_to_upstream,
            bytes_to_downstream = joined.bytes_to_downstream,
            end = %joined.end,
            "an upgraded connection ended"
        );
    });
}
