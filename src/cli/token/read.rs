//! Owns: taking a token apart for showing it, more leniently than verification does.
//! Refuses: what has no header and claims in clear: opaque and encrypted tokens.
//! Always holds: the signature is counted and dropped.

use anyhow::{Context as _, bail};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::{Map, Value};

/// Base64 of either alphabet, padded or not, with any unused bits.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// What could be read of a token.
#[derive(Debug)]
pub(super) struct ReadToken {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) signature_bytes: usize,
}

impl ReadToken {
    /// Takes `token` apart.
    pub(super) fn parse(token: &str) -> anyhow::Result<Self> {
        let parts: Vec<&str> = token.splitn(6, '.').collect();
        let (header, claims, signature) = match parts.as_slice() {
            [header, claims, signature] => (*header, *claims, *signature),
            [_, _, _, _, _] => bail!("this is an encrypted token (JWE, RFC 7516): only its recipient can read it"),
            [_] => bail!("this is not a JWT but an opaque token: only its issuer knows what it means"),
            _ => bail!("this is not a JWT: a JWT has three parts with dots between them"),
        };
        Ok(Self {
            header: object(header).context("the header cannot be read")?,
            claims: object(claims).context("the claims cannot be read")?,
            signature_bytes: decode(signature).map_or(signature.len(), |signature| signature.len()),
        })
    }
}

fn object(part: &str) -> anyhow::Result<Map<String, Value>> {
    let text = decode(part).context("it is not base64url")?;
    // The cause would quote nothing of the token: serde_json names places and kinds.
    serde_json::from_slice(&text).context("it is not a JSON object")
}

fn decode(part: &str) -> Option<Vec<u8>> {
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    url_safe.decode(part).or_else(|_| standard.decode(part)).ok()
}
