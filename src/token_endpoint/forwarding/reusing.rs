//! Owns: whether a request is answered with a token that its provider gave before.
//! Always holds: two requests are the same only if the provider would be told the very same, by the same client with the same
//! proof.

use http::HeaderValue;
use tracing::debug;

use super::{
    super::{
        ClientAuthentication,
        reuse::{KeyBuilder, Obtained, Reuse},
    },
    Asking, Failure, Forwarding, Presented,
    outgoing::Written,
};
use crate::secret::Secret;

impl Forwarding {
    /// The token that the provider gives for `asking`, or gave before for the same. `own` is what the client presented.
    pub(super) async fn obtain(
        &self,
        presented: &Presented,
        own: &ClientAuthentication,
        proof_of_possession: Option<&HeaderValue>,
        asking: Asking,
    ) -> Result<Obtained, Failure> {
        let arrival = asking.terms.arrival;
        let (Some(reuse), Some(client_id)) = (&self.reuse, &presented.client_id) else {
            return asking.go().await.map(Obtained::fresh);
        };
        if !Reuse::is_for(own, proof_of_possession, arrival) {
            return asking.go().await.map(Obtained::fresh);
        }
        let told = &presented.authentication;
        let bytes = |secret| Secret::expose(secret).as_bytes();
        let asker = reuse.asker(
            client_id,
            &[
                ("presented", own.secret().map(bytes)),
                ("told id", told.client_id().map(str::as_bytes)),
                ("told secret", told.secret().map(bytes)),
            ],
        );
        // Which organisation it is for counts for its quota, also where the provider is not told.
        let organization = asking.organization.as_deref().map(str::as_bytes);
        let key = reuse.key(asker).field("organization", organization);
        let key = asking.written.as_fields_of(key).finish();
        let obtained = reuse.obtain(asker, key, arrival.at, || asking.go()).await?;
        let (endpoint, is_reused) = (&*self.provider.endpoint, obtained.is_reused);
        debug!(endpoint, %client_id, is_reused, "a token of the provider is handed out");
        Ok(obtained)
    }
}

impl Written {
    /// Everything that the provider is told.
    fn as_fields_of(&self, key: KeyBuilder) -> KeyBuilder {
        let headers = self.headers.iter();
        let key = headers.fold(key, |key, (name, value)| key.field(name.as_str(), Some(value.as_bytes())));
        key.field("", Some(&self.body))
    }
}
