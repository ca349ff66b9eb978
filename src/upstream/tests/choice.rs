//! The choice of an endpoint when some are not available or begin anew.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};

use super::*;
use crate::{
    config::UpstreamConfig,
    diagnostic::KeyPath,
    upstream::{
        address::Address,
        availability::Thresholds,
        balance::{HashOf, Member, Members},
        endpoint::{Description, Protocol},
        tick::Tick,
    },
};

/// One that looks at everything.
fn vigilant() -> Vigilance {
    let upstream = json!({
        "endpoints": [{ "url": "http://a" }, { "url": "http://b" }],
        "health": { "path": "/" },
        "outlier": {},
        "slow_start": "1000s",
    });
    let upstream: UpstreamConfig = serde_json::from_value(upstream).unwrap();
    Vigilance::compile("orders", &upstream, None, (&KeyPath::of(&["orders"]), &mut Diagnostics::new())).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Past {
    Well,
    Unproven,
    Ejected,
    Unwell,
}

fn live(members: &Members, pasts: &[Past]) {
    for (member, past) in members.iter().zip(pasts) {
        let availability = member.endpoint.availability();
        let thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1 };
        if *past != Past::Unproven {
            availability.note_answer(*past != Past::Unwell, thresholds, Tick::now());
        }
        if *past == Past::Ejected {
            availability.eject(Tick::now(), |_| Duration::from_secs(1000));
        }
    }
}

fn members(weights: &[u16]) -> Members {
    let member = |(position, weight): (usize, &u16)| {
        let address = Address::parse(&format!("http://10.0.0.{position}:80")).unwrap();
        let authority = address.to_string().parse().unwrap();
        let description = Description { address, authority, protocol: Protocol::Http1, tls: None };
        let ip = std::net::IpAddr::from([10, 0, 0, u8::try_from(position).unwrap()]);
        Member::new(Endpoint::new(description, ip, Arc::default()), *weight)
    };
    Members::new(weights.iter().enumerate().map(member).collect())
}

fn endpoint(members: &Members, position: usize) -> &Arc<Endpoint> {
    &members.iter().nth(position).unwrap().endpoint
}

fn position(members: &Members, chosen: &Arc<Endpoint>) -> usize {
    members.iter().position(|member| Arc::ptr_eq(&member.endpoint, chosen)).unwrap()
}

fn round_robin() -> Balance {
    Balance::RoundRobin(AtomicUsize::new(0))
}

fn shares(balance: &Balance, members: &Members) -> Vec<usize> {
    let (mut random, vigilance) = (SmallRng::seed_from_u64(7), vigilant());
    let mut counts = vec![0; members.iter().count()];
    for _ in 0..12_000 {
        let chosen = balance.choose(members, &vigilance, None, &Tried::default(), &mut random).unwrap();
        counts[position(members, &chosen)] += 1;
    }
    counts
}

fn near(counts: &[usize], expected: &[usize]) -> bool {
    counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(*expected) < 400)
}

#[test]
fn those_that_are_not_available_are_passed_over_and_the_rest_share_evenly() {
    use Past::{Ejected, Unproven, Unwell, Well};
    for (pasts, expected) in [
        ([Well, Well, Unwell, Well], [4000, 4000, 0, 4000]),
        ([Well, Ejected, Unwell, Well], [6000, 0, 0, 6000]),
        ([Well, Unproven, Unproven, Well], [6000, 0, 0, 6000]),
        ([Unwell, Unproven, Unproven, Ejected], [0, 6000, 6000, 0]),
        ([Unproven, Unproven, Unproven, Unproven], [3000, 3000, 3000, 3000]),
        ([Unwell, Ejected, Unwell, Ejected], [3000, 3000, 3000, 3000]),
    ] {
        for balance in [Balance::LeastRequests, round_robin(), Balance::Hash(HashOf::Peer)] {
            let members = members(&[1, 1, 1, 1]);
            live(&members, &pasts);
            let counts = shares(&balance, &members);
            assert!(near(&counts, &expected), "{balance:?} {pasts:?} {counts:?}");
            assert!(counts.iter().zip(expected).all(|(count, expected)| *count == 0 || expected > 0));
        }
    }
}

