//! What it costs a request to ask whether its token has been revoked, with none, a thousand and a million of them.
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has to stop")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use postern::{authorization_server::RevokedTokens, clock::UnixTime, id::TokenId};

const EXPIRY: UnixTime = UnixTime::from_seconds(4_000_000_000);

/// Enough different tokens that not every look finds its shard in the nearest cache.
const ASKED: usize = 1 << 16;

fn revocation(criterion: &mut Criterion) {
    for revoked_count in [0usize, 1_000, 1_000_000] {
        let revoked = RevokedTokens::new();
        let ids: Vec<TokenId> = std::iter::repeat_with(TokenId::generate).take(revoked_count).collect();
        revoked.insert_all(ids.iter().map(|id| (*id, Some(EXPIRY))));
        let strangers: Vec<TokenId> = std::iter::repeat_with(TokenId::generate).take(ASKED).collect();
        let mut asked = strangers.iter().cycle();
        criterion.bench_function(&format!("revocation/good_token/{revoked_count}"), |bencher| {
            bencher.iter(|| revoked.contains(black_box(asked.next().expect("a cycle never ends"))));
        });
        if ids.is_empty() {
            continue;
        }
        let mut asked = ids.iter().cycle();
        criterion.bench_function(&format!("revocation/revoked_token/{revoked_count}"), |bencher| {
            bencher.iter(|| revoked.contains(black_box(asked.next().expect("a cycle never ends"))));
        });
        criterion.bench_function(&format!("revocation/one_more/{revoked_count}"), |bencher| {
            bencher.iter(|| revoked.insert_all([(TokenId::generate(), Some(EXPIRY))]));
        });
    }
}

criterion_group!(benches, revocation);
criterion_main!(benches);
