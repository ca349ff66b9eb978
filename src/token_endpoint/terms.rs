//! Owns: what a request for a token is served under: from where and when it came, and what it may cost.
//! Always holds: what was reserved for a token that was not issued is given back.

use std::{net::IpAddr, sync::Arc};

use super::{Attempt, Quota, QuotaExceeded, Spent};
use crate::clock::UnixTime;

/// When a request arrived, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Who sent it, as far as that can be believed.
    pub peer: IpAddr,
    /// When.
    pub at: UnixTime,
    /// Whether it came over a connection for which downstream presented a certificate.
    pub with_certificate: bool,
}

/// What a request for a token is served under.
#[derive(Clone, Debug)]
pub struct Terms {
    /// When it arrived, and from where.
    pub arrival: Arrival,
    /// How many tokens the client gets; none: as many as it asks for.
    pub quota: Option<Arc<Quota>>,
    /// The client's attempt to authenticate, for whoever learns what comes of it before the client is answered.
    pub attempt: Attempt,
}

impl Terms {
    /// Reserves one token for the client, and for the organisation that it asks for, right before it is made.
    ///
    /// # Errors
    /// It gets no more for now.
    pub async fn spend(&self, client_id: &str, organization: Option<&str>) -> Result<Spent, Box<QuotaExceeded>> {
        let Some(quota) = &self.quota else { return Ok(Spent::default()) };
        quota.spend(client_id, organization, self.arrival.at).await
    }
}