#[test]
fn what_is_left_of_an_endpoint_that_begins_anew_is_spread_over_the_others() {
    for balance in [Balance::LeastRequests, round_robin()] {
        let members = members(&[2, 1, 1]);
        live(&members, &[Past::Well; 3]);
        let first = endpoint(&members, 0).availability();
        first.begin_anew(Tick::now());
        // A tenth of two beside two of one: a share of 0.2 in 2.2.
        let counts = shares(&balance, &members);
        assert!(near(&counts, &[1100, 5450, 5450]), "{balance:?} {counts:?}");
    }
}

#[test]
fn if_all_begin_anew_their_weights_count() {
    for balance in [Balance::LeastRequests, round_robin()] {
        let members = members(&[2, 1, 1]);
        live(&members, &[Past::Well; 3]);
        members.iter().for_each(|member| member.endpoint.availability().begin_anew(Tick::now()));
        let counts = shares(&balance, &members);
        assert!(near(&counts, &[6000, 3000, 3000]), "{balance:?} {counts:?}");
    }
}

#[test]
fn when_those_available_were_tried_one_that_is_left_alone_is_and_one_that_is_unwell_is_not() {
    let members = members(&[1, 1, 1]);
    live(&members, &[Past::Well, Past::Ejected, Past::Unwell]);
    let mut random = SmallRng::seed_from_u64(7);
    for balance in [Balance::LeastRequests, round_robin(), Balance::Hash(HashOf::Peer)] {
        let mut tried = Tried::default();
        let mut seen = Vec::new();
        while let Some(chosen) = balance.choose(&members, &vigilant(), Some(3), &tried, &mut random) {
            seen.push(position(&members, &chosen));
            tried.add(chosen);
        }
        assert_eq!(seen, [0, 1], "{balance:?}");
    }
}

#[test]
fn a_hash_moves_only_the_values_of_those_not_available_and_they_come_back() {
    let members = members(&[1, 1, 2, 1]);
    live(&members, &[Past::Well; 4]);
    let balance = Balance::Hash(HashOf::Peer);
    let homes = || -> Vec<usize> {
        let home = |value: u64| {
            let value = Some(value.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut random = SmallRng::seed_from_u64(7);
            let chosen = balance.choose(&members, &vigilant(), value, &Tried::default(), &mut random);
            position(&members, &chosen.unwrap())
        };
        (0..1000).map(home).collect()
    };
    let before = homes();
    let second = endpoint(&members, 1).availability();
    second.note_answer(false, Thresholds { healthy_after: 1, unhealthy_after: 1 }, Tick::now());
    for (before, while_unwell) in before.iter().zip(homes()) {
        assert!(while_unwell != 1 && (*before == 1 || *before == while_unwell));
    }
    second.note_answer(true, Thresholds { healthy_after: 1, unhealthy_after: 1 }, Tick::now());
    assert_eq!(homes(), before, "also while it begins anew");
}

proptest! {
    #[test]
    fn there_is_always_one_to_choose_and_the_best_there_is(
        pasts in proptest::collection::vec((0u8..4, 1u16..5), 1..7),
        kind in 0u8..3,
        affinity: Option<u64>,
        seed: u64,
    ) {
        let weights: Vec<u16> = pasts.iter().map(|(_, weight)| *weight).collect();
        let of = |past: u8| match past {
            0 => Past::Well,
            1 => Past::Unproven,
            2 => Past::Ejected,
            _ => Past::Unwell,
        };
        let pasts: Vec<Past> = pasts.iter().map(|(past, _)| of(*past)).collect();
        let members = members(&weights);
        live(&members, &pasts);
        let balance = match kind {
            0 => Balance::LeastRequests,
            1 => round_robin(),
            _ => Balance::Hash(HashOf::Peer),
        };
        let (vigilance, mut random) = (vigilant(), SmallRng::seed_from_u64(seed));
        let best = [Past::Well, Past::Unproven].into_iter().find(|past| pasts.contains(past));
        for _ in 0..10 {
            let chosen = balance.choose(&members, &vigilance, affinity, &Tried::default(), &mut random);
            let chosen = pasts[position(&members, &chosen.unwrap())];
            prop_assert!(best.is_none_or(|best| chosen == best), "{:?} of {:?}", chosen, pasts);
        }
    }
}
