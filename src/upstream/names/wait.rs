//! Owns: waiting for the first address of an upstream of which none is known yet.
//! Refuses: waiting when there is an endpoint to try, or once it is known that there is none.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{
    super::{ConnectError, ForwardError, Upstream},
    LookupError,
};

impl Upstream {
    /// Waits until there is an endpoint to choose: after a start, until one of its names was looked up. Bounded by `deadline` and by
    /// the time that a connection may take.
    ///
    /// # Errors
    /// [`ForwardError::Connect`] if no address was found, or none in time.
    pub(in crate::upstream) async fn await_endpoints(&self, deadline: Instant) -> Result<(), ForwardError> {
        if self.members.is_empty() {
            // Boxed, since few requests need it: else each would carry the room for it.
            Box::pin(self.await_first_address(deadline)).await?;
        }
        Ok(())
    }

    async fn await_first_address(&self, deadline: Instant) -> Result<(), ForwardError> {
        let patience = self.limits.connect_timeout;
        let patient_until = Instant::now() + patience;
        let waited = timeout_at(deadline.min(patient_until), async {
            let mut changed = self.members.changed();
            loop {
                changed.mark_unchanged();
                if !self.members.is_empty() {
                    return Ok(());
                }
                if let Some((endpoint, error)) = self.lookup_failure() {
                    let source = match error {
                        LookupError::NoAddress => ConnectError::NoAddress,
                        error => ConnectError::Resolve(error),
                    };
                    return Err(ForwardError::Connect { endpoint, source: Arc::new(source) });
                }
                if changed.changed().await.is_err() {
                    return Ok(());
                }
            }
        });
        waited.await.unwrap_or_else(|_elapsed| {
            let endpoint =
                self.members.names().next().map_or_else(|| Arc::clone(&self.name), |name| Arc::clone(name.label()));
            if deadline <= patient_until {
                return Err(ForwardError::Deadline { endpoint });
            }
            Err(ForwardError::Connect { endpoint, source: Arc::new(ConnectError::Timeout(patience)) })
        })
    }

    /// Why there is no address, if none of the names could be looked up.
    fn lookup_failure(&self) -> Option<(Arc<str>, LookupError)> {
        let mut last = None;
        for name in self.members.names() {
            last = Some((Arc::clone(name.label()), name.failure()?));
        }
        last
    }
}
