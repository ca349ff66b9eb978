//! Owns: asking one issuer about tokens: once for all who want to know, and not again while the answer is believed.
//! Refuses: more questions under way than its bound, of which tokens that were never good get a part only; questions to an
//! endpoint that
//! gives nobody an answer.
//! Always holds: whoever asks waits for a channel; the question itself goes out from the control plane; no failure is kept as a
//! word
//! on a token.

use std::{
    error::Error,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Belief, Blame, Fingerprint, Inquiries, InquiryCount, InquiryStatus, Memory, Pause, Room, Told};
use crate::{
    clock::{Moment, UnixTime},
    outbound::{FlightError, Flights, Outbound, OutboundClient, OutboundSettings},
};

/// How many tokens may be asked about at once.
const MOST_UNDER_WAY: usize = 512;
/// How many while the token asked about was never known to be good, so that bogus tokens do not keep good ones out.
const MOST_OF_UNKNOWN: usize = MOST_UNDER_WAY / 4 * 3;
/// How much longer than its timeout a question takes at most.
const SLACK: Duration = Duration::from_secs(1);

/// One way to ask an issuer about tokens.
pub(in crate::auth) trait Exchange: Send + Sync + 'static {
    /// What is asked.
    type Asked: Send + Sync + 'static;
    /// What can be said.
    type Said: Said;
    /// Why nothing is.
    type Failure: Failure;
    /// How much is remembered.
    const ROOM: Room;

    /// Asks; what comes back takes about so many bytes of memory.
    fn ask(
        &self,
        client: &OutboundClient,
        asked: &Self::Asked,
    ) -> impl Future<Output = Result<(Self::Said, usize), Self::Failure>> + Send;

    /// How long that may be believed.
    fn believed_for(&self, said: &Self::Said, asked: &Self::Asked, now: UnixTime) -> Duration;

    /// Where it is asked.
    fn endpoint(&self) -> &str;

    /// Who is asked, in words.
    fn whom(&self) -> String;
}

/// What can be said of a token.
pub(in crate::auth) trait Said: Clone + Send + Sync + 'static {
    /// Its name in the metrics.
    fn name(&self) -> &'static str;

    /// Whether the token is good.
    fn is_good(&self) -> bool;
}

/// Why nothing is said of a token.
pub(in crate::auth) trait Failure: Error + 'static {
    /// Its name in the metrics.
    fn reason(&self) -> &'static str;

    /// Who can mend it.
    fn blame(&self) -> Blame;

    /// For how long nobody is to ask there, if the endpoint has answers for nobody; `None` if it may be due to this one question.
    fn pause(&self) -> Option<Duration>;
}

/// Asks one issuer about tokens.
pub(in crate::auth) struct Inquirer<E: Exchange> {
    parts: Arc<Parts<E>>,
    flights: Arc<Flights<Fingerprint, Option<Told<E::Said>>>>,
}

/// What a question takes with it to the control plane.
struct Parts<E: Exchange> {
    exchange: E,
    client: Arc<OutboundClient>,
    longest: Duration,
    memory: Memory<E::Said>,
    inquiries: Inquiries,
    pause: Pause,
}

impl<E: Exchange> Inquirer<E> {
    /// One that was told nothing yet.
    pub(in crate::auth) fn new(exchange: E, settings: &OutboundSettings, outbound: &Outbound) -> Self {
        let parts = Parts {
            exchange,
            client: outbound.client(settings.clone()),
            longest: settings.timeout.saturating_add(SLACK),
            memory: Memory::new(E::ROOM),
            inquiries: Inquiries::default(),
            pause: Pause::default(),
        };
        Self { parts: Arc::new(parts), flights: Flights::new(MOST_UNDER_WAY) }
    }

    /// What is said of the token with this fingerprint, about which is asked what `asked` makes; `None` if the issuer cannot be
    /// asked.
    pub(in crate::auth) async fn ask(
        &self,
        token: Fingerprint,
        asked: impl FnOnce() -> E::Asked,
        now: UnixTime,
    ) -> Option<Told<E::Said>> {
        if let Some(told) = self.parts.memory.find(&token, now) {
            return Some(told);
        }
        let control = self.parts.client.control()?;
        let asked_at = Moment::present(now);
        let question = || {
            let (parts, asked) = (Arc::clone(&self.parts), asked());
            async move { parts.question(token, &asked, asked_at).await }
        };
        let places = if self.parts.memory.was_good(&token) { MOST_UNDER_WAY } else { MOST_OF_UNKNOWN };
        match self.flights.join_within(places, token, control, question).await {
            Ok(told) => told,
            Err(FlightError::TooMany) => {
                self.parts.inquiries.note_unasked("too_many");
                None
            }
            Err(FlightError::GivenUp) => None,
        }
    }

    /// How many questions ended how.
    pub(in crate::auth) fn counts(&self) -> Vec<InquiryCount> {
        self.parts.inquiries.counts()
    }

    /// How its questions went.
    pub(in crate::auth) fn status(&self) -> InquiryStatus {
        self.parts.inquiries.status(self.parts.exchange.endpoint())
    }

    /// Why nobody gets an answer, if that has been so for a while; see [`Inquiries::outage`].
    pub(in crate::auth) fn outage(&self, now: UnixTime) -> Option<String> {
        self.parts.inquiries.outage(now)
    }

    pub(in crate::auth) fn exchange(&self) -> &E {
        &self.parts.exchange
    }
}

impl<E: Exchange> Parts<E> {
    async fn question(&self, token: Fingerprint, asked: &E::Asked, asked_at: Moment) -> Option<Told<E::Said>> {
        let now = asked_at.wall();
        // It may have been answered between the first look and the beginning of this.
        if let Some(told) = self.memory.find(&token, now) {
            return Some(told);
        }
        // Judged here and not before, so that whoever comes with the token that tries the endpoint waits for what becomes of it.
        if !self.pause.admits(Instant::now(), self.longest) {
            self.inquiries.note_unasked("paused");
            return None;
        }
        match self.exchange.ask(&self.client, asked).await {
            Ok((said, bytes)) => {
                self.pause.end();
                self.inquiries.note_answer(said.name());
                let lasts = self.exchange.believed_for(&said, asked, now);
                let told = Told { said, belief: Belief::new(asked_at, lasts) };
                self.memory.keep(token, told.clone(), bytes);
                Some(told)
            }
            Err(error) => {
                match error.pause() {
                    Some(length) if !length.is_zero() => self.pause.begin(Instant::now(), length),
                    _ => self.pause.end(),
                }
                self.inquiries.note_failure(&self.exchange.whom(), &error, now);
                None
            }
        }
    }
}

impl<E: Exchange> fmt::Debug for Inquirer<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inquirer").field("endpoint", &self.parts.exchange.endpoint()).finish_non_exhaustive()
    }
}
