//! What the integration tests share: a forge for tokens, a scripted issuer, a recorded upstream, a gateway and a client.
//!
//! Everything listens on loopback at ports that the kernel chooses, and stops when it is dropped.

pub(crate) mod asked;
pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod corp;
pub(crate) mod dns;
pub(crate) mod forge;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod insider;
pub(crate) mod issuer;
pub(crate) mod issuing;
pub(crate) mod launch;
pub(crate) mod lone_connection;
pub(crate) mod moody_upstream;
pub(crate) mod observe;
pub(crate) mod openmetrics;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod provider;
pub(crate) mod raw;
pub(crate) mod raw_socket;
pub(crate) mod real_provider;
pub(crate) mod redis;
pub(crate) mod relay;
pub(crate) mod schema;
pub(crate) mod scoped;
pub(crate) mod served_upstream;
pub(crate) mod stores;
pub(crate) mod systems;
pub(crate) mod tool;
pub(crate) mod upstream;
pub(crate) mod wait;
pub(crate) mod websocket;
