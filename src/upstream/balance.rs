//! Owns: the choice of an endpoint for one request.
//! Refuses: an endpoint that this request has already tried in vain; one that is not available while another is.
//! Always holds: over many requests endpoints get shares in proportion to their weights; a hash gives the same endpoint for
//! the same value in every worker, as long as that endpoint is there and available.

use std::{
    borrow::Cow,
    cell::Cell,
    hash::{DefaultHasher, Hasher},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use http::HeaderName;
use rand::Rng;

use super::{availability::WHOLE_SHARE, candidates::Candidates, endpoint::Endpoint, vigilance::Vigilance};
use crate::http::Fields;

/// The longest turn of a weighted round robin; larger weights are scaled down to fit.
const LONGEST_TURN: u64 = 4096;

/// An endpoint and its share. The endpoint has left when there is no member of it any more.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) weight: u16,
}

/// The endpoints there are to choose from at a moment.
#[derive(Debug)]
pub(super) struct Members {
    list: Box<[Member]>,
    /// One turn of a weighted round robin: positions in the list.
    order: Box<[usize]>,
}

/// How an endpoint is chosen.
#[derive(Debug)]
pub(super) enum Balance {
    /// The less loaded of two chosen at random.
    LeastRequests,
    /// One after the other; whose turn it is.
    RoundRobin(AtomicUsize),
    /// Always the same for the same value.
    Hash(HashOf),
}

/// What is hashed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HashOf {
    /// A claim of the verified token.
    Claim(Box<str>),
    /// A header of the request, as it is forwarded.
    Header(HeaderName),
    /// The address of whoever calls.
    Peer,
}

/// The endpoints that a request has tried in vain. Empty, and without an allocation, for nearly all requests.
#[derive(Debug, Default)]
pub(super) struct Tried {
    failed: Vec<Arc<Endpoint>>,
    /// Those that had no room.
    full: Vec<Arc<Endpoint>>,
    /// Where the request began in a round robin.
    step: Cell<Option<usize>>,
}

impl Member {
    pub(super) fn new(endpoint: Arc<Endpoint>, weight: u16) -> Self {
        endpoint.enter_list();
        Self { endpoint, weight }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.endpoint.leave_list();
    }
}

impl Members {
    pub(super) fn new(list: Box<[Member]>) -> Self {
        let weights: Vec<u16> = list.iter().map(|member| member.weight).collect();
        Self { list, order: turn_order(&weights) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.list.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether both are of the same endpoints, in the same order and with the same weights.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let same = |(ours, theirs): (&Member, &Member)| {
            Arc::ptr_eq(&ours.endpoint, &theirs.endpoint) && ours.weight == theirs.weight
        };
        self.list.len() == other.list.len() && self.list.iter().zip(&other.list).all(same)
    }
}

impl Balance {
    /// Whether both choose alike.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::LeastRequests, Self::LeastRequests) => true,
            (Self::RoundRobin(_), Self::RoundRobin(_)) => true,
            (Self::Hash(ours), Self::Hash(theirs)) => ours == theirs,
            (Self::LeastRequests | Self::RoundRobin(_) | Self::Hash(_), _) => false,
        }
    }

    /// What ties this request to an endpoint; nothing where endpoints are chosen otherwise or the value is absent.
    pub(super) fn affinity<'a>(
        &self,
        fields: &Fields,
        claim: impl FnOnce(&str) -> Option<Cow<'a, str>>,
        peer: IpAddr,
    ) -> Option<u64> {
        match self {
            Self::LeastRequests | Self::RoundRobin(_) => None,
            Self::Hash(HashOf::Claim(name)) => claim(name).map(|value| hash(value.as_bytes())),
            Self::Hash(HashOf::Header(name)) => fields.first(name).map(hash),
            Self::Hash(HashOf::Peer) => Some(match peer {
                IpAddr::V4(peer) => hash(&peer.octets()),
                IpAddr::V6(peer) => hash(&peer.octets()),
            }),
        }
    }

    /// The endpoint to try; none when there is none left.
    pub(super) fn choose(
        &self,
        members: &Members,
        vigilance: &Vigilance,
        affinity: Option<u64>,
        tried: &Tried,
        random: &mut impl Rng,
    ) -> Option<Arc<Endpoint>> {
        let list = &*members.list;
        if list.is_empty() {
            return None;
        }
        let untried = Candidates::untried(list, tried);
        let candidates = match vigilance.glance() {
            None => untried,
            Some(glance) => {
                let survey = Candidates::survey(list, tried, glance);
                vigilance.note_any_available(survey.any_available);
                survey.candidates?
            }
        };
        let mut position = |candidates| match (self, affinity) {
            _ if list.len() == 1 => untried.iter().next().map(|(position, _)| position),
            (Self::Hash(_), Some(value)) => rendezvous(&candidates, value),
            (Self::LeastRequests, _) | (Self::Hash(_), None) => less_loaded(list, &candidates, random),
            (Self::RoundRobin(next), _) => next_in_turn(members, next, &candidates, tried, random),
        };
        // What was available a moment ago may not be any more; one of them it has to be.
        let position = position(candidates).or_else(|| position(untried))?;
        Some(Arc::clone(&list.get(position)?.endpoint))
    }
}

