//! Owns: how many requests of a kind are let through, counted here and, where replicas share, in Redis.
//! Refuses: letting through more than a limit says because what replicas share is away: what was counted here stands.
//! Always holds: what is remembered of callers is bounded, whoever they say they are; nobody waits for Redis for longer than
//! `shared.timeout`.

mod buckets;
mod key;
mod limits;
mod local;
mod rate;
mod route_limit;
mod shared;
mod steady;

pub use self::{
    key::Whose,
    limits::Limits,
    rate::{Rate, Taken},
    route_limit::{By, RouteLimit},
    shared::{Away, SharedCounters, SharedSettings, Window},
};
