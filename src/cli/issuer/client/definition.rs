//! Owns: what a new client is, as the command line says it: turned into the body of the management API.
//! Refuses: what cannot be read. Whether it makes sense is decided by whoever registers it.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::{cli::usage::UsageError, config::HumanDuration};

/// The longest file that is read, in bytes; the API takes no longer body either.
const LONGEST_FILE_BYTES: u64 = 256 * 1024;

/// What a new client is and may.
#[derive(Debug, Default, Args)]
pub(super) struct DefinitionArguments {
    /// An API that it may ask a token for, and scopes of it; can be given for several
    #[arg(long = "grant", value_name = "AUDIENCE=SCOPE,SCOPE", value_parser = grant)]
    grants: Vec<(String, Vec<String>)>,
    /// A claim put into its tokens, its value as JSON; can be given several times
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// What it is, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The tenant that it belongs to
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// How long its tokens last, like 2h; 0s: for ever, where the API allows it
    #[arg(long, value_name = "DURATION", value_parser = HumanDuration::parse)]
    token_lifetime: Option<HumanDuration>,
    /// A way in which it may authenticate; default: those for which it has what is needed
    #[arg(long = "method", value_name = "METHOD", value_enum)]
    methods: Vec<Method>,
    /// A file with a public key of it, PEM or JWK; two at most
    #[arg(long = "public-key", value_name = "FILE", conflicts_with = "jwks_uri")]
    public_keys: Vec<PathBuf>,
    /// Where it publishes its public keys
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// What the `aud` of its assertions may be
    #[arg(long, value_enum)]
    assertion_audience: Option<AssertionAudience>,
    /// An issuer whose token it must present beside its id, in the plgd dialect; can be given several times
    #[arg(long = "assertion-issuer", value_name = "NAME")]
    assertion_issuers: Vec<String>,
    /// An organisation that it may ask a token for, in the auth0 dialect; can be given several times
    #[arg(long = "organization", value_name = "NAME")]
    organizations: Vec<String>,
    /// An API whose tokens it may introspect; can be given several times
    #[arg(long, value_name = "AUDIENCE")]
    introspects: Vec<String>,
    /// A JSON file with all of this, as the management API takes it; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "grants", "claims", "description", "owner", "tenant", "token_lifetime", "methods", "public_keys", "jwks_uri",
        "assertion_audience", "assertion_issuers", "organizations", "introspects",
    ])]
    from: Option<PathBuf>,
}

/// A way of client authentication, as OpenID Connect names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Method {
    ClientSecretBasic,
    ClientSecretPost,
    ClientSecretJwt,
    PrivateKeyJwt,
}

/// What the `aud` of an assertion may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum AssertionAudience {
    /// The issuer, as one string
    Issuer,
    /// The issuer, or the token endpoint's URL, alone or in a list
    TokenEndpoint,
}

impl DefinitionArguments {
    /// The body that registers it under `id`, if one is given.
    ///
    /// # Errors
    /// If a file cannot be read, or says another id.
    pub(super) fn body(&self, id: Option<&str>) -> anyhow::Result<Value> {
        let mut body = match &self.from {
            Some(file) => from_file(file)?,
            None => self.definition()?,
        };
        if let Some(id) = id {
            if body.get("id").is_some_and(|other| other != id) {
                return Err(UsageError::new(
                    "the file has another `id`: take it out, or give the client no other here",
                )
                .into());
            }
            body.insert("id".to_owned(), json!(id));
        }
        Ok(Value::Object(body))
    }