impl Tried {
    /// It failed.
    pub(super) fn add(&mut self, endpoint: Arc<Endpoint>) {
        self.failed.push(endpoint);
    }

    /// It had no room.
    pub(super) fn add_full(&mut self, endpoint: Arc<Endpoint>) {
        self.full.push(endpoint);
    }

    /// All may be tried again; in a round robin from where it stands.
    pub(super) fn clear(&mut self) {
        self.failed.clear();
        self.clear_full();
    }

    /// Those that had no room may be tried again.
    pub(super) fn clear_full(&mut self) {
        self.full.clear();
        self.step.set(None);
    }

    pub(super) fn contains(&self, member: &Member) -> bool {
        self.failed.iter().any(|endpoint| Arc::ptr_eq(endpoint, &member.endpoint)) || self.is_full(member)
    }

    /// Whether it had no room.
    pub(super) fn is_full(&self, member: &Member) -> bool {
        self.full.iter().any(|endpoint| Arc::ptr_eq(endpoint, &member.endpoint))
    }

    /// Whether any had no room.
    pub(super) const fn any_full(&self) -> bool {
        !self.full.is_empty()
    }
}

/// One step of the turn that all workers share for each request; from there it goes on by itself, so that the steps of others
/// make it miss nobody. A step that falls to no candidate is given up for the next one of the shared turn, so that what is left free
/// is spread over all and does not fall to a neighbour.
fn next_in_turn(
    members: &Members,
    next: &AtomicUsize,
    candidates: &Candidates<'_>,
    tried: &Tried,
    random: &mut impl Rng,
) -> Option<usize> {
    let split = |step: usize| members.order.split_at_checked(step.checked_rem(members.order.len())?);
    let candidate = |position: usize| members.list.get(position).filter(|member| candidates.contains(member));
    if tried.step.get().is_none() {
        for _ in 0..members.list.len() {
            let step = next.fetch_add(1, Relaxed);
            tried.step.set(Some(step));
            let (_, from) = split(step)?;
            let position = *from.first()?;
            if candidate(position).is_some_and(|member| takes_its_turn(candidates.part(member), random)) {
                return Some(position);
            }
        }
    }
    let (before, from) = split(tried.step.get()?)?;
    from.iter().chain(before).copied().find(|position| candidate(*position).is_some())
}

/// Whether one takes its turn that takes only a part of them, in thousandths.
fn takes_its_turn(part: u64, random: &mut impl Rng) -> bool {
    part >= WHOLE_SHARE || random.random_range(0..WHOLE_SHARE) < part
}

/// Two different members drawn by share, and of them the one with fewer requests under way for its share.
fn less_loaded(members: &[Member], candidates: &Candidates<'_>, random: &mut impl Rng) -> Option<usize> {
    let first = draw(candidates, None, random)?;
    let Some(second) = draw(candidates, Some(first), random) else { return Some(first) };
    let load = |position: usize| {
        let member = members.get(position)?;
        Some((member.endpoint.requests_under_way() as u64, candidates.share(member)))
    };
    let ((first_load, first_share), (second_load, second_share)) = (load(first)?, load(second)?);
    // Fractions are compared crosswise; the first, which was drawn by share, wins a draw.
    let second_is_freer = second_load.saturating_mul(first_share) < first_load.saturating_mul(second_share);
    Some(if second_is_freer { second } else { first })
}

/// A candidate that is not `except`, each with the probability of its share.
fn draw(candidates: &Candidates<'_>, except: Option<usize>, random: &mut impl Rng) -> Option<usize> {
    let others = || candidates.iter().filter(|(position, _)| Some(*position) != except);
    let (mut total, mut last) = (0, None);
    for (position, member) in others() {
        total += candidates.share(member);
        last = Some(position);
    }
    if total == 0 {
        return None;
    }
    let mut left = random.random_range(0..total);
    let drawn = others().find_map(|(position, member)| {
        let share = candidates.share(member);
        if left < share {
            return Some(position);
        }
        left -= share;
        None
    });
    // Shares may have changed since they were added up.
    drawn.or(last)
}

