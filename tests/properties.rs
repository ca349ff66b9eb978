//! Tries what must hold of every input, as `fuzz/src/properties.rs` says it, on stable Rust: with the seeds of the fuzz targets,
//! with seeds that were tampered with, and with inputs made of the pieces that parsers stumble over.
//!
//! An input that fails is printed. To have it tried for ever, put it into `fuzz/seeds/`.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::TestRunner,
};

#[path = "../fuzz/src/properties.rs"]
pub mod properties;
#[path = "../fuzz/src/wire.rs"]
pub mod wire;

type Property = fn(&[u8]);

fn seeds(of: &str) -> Vec<Vec<u8>> {
    let folder = Path::new("fuzz/seeds").join(of);
    let entries = fs::read_dir(&folder).expect("the folder of seeds");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    assert!(files.len() > 3, "{} holds seeds", folder.display());
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}

/// A seed with stretches of it replaced: by pieces, by other stretches of seeds, by anything.
fn tampered(seeds: &[Vec<u8>], pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let other = select(seeds.to_vec());
    let replacement = prop_oneof![
        4 => select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..4),
        1 => (other, any::<Index>(), 0usize..40).prop_map(|(seed, at, length)| {
            let start = at.index(seed.len() + 1);
            seed[start..(start + length).min(seed.len())].to_vec()
        }),
    ];
    let change = (any::<Index>(), prop_oneof![3 => 0usize..3, 1 => 3usize..40], replacement);
    (select(seeds.to_vec()), vec(change, 0..5)).prop_map(|(mut text, changes)| {
        for (at, removed, added) in changes {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, added);
        }
        text
    })
}

