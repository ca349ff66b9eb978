//! Owns: what it is to ask one issuer how its tokens stand, and for how long each answer is believed.
//! Always holds: a revoked token is refused until it has expired; what is said is kept of a token's text, which nobody but its
//! holder
//! can have.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::{
    RevocationSettings,
    answer::{self, Unanswered},
    request,
};
use crate::{
    auth::{
        InquiryCount, InquiryStatus,
        inquiry::{Exchange, Fingerprint, Inquirer, Room, Said},
    },
    clock::UnixTime,
    outbound::{Outbound, OutboundClient},
};

/// What an answer costs in memory.
const ENTRY_BYTES: usize = 200;
/// How many tokens are known at most of each kind: about 20 MB.
const MOST_KNOWN: u64 = 100_000;
/// How long it is believed at most that the issuer does not know a token, or does not want it: it may have been issued a moment
/// ago.
const REFUSAL: Duration = Duration::from_secs(5);

/// Asks one issuer which of its tokens have been revoked.
pub struct RevocationLookup {
    inquirer: Inquirer<RevocationSettings>,
}

/// What an issuer says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Verdict {
    /// It is listed, and not as revoked.
    Good,
    /// It has been revoked.
    Revoked,
    /// There is no such token.
    NotListed,
    /// Its issuer does not accept it as a credential.
    Refused,
}

/// A token whose signature was good.
#[derive(Clone, Copy)]
pub(in crate::auth) struct Presented<'a> {
    pub(in crate::auth) token_id: &'a str,
    pub(in crate::auth) text: &'a str,
    pub(in crate::auth) expires_at: Option<UnixTime>,
}

/// The same, for whoever asks.
pub(in crate::auth) struct Asked {
    token_id: Box<str>,
    text: Zeroizing<String>,
    expires_at: Option<UnixTime>,
}

impl RevocationLookup {
    /// One that was told nothing yet.
    pub(in crate::auth) fn new(settings: RevocationSettings, outbound: &Outbound) -> Self {
        let how = settings.outbound.clone();
        Self { inquirer: Inquirer::new(settings, &how, outbound) }
    }

    /// How the token stands, as far as can be told; `None` if the issuer cannot be asked.
    pub(in crate::auth) async fn ask(&self, presented: Presented<'_>, now: UnixTime) -> Option<Verdict> {
        let asked = || Asked {
            token_id: presented.token_id.into(),
            text: Zeroizing::new(presented.text.to_owned()),
            expires_at: presented.expires_at,
        };
        let told = self.inquirer.ask(Fingerprint::of(presented.text), asked, now).await?;
        Some(told.said)
    }

    /// How many questions ended how.
    #[must_use]
    pub fn counts(&self) -> Vec<InquiryCount> {
        self.inquirer.counts()
    }

    /// How its questions went.
    #[must_use]
    pub fn status(&self) -> InquiryStatus {
        self.inquirer.status()
    }

    /// Why its endpoint has had no answers for anybody, if that has been so for a while at `now`.
    #[must_use]
    pub fn outage(&self, now: UnixTime) -> Option<String> {
        self.inquirer.outage(now)
    }
}

impl Exchange for RevocationSettings {
    type Asked = Asked;
    type Said = Verdict;
    type Failure = Unanswered;

    const ROOM: Room = Room { good_bytes: 20 << 20, others: MOST_KNOWN };

    async fn ask(&self, client: &OutboundClient, asked: &Asked) -> Result<(Verdict, usize), Unanswered> {
        let request = request::question(self, &asked.token_id, &asked.text)?;
        let verdict = answer::read(&client.send(request).await?, &asked.token_id)?;
        Ok((verdict, ENTRY_BYTES))
    }

    fn believed_for(&self, verdict: &Verdict, asked: &Asked, now: UnixTime) -> Duration {
        match verdict {
            Verdict::Good => self.cache_for,
            // Whoever is revoked stays so, and after that the token is refused for its age.
            Verdict::Revoked => asked.expires_at.map_or(self.cache_for, |end| end.since(now).max(self.cache_for)),
            Verdict::NotListed | Verdict::Refused => self.cache_for.min(REFUSAL),
        }
    }

    fn endpoint(&self) -> &str {
        self.tokens_endpoint.as_str()
    }

    fn whom(&self) -> String {
        format!("issuer {}: its tokens endpoint", self.issuer)
    }
}

impl Said for Verdict {
    fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::NotListed => "not_listed",
            Self::Refused => "refused",
        }
    }

    fn is_good(&self) -> bool {
        *self == Self::Good
    }
}

impl fmt::Debug for RevocationLookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RevocationLookup").field("settings", self.inquirer.exchange()).finish_non_exhaustive()
    }
}
