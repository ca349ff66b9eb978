//! The outside issuer fails in every way, and rotates its keys.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::{
    support::{forge::SigningKey, issuer::Conduct},
    world::World,
};

/// The longest and the shortest time that a key signs.
const ROTATION: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(2500);

/// It is slow, lies, breaks off and goes away. Its keys are known, so nobody notices.
pub(super) async fn fail(world: &World, share: Duration) {
    let conducts = [
        Conduct::Slow(Duration::from_secs(8)),
        Conduct::Says("<html><body>Sign in</body></html>".to_owned()),
        Conduct::Redirects(world.issuer.jwks_uri()),
        Conduct::Fails(StatusCode::INTERNAL_SERVER_ERROR),
        Conduct::Truncated,
        Conduct::Says(" ".repeat(100 * 1024 * 1024)),
        Conduct::Says(r#"{"keys":[]}"#.to_owned()),
    ];
    let each = share / 8;
    for conduct in conducts {
        world.issuer.conduct(conduct);
        sleep(each).await;
    }
    world.issuer.conduct(Conduct::Honest);
    world.issuer.go_down().await;
    sleep(each).await;
    world.issuer.come_back().await;
}

/// A key is published one rotation before it signs, and one after.
pub(super) async fn rotate(world: &World, share: Duration) {
    let each = (share / 4).clamp(SHORTEST, ROTATION);
    let until = Instant::now() + share;
    let mut before: Option<Arc<SigningKey>> = None;
    let mut signing = Arc::clone(&*world.key.lock().expect("not poisoned"));
    let mut number = 0;
    loop {
        number += 1;
        let next = Arc::new(SigningKey::es256(&format!("rotated-{number}")));
        // Each once: two keys of one id are none.
        let listed: Vec<&SigningKey> = before.iter().chain([&signing, &next]).map(Arc::as_ref).collect();
        world.issuer.publish(&listed);
        sleep(each).await;
        world.mint.sign_with(Arc::clone(&next));
        before = Some(std::mem::replace(&mut signing, next));
        if Instant::now() >= until {
            break;
        }
    }
    let listed: Vec<&SigningKey> = before.iter().chain([&signing]).map(Arc::as_ref).collect();
    world.issuer.publish(&listed);
    *world.key.lock().expect("not poisoned") = signing;
}
