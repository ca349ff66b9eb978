//! Owns: what must survive a restart, in one SQLite file or in a PostgreSQL database that several replicas share: records, issued
//! tokens, revocations, what may be used once only, and the audit log.
//! Refuses: to know what a document means; to wait for an answer longer than [`LIMIT`], but for one about very many rows; a
//! database of a newer version.
//! Always holds: what was answered with `Ok` is durable; revisions are in the order of commits, so "everything after N" misses
//! nothing; both databases are asked in the same words.
//!
//! A [`Change`] is one transaction that takes the next [`Revision`]; [`Store::load`] and [`Store::changes_since`] are how changes
//! come into a replica's memory, and [`Notifications`] say when to ask. What is written for every single token goes past
//! revisions: [`Store::record_issued`], [`Store::take_assertion`].

mod audit;
mod change;
mod error;
mod installation;
mod issued;
mod listing;
mod model;
mod notifications;
mod open;
mod postgres;
mod prune;
mod records;
mod row;
mod schema;
mod selection;
mod session;
mod single_use;
mod sqlite;
mod statement;

pub use self::{
    audit::AuditEntry,
    change::Change,
    error::StoreError,
    issued::IssuedToken,
    listing::{IssuedCursor, IssuedFilter, IssuedPage, ListedToken},
    model::{Changes, Kind, Record, Revision, Revoked},
    notifications::Notifications,
    open::Store,
    prune::Pruned,
    selection::{REVOKED_AT_ONCE, Selection},
    session::LIMIT,
};
