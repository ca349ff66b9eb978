//! What the fault run shares with the tests: a forge for tokens, a scripted issuer, a client that keeps its connections.

#[path = "../../tests/support/client.rs"]
pub(crate) mod client;
#[path = "../../tests/support/forge.rs"]
pub(crate) mod forge;
#[path = "../../tests/support/issuer.rs"]
pub(crate) mod issuer;