/// Highest random weight (rendezvous) hashing: each member's score depends on the value and itself alone, so that a member that
/// comes or goes, or is not available for a while, moves only the values that are its own.
fn rendezvous(candidates: &Candidates<'_>, value: u64) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (position, member) in candidates.iter() {
        let mixed = mix(value ^ hash(member.endpoint.label().as_bytes()));
        // 53 bits fit a float exactly; the half keeps it off zero.
        let uniform = ((mixed >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let score = f64::from(member.weight) / -uniform.ln();
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((position, score));
        }
    }
    best.map(|(position, _)| position)
}

/// The same in every worker and every replica of one build; no secret is in it.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The finisher of splitmix64.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Smooth weighted round robin, written out for one whole turn: each step goes to the member that is most behind its share.
fn turn_order(weights: &[u16]) -> Box<[usize]> {
    let divisor = weights.iter().fold(0, |divisor, weight| greatest_common_divisor(divisor, u64::from(*weight))).max(1);
    let mut shares: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let total: u64 = shares.iter().sum();
    if total > LONGEST_TURN {
        for share in &mut shares {
            *share = (*share * LONGEST_TURN / total).max(1);
        }
    }
    if shares.iter().all(|share| *share == 1) {
        return (0..shares.len()).collect();
    }
    let total: u64 = shares.iter().sum();
    let mut behind: Vec<i64> = vec![0; shares.len()];
    let step = |_| {
        let mut chosen: Option<(usize, i64)> = None;
        for (position, (behind, share)) in behind.iter_mut().zip(&shares).enumerate() {
            *behind += i64::try_from(*share).unwrap_or(i64::MAX);
            if chosen.is_none_or(|(_, most)| *behind > most) {
                chosen = Some((position, *behind));
            }
        }
        let (position, _) = chosen?;
        *behind.get_mut(position)? -= i64::try_from(total).unwrap_or(i64::MAX);
        Some(position)
    };
    (0..total).filter_map(step).collect()
}

