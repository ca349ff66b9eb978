//! Owns: the words in which the store speaks of what it keeps: records, revisions, revocations.
//! Refuses: a kind that this version does not know.
//! Always holds: revisions are handed out by the database alone.

use crate::{clock::UnixTime, id::TokenId};

/// What a record is about; a record is named by its kind and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An OAuth client that was registered at run time.
    Client,
    /// A token that a user or tenant made for itself.
    ApiToken,
    /// A key that signs tokens.
    SigningKey,
    /// A setting of the whole installation that is changed at run time.
    Switch,
    /// That a client, wherever it was registered, is disabled.
    Suspension,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Client, Self::ApiToken, Self::SigningKey, Self::Switch, Self::Suspension];

    /// Its name in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ApiToken => "api_token",
            Self::SigningKey => "signing_key",
            Self::Switch => "switch",
            Self::Suspension => "suspension",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A document and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub id: String,
    /// JSON, as it was put; `None`: it was removed.
    pub document: Option<String>,
}

/// The number of a change: later changes have greater ones, in the order of their commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    number: i64,
}

impl Revision {
    pub(super) const fn new(number: i64) -> Self {
        Self { number }
    }

    /// It as a number, for logs and metrics.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.number
    }
}

/// A token that was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revoked {
    /// Which one.
    pub token: TokenId,
    /// When it would have ended; `None`: never.
    pub expires_at: Option<UnixTime>,
}

/// What there is, or what has changed, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The last change that is contained.
    pub revision: Revision,
    /// This is everything there is, and nothing that was known before counts any more; there are no removed records among the
    /// records then. Otherwise it comes on top of what was known.
    pub whole: bool,
    /// The records, oldest change first.
    pub records: Vec<Record>,
    /// The withdrawn tokens, oldest change first.
    pub revoked: Vec<Revoked>,
}
