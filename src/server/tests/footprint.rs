//! Owns: how much room the task of a connection takes.

use crate::server::connection::{Accepted, Seat, serve};

use super::support::Scripted;

/// Most connections are idle for most of their lives, and there may be very many.
const MOST_BYTES: usize = 4 * 1024;

fn size_of_future<F: Future>(_: impl FnOnce(Accepted, Seat<Scripted>) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn the_task_of_a_connection_has_no_room_for_what_few_connections_need() {
    let bytes = size_of_future(serve);
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}