const fn greatest_common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::upstream::{
        address::Address,
        endpoint::{Description, Protocol},
        vigilance::Lasting,
    };

    fn members(weights: &[u16]) -> Members {
        let member = |(position, weight): (usize, &u16)| {
            let address = Address::parse(&format!("http://10.0.0.{position}:80")).unwrap();
            let authority = address.to_string().parse().unwrap();
            let description = Description { address, authority, protocol: Protocol::Http1, tls: None };
            let ip = IpAddr::from([10, 0, 0, u8::try_from(position).unwrap()]);
            Member::new(Endpoint::new(description, ip, Arc::default()), *weight)
        };
        Members::new(weights.iter().enumerate().map(member).collect())
    }

    /// One that looks at nothing.
    fn calm() -> Vigilance {
        Vigilance { health: None, outlier: None, slow_start: None, lasting: Lasting::new("orders".into()) }
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn position(members: &Members, chosen: &Arc<Endpoint>) -> usize {
        members.iter().position(|member| Arc::ptr_eq(&member.endpoint, chosen)).unwrap()
    }

    fn round_robin() -> Balance {
        Balance::RoundRobin(AtomicUsize::new(0))
    }

    fn shares(balance: &Balance, members: &Members) -> Vec<usize> {
        let mut random = SmallRng::seed_from_u64(7);
        let mut counts = vec![0; members.list.len()];
        for _ in 0..12_000 {
            let chosen = balance.choose(members, &calm(), None, &Tried::default(), &mut random).unwrap();
            counts[position(members, &chosen)] += 1;
        }
        counts
    }

    fn near(counts: &[usize], expected: &[usize]) -> bool {
        counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(*expected) < 400)
    }

    #[test]
    fn idle_endpoints_are_chosen_in_proportion_to_their_weights() {
        let members = members(&[1, 2, 3]);
        for balance in [Balance::LeastRequests, round_robin()] {
            let counts = shares(&balance, &members);
            assert!(near(&counts, &[2000, 4000, 6000]), "{counts:?}");
        }
    }

    #[test]
    fn the_busier_of_two_is_left_alone() {
        let members = members(&[1, 1]);
        let _busy = members.list[0].endpoint.begin_request(None);
        assert_eq!(shares(&Balance::LeastRequests, &members), [0, 12_000]);
    }

    #[test]
    fn a_heavier_endpoint_bears_more_requests_before_it_counts_as_busier() {
        let members = members(&[1, 3]);
        let _light = members.list[0].endpoint.begin_request(None);
        let _heavy = [members.list[1].endpoint.begin_request(None), members.list[1].endpoint.begin_request(None)];
        assert_eq!(shares(&Balance::LeastRequests, &members), [0, 12_000]);
    }

    #[test]
    fn what_was_tried_is_not_chosen_again() {
        let members = members(&[1, 1, 1]);
        let mut random = SmallRng::seed_from_u64(7);
        for (balance, affinity) in [
            (Balance::LeastRequests, None),
            (round_robin(), None),
            (Balance::Hash(HashOf::Claim("t".into())), Some(99)),
            (Balance::Hash(HashOf::Claim("t".into())), None),
        ] {
            let mut tried = Tried::default();
            let mut seen = Vec::new();
            while let Some(chosen) = balance.choose(&members, &calm(), affinity, &tried, &mut random) {
                seen.push(position(&members, &chosen));
                tried.add(chosen);
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2], "{balance:?}");
        }
    }

    #[test]
    fn round_robin_spreads_a_heavy_endpoint_over_the_turn() {
        assert_eq!(*turn_order(&[4, 2]), [0, 1, 0]);
        assert_eq!(*turn_order(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*turn_order(&[7, 7, 7]), [0, 1, 2]);
        let huge = turn_order(&[u16::MAX, 1]);
        assert!(huge.len() as u64 <= LONGEST_TURN + 2 && huge.contains(&1), "{}", huge.len());
    }

    #[test]
    fn a_request_takes_one_step_of_the_shared_turn_however_many_it_tries() {
        let members = members(&[1, 1]);
        let balance = round_robin();
        let mut random = SmallRng::seed_from_u64(7);
        let mut firsts = Vec::new();
        for _ in 0..4 {
            let mut tried = Tried::default();
            let first = balance.choose(&members, &calm(), None, &tried, &mut random).unwrap();
            let at = position(&members, &first);
            tried.add(first);
            firsts.push(at);
            // Another worker's request comes in between.
            let between = balance.choose(&members, &calm(), None, &Tried::default(), &mut random).unwrap();
            firsts.push(position(&members, &between));
            let second = balance.choose(&members, &calm(), None, &tried, &mut random).unwrap();
            assert_eq!(position(&members, &second), 1 - at);
        }
        assert_eq!(firsts, [0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn a_hash_moves_only_the_values_of_the_endpoint_that_left() {
        let all = members(&[1, 1, 2, 1]);
        let fewer = members(&[1, 1, 2]);
        let balance = Balance::Hash(HashOf::Claim("tenant".into()));
        let mut counts = BTreeMap::<usize, usize>::new();
        for tenant in 0..10_000 {
            let value = Some(hash(format!("tenant-{tenant}").as_bytes()));
            let chosen = |members: &Members| {
                let chosen =
                    balance.choose(members, &calm(), value, &Tried::default(), &mut SmallRng::seed_from_u64(7));
                position(members, &chosen.unwrap())
            };
            let (before, after) = (chosen(&all), chosen(&fewer));
            assert!(before == 3 || before == after, "tenant-{tenant} moved from {before} to {after}");
            *counts.entry(before).or_default() += 1;
        }
        let counts: Vec<usize> = counts.into_values().collect();
        assert!(near(&counts, &[2000, 2000, 4000, 2000]), "{counts:?}");
    }

    #[test]
    fn the_value_is_taken_from_where_it_is_said_to_be() {
        let mut fields = Fields::default();
        fields.insert(HeaderName::from_static("x-tenant"), "a".parse().unwrap());
        let header = |name| Balance::Hash(HashOf::Header(HeaderName::from_static(name)));
        let none = |_: &str| None;
        assert_eq!(header("x-tenant").affinity(&fields, none, PEER), Some(hash(b"a")));
        assert_eq!(header("x-other").affinity(&fields, none, PEER), None);
        let claim = Balance::Hash(HashOf::Claim("tenant_id".into()));
        let found = claim.affinity(&fields, |name| (name == "tenant_id").then_some(Cow::Borrowed("b")), PEER);
        assert_eq!(found, Some(hash(b"b")));
        assert_eq!(claim.affinity(&fields, none, PEER), None);
        let peer = Balance::Hash(HashOf::Peer);
        assert_eq!(peer.affinity(&fields, none, PEER), Some(hash(&[127, 0, 0, 1])));
        assert_eq!(Balance::LeastRequests.affinity(&fields, |_| Some("a".into()), PEER), None);
    }
}
