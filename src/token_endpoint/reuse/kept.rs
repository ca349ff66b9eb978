//! Owns: one kept token: how much is left of it, and when the next one is asked for.
//! Refuses: tokens whose end is not known, and such as take more than having them.
//! Always holds: what is left never grows, also if the clock is set back; what is good once only (a refresh token), or true only
//! when the provider said it, is not in it.

use std::{sync::Arc, time::Duration};

use super::{super::forwarding::ProviderToken, Asker, Settings};
use crate::{
    clock::{Moment, UnixTime},
    oauth::AccessTokenType,
};

/// What a kept token takes beside its texts: the entry, its places in the indexes, the allocator's share.
const ENTRY_BYTES: usize = 1024;
/// The part of the time for which a token is handed out, in thousandths, in which the next one is asked for: each token draws its
/// own from here, so that those that were issued together are not refreshed together.
const AHEAD_PERMILLE: std::ops::RangeInclusive<u32> = 100..=200;
/// Beyond so much the part is not taken: 10 min at most.
const LONGEST_COUNTED: Duration = Duration::from_mins(50);
/// How long a refresh that failed is not tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// A token that is kept.
pub(super) struct Kept {
    token: Arc<ProviderToken>,
    asker: Asker,
    lasts: Duration,
    /// When it was asked for.
    born: Moment,
    ahead_permille: u32,
    refresh_failed: Option<Moment>,
}

impl Kept {
    /// `token`, which whoever is `asker` was given by the provider. None if it cannot be handed out again.
    pub(super) fn of(token: &Arc<ProviderToken>, asker: Asker, born: Moment) -> Option<Self> {
        let lasts = token.lifetime.filter(|_| token.token_type == AccessTokenType::Bearer)?;
        let spread = AHEAD_PERMILLE.end() - AHEAD_PERMILLE.start() + 1;
        let ahead_permille = AHEAD_PERMILLE.start() + rand::random::<u32>() % spread;
        Some(Self { token: Arc::clone(token), asker, lasts, born, ahead_permille, refresh_failed: None })
    }

    pub(super) const fn token(&self) -> &Arc<ProviderToken> {
        &self.token
    }

    pub(super) const fn asker(&self) -> Asker {
        self.asker
    }

    /// When it ends, by the wall clock.
    pub(super) fn ends_at(&self) -> UnixTime {
        self.born.wall().plus(self.lasts)
    }

    /// How much is left of it, the wall clock saying `now`.
    pub(super) fn left(&self, now: UnixTime) -> Duration {
        self.lasts.saturating_sub(self.born.age(now))
    }

    /// Whether the next one is to be asked for, though this one can still be handed out.
    pub(super) fn is_due(&self, settings: Settings, now: UnixTime) -> bool {
        let handed_out_for = self.lasts.saturating_sub(settings.min_remaining).min(LONGEST_COUNTED);
        let ahead = handed_out_for * self.ahead_permille / 1000;
        let is_paused = self.refresh_failed.is_some_and(|failed| failed.age(now) < PAUSE);
        self.left(now) < settings.min_remaining.saturating_add(ahead) && !is_paused
    }

    /// Asking for the next one failed at `now`.
    pub(super) fn refresh_failed(&mut self, now: UnixTime) {
        self.refresh_failed = Some(Moment::present(now));
    }

    /// How much memory it takes, about.
    pub(super) fn bytes(&self) -> u64 {
        let ProviderToken { access_token, scope, beside, .. } = &*self.token;
        let beside = if beside.is_empty() { 0 } else { serde_json::to_string(beside).map_or(0, |text| 4 * text.len()) };
        let texts = access_token.expose().len() + scope.as_ref().map_or(0, String::len) + beside;
        u64::try_from(ENTRY_BYTES + texts).unwrap_or(u64::MAX)
    }
}

