//! The faults, in turn: each is begun, lasts its share of the run, and ends; then the gateway has to be well again.

mod configurations;
mod issuers;
mod processes;
mod upstreams;

use std::time::Duration;

use tokio::time::sleep;

use crate::{book::Excuse, load, world::World};

/// How long the gateway may take to be well again.
const RECOVERY: Duration = Duration::from_secs(20);

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    HandedOver,
    None,
    IssuerFails,
    KeysRotate,
    UpstreamLate,
    UpstreamCuts,
    UpstreamSilent,
    UpstreamClosesIdle,
    UpstreamDown,
    ConfigurationSpoiled,
    RulesAlternate,
    SlowPeers,
    LogReaderStuck,
    DiskFull,
    DescriptorsExhausted,
    NoneAgain,
}

impl Fault {
    /// All of them in their order: those that end the process come first, so that one process lives through all others.
    pub(crate) const ALL: [Self; 17] = [
        Self::Killed,
        Self::HandedOver,
        Self::None,
        Self::IssuerFails,
        Self::KeysRotate,
        Self::UpstreamLate,
        Self::UpstreamCuts,
        Self::UpstreamSilent,
        Self::UpstreamClosesIdle,
        Self::UpstreamDown,
        Self::ConfigurationSpoiled,
        Self::RulesAlternate,
        Self::SlowPeers,
        Self::LogReaderStuck,
        Self::DiskFull,
        Self::DescriptorsExhausted,
        Self::NoneAgain,
    ];

    /// Its name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::HandedOver => "handed-over",
            Self::None => "nothing",
            Self::IssuerFails => "issuer-fails",
            Self::KeysRotate => "keys-rotate",
            Self::UpstreamLate => "upstream-late",
            Self::UpstreamCuts => "upstream-cuts",
            Self::UpstreamSilent => "upstream-silent",
            Self::UpstreamClosesIdle => "upstream-closes-idle",
            Self::UpstreamDown => "upstream-down",
            Self::ConfigurationSpoiled => "configuration-spoiled",
            Self::RulesAlternate => "rules-alternate",
            Self::SlowPeers => "slow-peers",
            Self::LogReaderStuck => "log-reader-stuck",
            Self::DiskFull => "disk-full",
            Self::DescriptorsExhausted => "descriptors-exhausted",
            Self::NoneAgain => "nothing-again",
        }
    }

    /// How much of the run's time it gets, beside the others.
    pub(crate) const fn share(self) -> u32 {
        match self {
            Self::Killed | Self::IssuerFails | Self::KeysRotate => 3,
            Self::HandedOver | Self::ConfigurationSpoiled | Self::UpstreamDown => 2,
            _ => 1,
        }
    }

    /// Which failures of good requests it excuses.
    const fn excuse(self) -> Excuse {
        match self {
            Self::Killed => Excuse::Absence,
            Self::HandedOver => Excuse::Unsent,
            Self::UpstreamCuts | Self::UpstreamSilent | Self::UpstreamClosesIdle | Self::UpstreamDown => {
                Excuse::Upstream
            }
            Self::DescriptorsExhausted => Excuse::Crowd,
            _ => Excuse::Nothing,
        }
    }
}

/// Lets it fail for so long, and waits until all is well again.
pub(crate) async fn run(world: &World, fault: Fault, share: Duration) {
    world.book.begin(fault.name(), fault.excuse(), false);
    match fault {
        Fault::Killed => processes::kill_again_and_again(world, share).await,
        Fault::HandedOver => processes::hand_over_again_and_again(world, share).await,
        Fault::None | Fault::NoneAgain => sleep(share).await,
        Fault::IssuerFails => issuers::fail(world, share).await,
        Fault::KeysRotate => issuers::rotate(world, share).await,
        Fault::UpstreamLate => upstreams::be_late(world, share).await,
        Fault::UpstreamCuts => upstreams::cut(world, share).await,
        Fault::UpstreamSilent => upstreams::be_silent(world, share).await,
        Fault::UpstreamClosesIdle => upstreams::close_idle(world, share).await,
        Fault::UpstreamDown => upstreams::go_down(world, share).await,
        Fault::ConfigurationSpoiled => configurations::spoil(world, share).await,
        Fault::RulesAlternate => configurations::alternate(world, share).await,
        Fault::SlowPeers => processes::meet_slow_peers(world, share).await,
        Fault::LogReaderStuck => processes::stop_reading_the_log(world, share).await,
        Fault::DiskFull => processes::fill_the_disk(world, share).await,
        Fault::DescriptorsExhausted => processes::exhaust_descriptors(world, share).await,
    }
    world.book.begin(&format!("after {}", fault.name()), fault.excuse(), true);
    if !load::all_is_well(world, RECOVERY).await {
        world.book.complain(format!("not well again after {RECOVERY:?}"));
    }
    let mut gateways = world.gateways.lock().await;
    let ended = gateways[world.site_index()].as_mut().is_none_or(|gateway| !gateway.runs());
    if ended {
        let log = gateways[world.site_index()].as_ref().map(|gateway| gateway.log()).unwrap_or_default();
        world.book.complain(format!("the gateway has ended by itself: {log}"));
    }
    drop(gateways);
    // What a fault has left open is closed by then.
    sleep((share / 10).min(Duration::from_secs(3))).await;
    world.measure().await;
}
