//! However many holders come, the memory they take is bounded, and those that were there first lose nothing.

use std::time::Duration;

use super::{super::allowance::Allowances, *};
use crate::diagnostic::{Diagnostics, KeyPath};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

#[test]
fn newcomers_beyond_the_bound_are_counted_together() {
    let raw = toml::from_str("per_hour = 3").unwrap();
    let allowances = Allowances::compile(&raw, &KeyPath::of(&["quota"]), &mut Diagnostics::new());
    let counts = Counts::default();
    let gets = |name: &str| {
        let holder = Holder::new(HolderKind::Client, name, allowances.of_client(name));
        counts.reserve(vec![holder], true, NOW)
    };
    for number in 0..MOST_HOLDERS {
        assert!(gets(&format!("client-{number}")).is_ok());
    }
    let places = [gets("new-1").unwrap(), gets("new-2").unwrap(), gets("new-3").unwrap()];
    assert!(gets("new-4").is_err(), "the newcomers have had what one gets");
    assert!(gets("client-7").is_ok(), "whoever was there before goes on");
    assert_eq!(counts.holder_count(), MOST_HOLDERS);
    counts.release(&places[0]);
    assert!(gets("new-4").is_ok());
}

#[test]
fn a_clock_that_swings_around_the_hour_sweeps_once() {
    let (counts, hour) = (Counts::default(), Duration::from_hours(1));
    let mut held = counts.lock();
    let mut swept = |now: UnixTime| {
        let before = held.swept;
        held.sweep(now);
        held.swept != before
    };
    for (now, sweeps) in [
        (NOW, true),
        (NOW, false),
        (NOW.minus(hour), false),
        (NOW, false),
        (NOW.plus(hour), true),
        (NOW, false),
        (NOW.minus(hour), true),
    ] {
        assert_eq!(swept(now), sweeps, "{now:?}");
    }
}
