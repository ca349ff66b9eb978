//! Owns: what a request for a token is served under: from where and when it came, and what it may cost.
//! Always holds: what was reserved for a token that was not issued is given back.

use std::net::IpAddr;

use super::IssueError;
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
}

/// What was reserved for one token. It is given back when this is dropped.
#[derive(Debug)]
pub struct Spent;

impl Terms {
    /// Reserves one token for the client, right before it is made.
    ///
    /// # Errors
    /// It gets no more for now.
    #[expect(clippy::unused_async, reason = "replicas may have to be asked")]
    pub async fn spend(&self, _client_id: &str, _organization: Option<&str>) -> Result<Spent, IssueError> {
        Ok(Spent)
    }
}

impl Spent {
    /// The token was issued.
    pub fn kept(self) {}
}