    fn definition(&self) -> anyhow::Result<Map<String, Value>> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
        put("description", self.description.as_ref().map(|text| json!(text)));
        put("grants", (!self.grants.is_empty()).then(|| self.all_grants()));
        put("claims", (!self.claims.is_empty()).then(|| self.claims.iter().cloned().collect()));
        put("owner", self.owner.as_ref().map(|name| json!(name)));
        put("tenant", self.tenant.as_ref().map(|name| json!(name)));
        put("token_lifetime_seconds", self.token_lifetime.map(whole_seconds).transpose()?);
        put("authentication_methods", (!self.methods.is_empty()).then(|| self.methods.iter().map(written).collect()));
        put("assertion_audience", self.assertion_audience.as_ref().map(written));
        put("assertion_issuers", list(&self.assertion_issuers));
        put("organizations", list(&self.organizations));
        put("introspects", list(&self.introspects));
        let keys = self.public_keys.iter().map(|file| public_key(file)).collect::<anyhow::Result<Vec<_>>>()?;
        put("public_keys", (!keys.is_empty()).then(|| json!(keys)));
        put("jwks_uri", self.jwks_uri.as_ref().map(|url| json!(url)));
        Ok(body)
    }

    /// An API that is given several times has all its scopes.
    fn all_grants(&self) -> Value {
        let mut grants: Map<String, Value> = Map::new();
        for (audience, scopes) in &self.grants {
            let known = grants.entry(audience.clone()).or_insert_with(|| json!([]));
            if let Some(known) = known.as_array_mut() {
                known.extend(scopes.iter().map(|scope| json!(scope)));
            }
        }
        Value::Object(grants)
    }
}

/// The name under which the API knows a value of an option.
fn written(value: &impl ValueEnum) -> Value {
    json!(value.to_possible_value().map(|value| value.get_name().to_owned()))
}

/// `AUDIENCE=SCOPE,SCOPE`. An audience may be a URL with a `=` in it, so the last one counts.
fn grant(text: &str) -> Result<(String, Vec<String>), String> {
    let split = text.rsplit_once('=').filter(|(audience, scopes)| !audience.is_empty() && !scopes.is_empty());
    let (audience, scopes) =
        split.ok_or("write an audience and scopes of it, like https://api.example.com=read,write")?;
    Ok((audience.to_owned(), scopes.split(',').map(str::to_owned).collect()))
}

/// `NAME=JSON`.
fn claim(text: &str) -> Result<(String, Value), String> {
    let split = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = split.ok_or("write a name and a value, like level=3")?;
    let value = serde_json::from_str(value)
        .map_err(|error| format!("the value is not JSON ({error}): a text has quotes, like '{name}=\"north\"'"))?;
    Ok((name.to_owned(), value))
}

fn whole_seconds(lifetime: HumanDuration) -> anyhow::Result<Value> {
    let duration = lifetime.0;
    if duration.subsec_nanos() != 0 {
        return Err(UsageError::new("--token-lifetime: tokens last for whole seconds: write 1s or more").into());
    }
    Ok(json!(duration.as_secs()))
}

/// A public key as the API takes it: a JWK as an object, PEM as text.
fn public_key(file: &Path) -> anyhow::Result<Value> {
    let text = read(file)?;
    if !text.trim_start().starts_with('{') {
        return Ok(json!(text));
    }
    let key: Map<String, Value> =
        serde_json::from_str(&text).with_context(|| format!("{} is neither PEM nor a JWK", file.display()))?;
    // Members of a private half (RFC 7518 section 6). It would be refused, and it should not even leave this machine.
    ensure!(
        !["d", "p", "q", "k"].iter().any(|member| key.contains_key(*member)),
        "{} holds a private key: register the public half only",
        file.display(),
    );
    Ok(Value::Object(key))
}