/// `token` without what only the first who gets it can use: the refresh token is good once, and how long something else lasts was
/// said when it was issued.
pub(super) fn without_what_is_good_once(token: &Arc<ProviderToken>) -> Arc<ProviderToken> {
    let ages = |name: &str| name.ends_with("expires_in") || name.ends_with("xpiresIn");
    if token.refresh_token.is_none() && !token.beside.keys().any(|name| ages(name)) {
        return Arc::clone(token);
    }
    let mut copy = ProviderToken::clone(token);
    copy.refresh_token = None;
    copy.beside.retain(|name, _| !ages(name));
    Arc::new(copy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::testing, *};

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
    const SETTINGS: Settings =
        Settings { min_remaining: Duration::from_mins(5), most_bytes: 1 << 20, drop_on_upstream_401: false };

    fn kept(token: ProviderToken) -> Option<Kept> {
        Kept::of(&Arc::new(token), testing::asker("billing", "secret"), Moment::present(NOW))
    }

    fn at(seconds: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn only_bearer_tokens_whose_end_is_known_are_kept() {
        let token = testing::token("t", 3600, NOW);
        assert!(kept(token.clone()).is_some());
        assert!(kept(ProviderToken { lifetime: None, ..token.clone() }).is_none());
        assert!(kept(ProviderToken { token_type: AccessTokenType::Dpop, ..token }).is_none());
    }

    #[test]
    fn what_is_left_falls_by_the_second_and_never_grows() {
        let fresh = kept(testing::token("t", 3600, NOW)).unwrap();
        for (after, left) in [(1, 3599), (3599, 1), (3600, 0), (9999, 0)] {
            assert_eq!(fresh.left(at(after)), Duration::from_secs(left), "{after}");
        }
        assert_eq!(fresh.ends_at(), at(3600));
        // 100 s really passed, and then the clock was set back to before it was issued.
        let born = Moment::of_earlier_run(NOW, at(100)).unwrap();
        let token = Arc::new(testing::token("t", 3600, NOW));
        let kept = Kept::of(&token, testing::asker("billing", "secret"), born).unwrap();
        assert!(kept.left(NOW.minus(Duration::from_secs(9999))) <= Duration::from_secs(3500));
    }

    #[test]
    fn the_next_one_is_asked_for_while_this_one_can_be_handed_out() {
        for lifetime in [310, 600, 3600, 86_400] {
            let kept = kept(testing::token("t", lifetime, NOW)).unwrap();
            let usable = lifetime - 300;
            let due = (0..=usable).find(|after| kept.is_due(SETTINGS, at(*after))).unwrap();
            let ahead = usable - due;
            let counted = usable.min(3000);
            assert!((counted / 10 - 1..=counted / 5 + 1).contains(&ahead), "{lifetime}: {ahead}");
        }
        let drawn: std::collections::BTreeSet<u32> =
            (0..200).map(|_| kept(testing::token("t", 3600, NOW)).unwrap().ahead_permille).collect();
        assert!(drawn.len() > 20 && drawn.iter().all(|permille| AHEAD_PERMILLE.contains(permille)), "{drawn:?}");
    }

    #[test]
    fn a_refresh_that_failed_is_not_tried_again_at_once() {
        let mut kept = kept(testing::token("t", 3600, NOW)).unwrap();
        let due = at(3250);
        assert!(kept.is_due(SETTINGS, due));
        kept.refresh_failed(due);
        assert!(!kept.is_due(SETTINGS, due.plus(Duration::from_secs(29))));
        assert!(!kept.is_due(SETTINGS, due.minus(Duration::from_secs(10))), "the clock was set back");
        assert!(kept.is_due(SETTINGS, due.plus(Duration::from_secs(30))));
    }

    #[test]
    fn what_is_good_once_is_left_out_of_the_copy() {
        let plain = Arc::new(testing::token("t", 3600, NOW));
        assert!(Arc::ptr_eq(&plain, &without_what_is_good_once(&plain)), "nothing to leave out, nothing to copy");
        let mut token = testing::token("t", 3600, NOW);
        token.refresh_token = Some(crate::secret::Secret::new("once".to_owned()));
        let said = json!({ "ext_expires_in": 7199, "refresh_expires_in": 0, "fooExpiresIn": 1, "tenant": "acme" });
        token.beside = said.as_object().unwrap().clone();
        let copy = without_what_is_good_once(&Arc::new(token));
        assert!(copy.refresh_token.is_none());
        assert_eq!(serde_json::Value::from(copy.beside.clone()), json!({ "tenant": "acme" }));
        assert_eq!(copy.access_token.expose(), "t");
    }

    #[test]
    fn a_bigger_token_takes_more() {
        let small = kept(testing::token("t", 3600, NOW)).unwrap().bytes();
        let mut token = testing::token(&"t".repeat(1000), 3600, NOW);
        token.scope = Some("s".repeat(100));
        let beside = json!({ "name": "n".repeat(100) });
        token.beside = beside.as_object().unwrap().clone();
        assert!(kept(token).unwrap().bytes() >= small + 999 + 100 + 100);
    }
}
