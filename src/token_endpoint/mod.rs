//! Owns: what a client posts to when it wants a token: the shape of requests and answers, in four dialects. `oauth2` is RFC
//! 6749 with its revocation (RFC 7009) and introspection (RFC 7662); the others are those of systems that clients speak to
//! already.
//! Refuses: deciding who gets a token; that is whoever stands behind [`TokenIssuer`].
//! Always holds: every answer, refusals included, says `Cache-Control: no-store`; no answer repeats a secret, nor anything
//! else out of the request but what its dialect repeats, cut short; a request that can be read in two ways is refused.

mod answer;
mod attempt;
mod auth0;
mod authentication;
mod compile;
mod desk;
mod echo;
mod endpoint;
mod forwarding;
mod frontegg;
mod issuer;
mod lasting;
mod lockout;
mod management;
mod media_type;
mod name_hash;
mod oauth2;
mod oauth_error;
mod operation;
mod parameters;
mod places;
mod plgd;
mod quota;
mod refusal;
mod reuse;
mod terms;

pub use self::{
    answer::{Answer, Outcome},
    attempt::Attempt,
    authentication::{AuthenticationMethod, ClientAuthentication},
    compile::compile,
    echo::Echo,
    endpoint::TokenEndpoint,
    forwarding::{Forwarding, ProviderRefusal, ProviderRefusalKind},
    issuer::{
        AudienceParameter, ExchangeRequest, Introspected, IntrospectionRequest, IssueError, RevocationRequest,
        TokenIssuer, TokenRequest,
    },
    lasting::Lasting,
    lockout::{LockedOut, LockedOutBy, Lockout, Lockouts},
    management::{Managed, ManagementRefusal, Managing},
    operation::{FronteggOperation, Naming, Oauth2Operation, Operation, PlgdOperation},
    places::Place,
    quota::{HolderKind, Period, Quota, QuotaExceeded, Quotas, Spent, Standing},
    refusal::{RequestError, TokenRefusal},
    reuse::{DropReason, NoSuchReuse, Reuse, ReuseMemories, ReuseStatus, Reuses},
    terms::{Arrival, Terms},
};

#[cfg(test)]
mod tests;
