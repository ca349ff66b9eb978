//! The cases, and those whose count is the difference of two others.

mod credentials;
mod exchanges;
mod records;
mod requests;
mod scene;
mod wire;

use super::counter::Counter;

/// What the loop around every case costs.
pub(crate) const EMPTY: &str = "nothing";

/// Something that is done again and again and counted.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Counter),
}

const fn case(name: &'static str, run: fn(&mut Counter)) -> Case {
    Case { name, run }
}

/// By how much of itself a count of some ten thousand differs from run to run, which is more of a small difference between two of them.
const CHANCE: f64 = 0.003;
/// The same where, presumably, a hash with a seed of its own finds one of several pools.
const CHANCE_OF_POOLS: f64 = 0.01;

/// A case whose count is that of `whole` less that of `less`, for each of so many parts; the former differs from run to run by that
/// much of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Derived {
    pub(crate) name: &'static str,
    pub(crate) whole: &'static str,
    pub(crate) less: &'static str,
    pub(crate) parts: u32,
    pub(crate) chance: f64,
}

/// What is counted, by name.
pub(crate) const CASES: &[Case] = &[
    case(EMPTY, |counter| counter.count(1000, || ())),
    case("token/extract", credentials::extract),
    case("token/parse", credentials::parse),
    case("token/cache_hit", credentials::cache_hit),
    case("token/cache_miss/RS256", |counter| credentials::cache_miss(counter, "RS256")),
    case("token/cache_miss/ES256", |counter| credentials::cache_miss(counter, "ES256")),
    case("token/cache_miss/EdDSA", |counter| credentials::cache_miss(counter, "EdDSA")),
    case("token/signature/RS256", |counter| credentials::signature(counter, "RS256")),
    case("token/signature/ES256", |counter| credentials::signature(counter, "ES256")),
    case("token/signature/EdDSA", |counter| credentials::signature(counter, "EdDSA")),
    case("token/authorize", credentials::authorize),
    case("token/claims", credentials::claims),
    case("request/host", requests::host),
    case("request/path", requests::path),
    case("request/path_with_escapes", requests::path_with_escapes),
    case("request/fields", requests::fields),
    case("response/fields", requests::response_fields),
    case("route/match_among_10", |counter| requests::route(counter, 10)),
    case("route/match_among_10000", |counter| requests::route(counter, 10_000)),
    case("route/parameters", requests::parameters),
    case("limit/take", records::limit),
    case("log/line", records::access_log_line),
    case("metrics/finished", records::metrics),
    case("refusal/body", records::refusal),
    case("server/get", wire::get),
    case("server/get_with_20_fields", wire::get_with_fields),
    case("server/post_length", wire::post_with_length),
    case("server/post_16_chunks", wire::post_in_chunks),
    case("server/answer_1_chunk", wire::answer_in_one_chunk),
    case("server/answer_16_chunks", wire::answer_in_chunks),
    case("other_ends", exchanges::other_ends),
    case("upstream/forward", |counter| exchanges::forward(counter, 1)),
    case("upstream/forward_to_one_of_8", |counter| exchanges::forward(counter, 8)),
    case("gateway/public", exchanges::public),
    case("gateway/enforcing", exchanges::enforcing),
    case("gateway/refusing", exchanges::refusing),
];

/// What cannot be reached alone from outside the crate.
pub(crate) const DERIVED: &[Derived] = &[
    Derived {
        name: "token/cache_miss_but_signature/RS256",
        whole: "token/cache_miss/RS256",
        less: "token/signature/RS256",
        parts: 1,
        chance: CHANCE,
    },
    Derived {
        name: "token/cache_miss_but_signature/ES256",
        whole: "token/cache_miss/ES256",
        less: "token/signature/ES256",
        parts: 1,
        chance: CHANCE,
    },
    Derived {
        name: "token/cache_miss_but_signature/EdDSA",
        whole: "token/cache_miss/EdDSA",
        less: "token/signature/EdDSA",
        parts: 1,
        chance: CHANCE,
    },
    Derived {
        name: "server/a_field_read",
        whole: "server/get_with_20_fields",
        less: "server/get",
        parts: wire::FIELDS,
        chance: CHANCE,
    },
    Derived {
        name: "server/a_chunk_read",
        whole: "server/post_16_chunks",
        less: "server/post_length",
        parts: wire::CHUNKS,
        chance: CHANCE,
    },
    Derived {
        name: "server/a_chunk_written",
        whole: "server/answer_16_chunks",
        less: "server/answer_1_chunk",
        parts: wire::CHUNKS - 1,
        chance: CHANCE,
    },
    Derived {
        name: "upstream/choose_among_8",
        whole: "upstream/forward_to_one_of_8",
        less: "upstream/forward",
        parts: 1,
        chance: CHANCE_OF_POOLS,
    },
    Derived { name: "gateway/token", whole: "gateway/enforcing", less: "gateway/public", parts: 1, chance: CHANCE },
];