fn from_file(file: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(LONGEST_FILE_BYTES).read_to_string(&mut text).context("standard input cannot be read")?;
        text
    } else {
        read(file)?
    };
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no JSON object that says what a client is", file.display()))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    if text.contains("PRIVATE KEY") {
        bail!("{} holds a private key: register the public half only", file.display());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        definition: DefinitionArguments,
    }

    fn body(arguments: &[&str]) -> anyhow::Result<Value> {
        let line = Line::try_parse_from([&["postern"], arguments].concat())?;
        line.definition.body(Some("billing"))
    }

    #[test]
    fn every_option_has_its_place_in_the_definition() {
        let folder = tempfile::tempdir().unwrap();
        let (pem, jwk) = (folder.path().join("key.pem"), folder.path().join("key.json"));
        fs::write(&pem, "-----BEGIN PUBLIC KEY-----\n").unwrap();
        fs::write(&jwk, r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#).unwrap();
        let said = body(&[
            "--grant",
            "https://api.test/?a=b=read,write",
            "--grant",
            "users=list",
            "--grant",
            "users=show",
            "--claim",
            r#"region=["north","west"]"#,
            "--claim",
            "level=3",
            "--description",
            "Sends the invoices",
            "--owner",
            "ann",
            "--tenant",
            "acme",
            "--token-lifetime",
            "2h",
            "--method",
            "private_key_jwt",
            "--method",
            "client_secret_post",
            "--public-key",
            pem.to_str().unwrap(),
            "--public-key",
            jwk.to_str().unwrap(),
            "--organization",
            "org_1",
            "--introspects",
            "users",
            "--assertion-audience",
            "token_endpoint",
            "--assertion-issuer",
            "corp",
        ]);
        let expected = json!({
            "id": "billing", "description": "Sends the invoices",
            "grants": { "https://api.test/?a=b": ["read", "write"], "users": ["list", "show"] },
            "claims": { "region": ["north", "west"], "level": 3 },
            "owner": "ann", "tenant": "acme", "token_lifetime_seconds": 7200,
            "authentication_methods": ["private_key_jwt", "client_secret_post"],
            "assertion_audience": "token_endpoint", "assertion_issuers": ["corp"],
            "organizations": ["org_1"], "introspects": ["users"],
            "public_keys": ["-----BEGIN PUBLIC KEY-----\n", { "kty": "OKP", "crv": "Ed25519", "x": "AA" }],
        });
        assert_eq!(said.unwrap(), expected);
        // The management API knows every member.
        let mut definition = expected;
        definition.as_object_mut().unwrap().remove("id");
        let read: crate::authorization_server::client::ClientDefinition = serde_json::from_value(definition).unwrap();
        assert_eq!(read.token_lifetime_seconds, Some(7200));
        let published = body(&["--jwks-uri", "https://a.test/jwks"]).unwrap();
        assert_eq!(published, json!({ "id": "billing", "jwks_uri": "https://a.test/jwks" }));
    }

    #[test]
    fn a_file_says_it_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.json");
        let from = file.to_str().unwrap();
        fs::write(&file, r#"{"owner":"ann"}"#).unwrap();
        assert_eq!(body(&["--from", from]).unwrap(), json!({ "owner": "ann", "id": "billing" }));
        fs::write(&file, r#"{"id":"billing"}"#).unwrap();
        assert_eq!(body(&["--from", from]).unwrap(), json!({ "id": "billing" }));
        for wrong in [r#"{"id":"other"}"#, "[]", "{", ""] {
            fs::write(&file, wrong).unwrap();
            assert!(body(&["--from", from]).is_err(), "{wrong}");
        }
        assert!(body(&["--from", from, "--owner", "ann"]).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_write() {
        for (arguments, remedy) in [
            (&["--grant", "users"][..], "like https://api.example.com=read,write"),
            (&["--grant", "users="], "like https://api.example.com=read,write"),
            (&["--claim", "region"], "like level=3"),
            (&["--claim", "region=north"], "region=\"north\""),
            (&["--token-lifetime", "soon"], "like \"30s\""),
            (&["--token-lifetime", "1500ms"], "whole seconds"),
            (&["--method", "password"], "client_secret_basic"),
            (&["--assertion-audience", "anything"], "token_endpoint"),
            (&["--public-key", "/nowhere/at/all"], "cannot be read"),
            (&["--jwks-uri", "https://a.test", "--public-key", "x"], "cannot be used with"),
        ] {
            let error = format!("{:#}", body(arguments).unwrap_err());
            assert!(error.contains(remedy), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_private_key_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for private in ["-----BEGIN PRIVATE KEY-----\ncanary", r#"{"kty":"OKP","x":"AA","d":"canary"}"#] {
            fs::write(&file, private).unwrap();
            let error = format!("{:#}", body(&["--public-key", file.to_str().unwrap()]).unwrap_err());
            assert!(error.contains("private key") && !error.contains("canary"), "{error}");
        }
    }
}
