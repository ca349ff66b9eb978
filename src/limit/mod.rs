//! Owns: how many requests of a kind are let through, counted here and, where replicas share, in Redis.
//! Refuses: letting through more than a limit says because what replicas share is away: what was counted here stands.
//! Always holds: what is remembered of callers is bounded, whoever they say they are; nobody waits for Redis for longer than
//! `shared.timeout`.

mod rate;
mod shared;

pub use self::{
    rate::{Rate, Taken},
    shared::{Away, SharedCounters, SharedSettings, Window},
};
