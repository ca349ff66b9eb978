//! Owns: asking one issuer about tokens: once for all who want to know, and not again while the answer is believed.
//! Refuses: more questions under way than its bound.
//! Always holds: whoever asks waits for a channel; the question itself goes out from the control plane.

use std::{fmt, sync::Arc};

use super::{
    Answer, IntrospectionSettings,
    answer::{self, Said, Unanswered},
    memory::{Fingerprint, Memory},
    request,
};
use crate::{
    auth::{
        InquiryCount, InquiryStatus,
        inquiry::{Blame, Inquiries},
    },
    clock::UnixTime,
    outbound::{FlightError, Flights, Outbound, OutboundClient, OutboundError},
};

/// How many tokens may be asked about at once.
const MOST_UNDER_WAY: usize = 512;

/// Asks one issuer what opaque tokens mean.
pub struct Introspector {
    parts: Arc<Parts>,
    flights: Arc<Flights<Fingerprint, Option<Answer>>>,
}

/// What a question takes with it to the control plane.
struct Parts {
    settings: IntrospectionSettings,
    client: Arc<OutboundClient>,
    memory: Memory,
    inquiries: Inquiries,
}

impl Introspector {
    /// One that was told nothing yet.
    pub(in crate::auth) fn new(settings: IntrospectionSettings, outbound: &Outbound) -> Self {
        let client = outbound.client(settings.outbound.clone());
        let parts = Parts { settings, client, memory: Memory::new(), inquiries: Inquiries::default() };
        Self { parts: Arc::new(parts), flights: Flights::new(MOST_UNDER_WAY) }
    }

    /// What `token` means, as far as can be told; `None` if the issuer cannot be asked.
    pub(in crate::auth) async fn ask(&self, token: &str, now: UnixTime) -> Option<Answer> {
        let fingerprint = Fingerprint::of(token);
        if let Some(answer) = self.parts.memory.find(&fingerprint, now) {
            return Some(answer);
        }
        let control = self.parts.client.control()?;
        let question = || {
            let parts = Arc::clone(&self.parts);
            let token = zeroize::Zeroizing::new(token.to_owned());
            async move { parts.question(fingerprint, &token, now).await }
        };
        match self.flights.join(fingerprint, control, question).await {
            Ok(answer) => answer,
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
        self.parts.inquiries.status(self.parts.settings.endpoint.as_str())
    }
}

impl Parts {
    async fn question(&self, fingerprint: Fingerprint, token: &str, now: UnixTime) -> Option<Answer> {
        // It may have been answered between the first look and the beginning of this.
        if let Some(answer) = self.memory.find(&fingerprint, now) {
            return Some(answer);
        }
        match self.exchange(token).await {
            Ok((said, bytes)) => {
                let (answer, result) = match said {
                    Said::Active(members) => (Answer::active(members, now, self.settings.cache_for), "active"),
                    Said::Inactive => {
                        (Answer::Inactive { until: now.plus(self.settings.cache_inactive_for) }, "inactive")
                    }
                };
                self.memory.keep(fingerprint, &answer, bytes);
                self.inquiries.note(result);
                Some(answer)
            }
            Err(error) => {
                let blame = match error {
                    Unanswered::CredentialsRefused(_) => Blame::Configuration,
                    _ => Blame::Issuer,
                };
                let whom = format!("issuer {}: its introspection endpoint", self.settings.issuer);
                self.inquiries.note_failure(&whom, error.reason(), &error, blame, now);
                None
            }
        }
    }

    async fn exchange(&self, token: &str) -> Result<(Said, usize), Unanswered> {
        let request = request::question(&self.settings, token).map_err(|_| OutboundError::GivenUp)?;
        let answer = self.client.send(request).await?;
        Ok((answer::read(&answer)?, answer.body.len()))
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Introspector").field("settings", &self.parts.settings).finish_non_exhaustive()
    }
}
