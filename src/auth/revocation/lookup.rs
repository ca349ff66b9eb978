//! Owns: asking one issuer how its tokens stand: once for all who present one, and not again while the answer is believed.
//! Refuses: more questions under way than its bound.
//! Always holds: a revoked token is refused until it has expired; what it was told is bounded by number.

use std::{fmt, sync::Arc, time::Duration};

use moka::sync::Cache;

use super::{
    RevocationSettings,
    answer::{self, Unanswered},
    request,
};
use crate::{
    auth::{
        InquiryCount, InquiryStatus,
        inquiry::{Blame, Inquiries},
        introspection::Fingerprint,
    },
    clock::UnixTime,
    outbound::{FlightError, Flights, Outbound, OutboundClient},
};

/// How many tokens may be asked about at once.
const MOST_UNDER_WAY: usize = 512;
/// How many tokens are known at most: about 20 MB.
const MOST_KNOWN: u64 = 100_000;
/// How long it is believed at most that the issuer does not know a token, or does not want it: it may have been issued a moment ago.
const REFUSAL: Duration = Duration::from_secs(5);

/// Asks one issuer which of its tokens have been revoked.
pub struct RevocationLookup {
    parts: Arc<Parts>,
    flights: Arc<Flights<Fingerprint, Option<Verdict>>>,
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

struct Parts {
    settings: RevocationSettings,
    client: Arc<OutboundClient>,
    known: Cache<Fingerprint, (Verdict, UnixTime)>,
    inquiries: Inquiries,
}

impl RevocationLookup {
    /// One that was told nothing yet.
    pub(in crate::auth) fn new(settings: RevocationSettings, outbound: &Outbound) -> Self {
        let client = outbound.client(settings.outbound.clone());
        let parts = Parts { settings, client, known: Cache::new(MOST_KNOWN), inquiries: Inquiries::default() };
        Self { parts: Arc::new(parts), flights: Flights::new(MOST_UNDER_WAY) }
    }

    /// How the token stands, as far as can be told; `None` if the issuer cannot be asked.
    pub(in crate::auth) async fn ask(&self, presented: Presented<'_>, now: UnixTime) -> Option<Verdict> {
        let fingerprint = Fingerprint::of(presented.token_id);
        if let Some(verdict) = self.parts.find(&fingerprint, now) {
            return Some(verdict);
        }
        let control = self.parts.client.control()?;
        let question = || {
            let parts = Arc::clone(&self.parts);
            let token_id = presented.token_id.to_owned();
            let text = zeroize::Zeroizing::new(presented.text.to_owned());
            let expires_at = presented.expires_at;
            async move {
                let presented = Presented { token_id: &token_id, text: &text, expires_at };
                parts.question(fingerprint, presented, now).await
            }
        };
        match self.flights.join(fingerprint, control, question).await {
            Ok(verdict) => verdict,
            Err(FlightError::TooMany) => {
                self.parts.inquiries.note("too_many");
                None
            }
            Err(FlightError::GivenUp) => None,
        }
    }

    /// How many questions ended how.
    #[must_use]
    pub fn counts(&self) -> Vec<InquiryCount> {
        self.parts.inquiries.counts()
    }

    /// How its questions went.
    #[must_use]
    pub fn status(&self) -> InquiryStatus {
        self.parts.inquiries.status(self.parts.settings.tokens_endpoint.as_str())
    }
}

impl Parts {
    fn find(&self, fingerprint: &Fingerprint, now: UnixTime) -> Option<Verdict> {
        self.known.get(fingerprint).filter(|(_, until)| now < *until).map(|(verdict, _)| verdict)
    }

    async fn question(&self, fingerprint: Fingerprint, presented: Presented<'_>, now: UnixTime) -> Option<Verdict> {
        // It may have been answered between the first look and the beginning of this.
        if let Some(verdict) = self.find(&fingerprint, now) {
            return Some(verdict);
        }
        match self.exchange(presented).await {
            Ok(verdict) => {
                self.known.insert(fingerprint, (verdict, self.believed_until(verdict, presented.expires_at, now)));
                self.known.run_pending_tasks();
                self.inquiries.note(verdict.name());
                Some(verdict)
            }
            Err(error) => {
                let blame = if matches!(error, Unanswered::Forbidden) { Blame::Configuration } else { Blame::Issuer };
                let whom = format!("issuer {}: its tokens endpoint", self.settings.issuer);
                self.inquiries.note_failure(&whom, error.reason(), &error, blame, now);
                None
            }
        }
    }

    async fn exchange(&self, presented: Presented<'_>) -> Result<Verdict, Unanswered> {
        let request = request::question(&self.settings, presented.token_id, presented.text)?;
        answer::read(&self.client.send(request).await?, presented.token_id)
    }

    fn believed_until(&self, verdict: Verdict, expires_at: Option<UnixTime>, now: UnixTime) -> UnixTime {
        let while_good = now.plus(self.settings.cache_for);
        match verdict {
            Verdict::Good => while_good,
            // Whoever is revoked stays so, and after that the token is refused for its age.
            Verdict::Revoked => expires_at.map_or(while_good, |expires_at| expires_at.max(while_good)),
            Verdict::NotListed | Verdict::Refused => now.plus(self.settings.cache_for.min(REFUSAL)),
        }
    }
}

impl Verdict {
    /// Its name in the metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::NotListed => "not_listed",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Debug for RevocationLookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RevocationLookup").field("settings", &self.parts.settings).finish_non_exhaustive()
    }
}
