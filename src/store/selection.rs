//! Owns: which tokens are meant, and what is done to them: revoked, or forgotten.
//! Refuses: to forget a token that is still good.
//! Always holds: a token is revoked once; what is counted was done by this very call.

use super::{change::Change, error::StoreError, model::Revision, prune::LEEWAY, statement::Statement};
use crate::{clock::UnixTime, id::TokenId};

/// Which tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// One, if it is recorded.
    Token(TokenId),
    /// Some, as far as they are recorded.
    Tokens(Vec<TokenId>),
    /// One, recorded or not.
    TokenOf {
        /// Which one.
        id: TokenId,
        /// When it ends; `None`: never.
        expires_at: Option<UnixTime>,
    },
    /// The recorded ones of a client, by its id.
    Client(String),
    /// The recorded ones of an owner.
    Owner(String),
    /// The recorded ones of a tenant.
    Tenant(String),
    /// The recorded ones that a key signed, by its id.
    Key(String),
}

/// How many tokens are named in one statement.
const NAMED_AT_ONCE: usize = 1000;
/// How many tokens of somebody are revoked in one change, so that others get their turn in between.
pub const REVOKED_AT_ONCE: u64 = 20_000; // and so in `revocation`

impl Change {
    /// Revokes the tokens that are meant, unless nobody would accept them at `at` any more with whatever leeway, or they are revoked
    /// already; how many those were. Of what belongs to somebody at most [`REVOKED_AT_ONCE`]: go on in another change while it was as
    /// many.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn revoke(&mut self, what: &Selection, at: UnixTime) -> Result<u64, StoreError> {
        if let Selection::TokenOf { expires_at: Some(end), .. } = what
            && *end <= at.minus(LEEWAY)
        {
            // It is refused anyway.
            return Ok(0);
        }
        self.be_patient_for(what).await?;
        let mut count = 0;
        for part in what.parts() {
            count += self.session.execute(revocation(part, at, self.revision())).await?;
        }
        Ok(count)
    }

    /// What is selected by its name is found at once; what belongs to somebody may be a million tokens.
    async fn be_patient_for(&mut self, what: &Selection) -> Result<(), StoreError> {
        match what {
            Selection::Token(_) | Selection::Tokens(_) | Selection::TokenOf { .. } => Ok(()),
            Selection::Client(_) | Selection::Owner(_) | Selection::Tenant(_) | Selection::Key(_) => {
                self.session.be_patient(self.store.database()).await
            }
        }
    }

    /// Deletes the records of tokens that are meant, that belong to `owner` if one is given, and that have expired at `at`; how
    /// many those were.
    ///
    /// # Errors
    ///
    /// The database is away.
    pub async fn forget_expired(
        &mut self,
        what: &Selection,
        owner: Option<&str>,
        at: UnixTime,
    ) -> Result<u64, StoreError> {
        self.be_patient_for(what).await?;
        let mut count = 0;
        for part in what.parts() {
            let statement = Statement::new("DELETE FROM issued_tokens WHERE expires_at <= ").value(at);
            count += self.session.execute(part.condition(statement).and("owner =", owner)).await?;
        }
        Ok(count)
    }
}

fn revocation(what: Part<'_>, at: UnixTime, revision: Revision) -> Statement {
    let statement = Statement::new("INSERT INTO revocations (token_id, revoked_at, expires_at, revision)");
    let statement = match what {
        Part::Unrecorded(id, expires_at) => {
            let statement = statement.text(" VALUES (").value(id).text(", ").value(at).text(", ");
            statement.value(expires_at).text(", ").value(revision).text(")")
        }
        part => {
            let statement = statement.text(" SELECT id, ").value(at).text(", expires_at, ").value(revision);
            let statement = statement.text(" FROM issued_tokens WHERE (expires_at IS NULL OR expires_at > ");
            let statement = statement.value(at.minus(LEEWAY)).text(")");
            let statement = part.condition(statement);
            let statement = statement
                .text(" AND NOT EXISTS (SELECT 1 FROM revocations WHERE revocations.token_id = issued_tokens.id)");
            statement.text(" LIMIT 20000")
        }
    };
    statement.text(" ON CONFLICT (token_id) DO NOTHING")
}

/// What one statement can name.
enum Part<'a> {
    Unrecorded(TokenId, Option<UnixTime>),
    Tokens(&'a [TokenId]),
    Column(&'static str, &'a str),
}

impl Selection {
    fn parts(&self) -> Vec<Part<'_>> {
        match self {
            Self::Token(id) => vec![Part::Tokens(std::slice::from_ref(id))],
            Self::Tokens(ids) => ids.chunks(NAMED_AT_ONCE).map(Part::Tokens).collect(),
            Self::TokenOf { id, expires_at } => vec![Part::Unrecorded(*id, *expires_at)],
            Self::Client(id) => vec![Part::Column("client_id =", id)],
            Self::Owner(owner) => vec![Part::Column("owner =", owner)],
            Self::Tenant(tenant) => vec![Part::Column("tenant =", tenant)],
            Self::Key(id) => vec![Part::Column("key_id =", id)],
        }
    }
}

impl Part<'_> {
    /// Continues a condition on the table of issued tokens.
    fn condition(&self, statement: Statement) -> Statement {
        match self {
            Self::Unrecorded(id, _) => statement.and("id =", Some(*id)),
            Self::Tokens(ids) => statement.text(" AND id IN ").list(ids.iter().copied()),
            Self::Column(is, value) => statement.and(is, Some(*value)),
        }
    }
}