/// Anything made of the pieces, and of a few bytes that are none.
fn assembled(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => "[a-z0-9]{1,3}".prop_map(String::into_bytes),
        1 => any::<char>().prop_map(|character| character.to_string().into_bytes()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn holds(name: &str, property: Property, pieces: &'static [&'static str]) {
    let seeds = seeds(name);
    seeds.iter().for_each(|seed| property(seed));
    let inputs = prop_oneof![tampered(&seeds, pieces), assembled(pieces)];
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&inputs, |input| {
        property(&input);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{name}: {failure}");
    }
}

#[test]
fn the_path_decided_is_the_path_forwarded() {
    let pieces = &[
        "/",
        "//",
        ".",
        "..",
        "%2e",
        "%2E",
        "%2f",
        "%5c",
        "\\",
        "%25",
        "%252f",
        "%00",
        ";",
        "?",
        "#",
        ":",
        "@",
        "%3A",
        "%7B",
        "{",
        "*",
        "+",
        "%20",
        "é",
        "%c3%a9",
        "%c0%af",
        "/a",
        "/v1/orders",
        "https://a.example",
        "%",
        "%4",
    ];
    holds("path", properties::path, pieces);
}

#[test]
fn a_request_brings_one_credential_in_one_spelling() {
    let pieces = &[
        "Bearer ",
        "bearer",
        " ",
        ",",
        ".",
        "..",
        "=",
        "eyJhbGciOiJFUzI1NiJ9",
        "e30",
        "c2ln",
        "c2lnbg",
        "eyJhbGciOiJub25lIn0",
        "-",
        "_",
        "+",
        "/",
        "Basic ",
        "\t",
        "\"",
        "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    ];
    holds("credential", properties::credential, pieces);
}

#[test]
fn a_configuration_is_read_alike_and_shows_no_secret() {
    let pieces = &[
        "\n",
        "[",
        "]",
        "[routes.a]",
        "[routes.a.require]",
        "[upstreams.b]",
        "[process]",
        "[authorization_server]",
        "path = ",
        "\"/a/{b}/{*c}\"",
        "upstream = \"b\"",
        "public = true",
        "{ env = \"SECRET\" }",
        "secret = ",
        "endpoints = [\"http://a:1\"]",
        "\"",
        "'''",
        "=",
        ",",
        "{",
        "}",
        "#",
        "${SECRET}",
        "${",
        "\"10s\"",
        "-1",
        "1e400",
        "true",
        "1979-05-27",
        ".",
        "\"\"",
        "[token_endpoints.t]",
        "serve = \"embedded\"",
        "issuer = \"https://a.example\"",
    ];
    holds("configuration", properties::configuration, pieces);
}

#[test]
fn a_key_document_yields_keys_that_can_be_told_apart() {
    let pieces = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"keys\":",
        "\"kid\":\"a\"",
        "\"kty\":\"oct\"",
        "\"use\":\"enc\"",
        "\"key_ops\":[]",
        "\"d\":\"AA\"",
        "\"alg\":\"ES256\"",
        "\"alg\":\"none\"",
        "\"crv\":\"P-384\"",
        "null",
        "7",
        "k1",
        "k2",
        "AQAB",
        "A",
        "_",
        "=",
    ];
    holds("key_document", properties::key_document, pieces);
}

#[test]
fn a_token_is_issued_for_a_proof_only_and_nothing_is_repeated() {
    let pieces = &[
        "application/x-www-form-urlencoded",
        "application/json",
        "\n",
        "&",
        "=",
        "grant_type=client_credentials",
        "client_id=billing",
        "client_secret=canary-secret",
        "client_secret=",
        "scope=a",
        "scope=",
        "audience=",
        "resource=",
        "client_assertion=",
        "Basic ",
        "YmlsbGluZzpjYW5hcnktc2VjcmV0",
        ":",
        "%",
        "%63",
        "%ff",
        "+",
        "{",
        "}",
        "\"",
        ",",
        "\\u0063",
        "null",
        "[",
        "]",
    ];
    holds("token_request", properties::token_request, pieces);
}

#[test]
fn nobody_is_let_through_without_the_one_token_that_was_signed_for_the_route() {
    let pieces = &[
        "Bearer ",
        "bearer ",
        "Basic ",
        ".",
        "..",
        ",",
        " ",
        "=",
        "A",
        "_",
        "-",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiYXQrand0In0",
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0",
        "eyJzY29wZSI6InJlYWQifQ",
        "\"",
        "\t",
    ];
    holds("decision", properties::decision, pieces);
}

#[test]
fn only_what_an_issuer_calls_active_is() {
    let pieces = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"active\":true",
        "\"active\":false",
        "\"\\u0061ctive\":true",
        "\"exp\":1700000600",
        "\"exp\":1",
        "\"exp\":\"9\"",
        "\"nbf\":1800000000",
        "\"iss\":\"https://id.example\"",
        "\"iss\":\"https://other.example\"",
        "\"aud\":42",
        "\"aud\":[]",
        "\"cnf\":{}",
        "\"token_type\":\"DPoP\"",
        "\"token_type\":7",
        "\"scope\":[]",
        "null",
        "1e400",
        "true",
        "\"",
    ];
    holds("introspection", properties::introspection, pieces);
}

#[test]
fn a_connection_is_heard_in_one_way_however_it_is_cut() {
    let pieces = &[
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        "\n\n",
        " ",
        "\t",
        ":",
        "\0",
        "GET /b HTTP/1.1",
        "POST / HTTP/1.1\r\nhost: a\r\n",
        "HTTP/1.0",
        "HTTP/1.2",
        "host: a",
        "\r\ncontent-length: 5\r\n",
        "content-length: +5",
        "content-length: 0",
        "\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked",
        "transfer_encoding: chunked",
        "transfer-encoding : chunked",
        "connection: close",
        "connection: upgrade\r\nupgrade: h2c",
        "0\r\n\r\n",
        "3\r\nabc\r\n",
        "3\nabc\n",
        "ffffffffffffffff\r\n",
        "-1\r\n",
        "0x3\r\n",
        ";a=b",
        "\r\n x",
    ];
    holds("request_head", wire::request_head, pieces);
}

#[test]
fn a_load_balancer_says_who_calls_or_nothing_is_heard() {
    let pieces = &[
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "\r\n",
        "\n",
        " ",
        "192.0.2.7",
        "::ffff:192.0.2.7",
        "2001:db8::7",
        "0",
        "65536",
        "01",
        "\r\n\r\n\0\r\nQUIT\n",
        "!",
        "\u{11}",
        "\0",
        "\0\u{c}",
        "\u{3}\0\u{4}",
        "GET / HTTP/1.1\r\nhost: b\r\n\r\n",
    ];
    holds("proxy_header", wire::proxy_header, pieces);
}
