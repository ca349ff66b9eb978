"""Plays a client of the embedded issuer, and a resource server behind it, with a library that was not written here.

All that it is told is the issuer's name, its credentials and the URL of an API. What it believes of the rest stands in the
documents that the issuer publishes. Takes a JSON object on its standard input and the authorities that it believes from
REQUESTS_CA_BUNDLE, and ends with 0 if everything was as the RFCs say; see tests/integration/oauth_client_library.rs, which starts it.
"""

import json
import sys
import time

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import ECKey, KeySet

SECONDS = 20


class World:
    """What the script was told, and what it found out."""

    def __init__(self, told):
        self.told = told
        self.metadata = None

    def fetch(self, url):
        answer = requests.get(url, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def session(self, method, **changes):
        """A client that authenticates by `method`, knowing the token endpoint from the metadata alone."""
        settings = {
            "client_id": self.told["client_id"],
            "client_secret": self.told["client_secret"],
            "token_endpoint_auth_method": method,
            "revocation_endpoint_auth_method": method,
            "token_endpoint": self.metadata["token_endpoint"],
            "grant_type": "client_credentials",
            "default_timeout": SECONDS,
        }
        return OAuth2Session(**(settings | changes))

    def signer(self, client_id, audience, **changes):
        """A client that authenticates by a key, and names `audience` in its assertions."""
        key = ECKey.import_key(self.told["private_key"])
        session = self.session("private_key_jwt", **({"client_id": client_id, "client_secret": key} | changes))
        session.register_client_auth_method(ShortLived(audience, alg="ES256"))
        return session

    def validator(self):
        return ResourceServer(self)


class ShortLived(PrivateKeyJWT):
    """Assertions that are good for a minute and once. Left alone the library lets them last for an hour, and gives all that
    one of these objects signs the `jti` of the first."""

    def sign(self, auth, token_endpoint):
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


class ResourceServer(JWTBearerTokenValidator):
    """Somebody else's API, which verifies the issuer's tokens by itself (RFC 9068 section 4)."""

    def __init__(self, world):
        super().__init__(issuer=world.told["issuer"], resource_server=world.told["audience"])
        self.world = world
        # As if the issuer had rotated since the last look: a key is known, and it is not the one that signs.
        self.keys = KeySet([ECKey.generate_key("P-256", {"kid": "before"})])
        self.fetches = 0

    def get_jwks(self):
        return self.keys

    def verify(self, token, scopes=()):
        """Verifies a token, after one look at the key document if its key is not known yet."""
        try:
            claims = self.authenticate_token(token)
        except (InvalidTokenError, ValueError):
            self.fetches += 1
            self.keys = KeySet.import_key_set(self.world.fetch(self.world.metadata["jwks_uri"]))
            claims = self.authenticate_token(token)
        self.validate_token(claims, list(scopes), None)
        return claims


def discovery(world):
    """Both documents are where the issuer's name says, and are sound by the library's own rules (RFC 8414)."""
    issuer = world.told["issuer"]
    oauth = world.fetch(get_well_known_url(issuer, external=True))
    openid = world.fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
    # Required, and empty where there is no authorization endpoint. The library takes an empty list for none at all.
    equal(oauth["response_types_supported"], [])
    AuthorizationServerMetadata(oauth | {"response_types_supported": ["none"]}).validate()
    for document in (oauth, openid):
        equal(document["issuer"], issuer)
    for name, value in oauth.items():
        equal(openid[name], value)
    world.metadata = oauth


def secrets(world):
    """A token by either way to send a secret; it opens the route, and a resource server elsewhere agrees with it."""
    told = world.told
    for method in ("client_secret_basic", "client_secret_post"):
        member(method, world.metadata["token_endpoint_auth_methods_supported"])
        session = world.session(method)
        token = session.fetch_token(audience=told["audience"], scope=told["scope"])
        equal((token["token_type"], token["scope"]), ("Bearer", told["scope"]))
        absent(token, "refresh_token")
        claims = world.validator().verify(token["access_token"], [told["scope"]])
        equal((claims["client_id"], claims["sub"]), (told["client_id"], told["client_id"]))
        equal(claims["exp"] - claims["iat"], token["expires_in"])
        equal(session.get(told["route"]).status_code, 200)


def expiry(world):
    """A token that the library takes for expired is replaced by it on the way to the route."""
    session = world.session("client_secret_basic")
    first = session.fetch_token(audience=world.told["audience"])
    session.token = dict(first, expires_at=1)
    equal(session.get(world.told["route"]).status_code, 200)
    different(session.token["access_token"], first["access_token"])


def keys(world):
    """A resource server that does not know the key yet finds it, and keeps it."""
    validator = world.validator()
    for _ in range(2):
        token = world.session("client_secret_basic").fetch_token(audience=world.told["audience"])
        validator.verify(token["access_token"])
    equal(validator.fetches, 1)
    forged = token["access_token"][:-8] + "AAAAAAAA"
    refused(InvalidTokenError, lambda: validator.verify(forged))
    refused(InsufficientScopeError, lambda: validator.verify(token["access_token"], ["nobody:has"]))


def refusals(world):
    """Every refusal is one that the library understands."""
    told = world.told
    for changes, request, error in [
        ({}, {}, None),
        ({"client_secret": told["client_secret"] + "x"}, {}, "invalid_client"),
        ({"client_id": "nobody"}, {}, "invalid_client"),
        ({}, {"scope": told["scope_not_granted"]}, "invalid_scope"),
        ({}, {"audience": "https://nobody.example/"}, "invalid_target"),
        ({}, {"grant_type": "password", "username": "u", "password": "p"}, "unsupported_grant_type"),
        ({}, {"grant_type": "refresh_token", "refresh_token": "r"}, "unsupported_grant_type"),
    ]:
        for method in ("client_secret_basic", "client_secret_post"):
            ask = lambda: world.session(method, **changes).fetch_token(**({"audience": told["audience"]} | request))
            if error is None:
                ask()
            else:
                equal(refused(OAuthError, ask).error, error)

    session = world.session("client_secret_basic")
    good = session.fetch_token(audience=told["audience"])
    challenged(session.get(told["route_not_granted"]), 403, 'error="insufficient_scope"')
    session.token = dict(good, access_token=good["access_token"][:-8] + "AAAAAAAA")
    challenged(session.get(told["route"]), 401, 'error="invalid_token"')
    challenged(session.get(told["route"], withhold_token=True), 401, "Bearer")


def private_keys(world):
    """A token for who signs an assertion, with the issuer as its audience or, where the issuer allows it, the endpoint."""
    told = world.told
    member("private_key_jwt", world.metadata["token_endpoint_auth_methods_supported"])
    for client_id, audience in (("signer", told["issuer"]), ("auditor", world.metadata["token_endpoint"])):
        session = world.signer(client_id, audience)
        for _ in range(2):
            token = session.fetch_token(audience=told["audience"], scope=told["scope"])
        claims = world.validator().verify(token["access_token"], [told["scope"]])
        equal((claims["client_id"], claims["sub"]), (client_id, client_id))
        equal(session.get(told["route"]).status_code, 200)


def assertions(world):
    """An assertion that is good for too long, that is used again, or that is another's is refused."""
    told = world.told
    issuer, endpoint = told["issuer"], world.metadata["token_endpoint"]
    ask = lambda session: session.fetch_token(audience=told["audience"])
    other = ECKey.generate_key("P-256")
    for session in (
        world.signer("signer", endpoint),
        world.signer("signer", "https://elsewhere.example/"),
        world.signer("signer", issuer, client_secret=other),
        world.signer("billing", issuer),
        world.signer("nobody", issuer),
    ):
        equal(refused(OAuthError, lambda: ask(session)).error, "invalid_client")

    session = world.signer("signer", issuer)
    session.register_client_auth_method(PrivateKeyJWT(issuer, alg="ES256"))
    equal(refused(OAuthError, lambda: ask(session)).error, "invalid_client")
    session.register_client_auth_method(PrivateKeyJWT(issuer, {"exp": int(time.time()) + 60}, alg="ES256"))
    ask(session)
    equal(refused(OAuthError, lambda: ask(session)).error, "invalid_client")
    session.register_client_auth_method(ShortLived(issuer, alg="ES256"))
    ask(session)


def introspection(world):
    """A client learns about its own tokens, and about those of an API that it was told it may look at (RFC 7662)."""
    told, endpoint = world.told, world.metadata["introspection_endpoint"]
    own = world.session("client_secret_basic")
    token = own.fetch_token(audience=told["audience"])
    look = lambda session, text: session.introspect_token(endpoint, token=text)
    for session in (
        own,
        world.session("client_secret_post"),
        world.signer("auditor", world.metadata["token_endpoint"]),
    ):
        said = look(session, token["access_token"])
        equal((said.status_code, said.headers["Cache-Control"]), (200, "no-store"))
        said = said.json()
        claims = world.validator().verify(token["access_token"])
        equal((said["active"], said["client_id"]), (True, told["client_id"]))
        for name in ("iss", "aud", "sub", "scope", "exp", "iat", "jti"):
            equal(said[name], claims[name])
    stranger = world.signer("signer", told["issuer"])
    for session, text in (
        (stranger, token["access_token"]),
        (own, token["access_token"][:-8] + "AAAAAAAA"),
        (own, "no token"),
    ):
        equal(look(session, text).json(), {"active": False})
    wrong = look(world.session("client_secret_basic", client_secret="wrong"), token["access_token"])
    equal((wrong.status_code, wrong.json()["error"]), (401, "invalid_client"))


def revocation(world):
    """A client takes back its own token, which is refused from the answer on, and nobody else's (RFC 7009)."""
    told, endpoint = world.told, world.metadata["revocation_endpoint"]
    session = world.session("client_secret_basic")
    token = session.fetch_token(audience=told["audience"])
    other = session.fetch_token(audience=told["audience"])
    active = lambda token: session.introspect_token(
        world.metadata["introspection_endpoint"], token=token["access_token"]
    ).json()["active"]
    session.token = token
    equal(session.get(told["route"]).status_code, 200)

    stranger = world.signer("signer", told["issuer"])
    equal(stranger.revoke_token(endpoint, token=token["access_token"]).status_code, 200)
    equal(active(token), True)
    for _ in range(2):
        answer = session.revoke_token(endpoint, token=token["access_token"], token_type_hint="access_token")
        equal(answer.status_code, 200)
        equal((active(token), active(other)), (False, True))
    equal(session.revoke_token(endpoint, token="no token").status_code, 200)
    session.token = token
    challenged(session.get(told["route"]), 401, 'error="invalid_token"')
    session.token = other
    equal(session.get(told["route"]).status_code, 200)

    own = stranger.fetch_token(audience=told["audience"])
    equal(stranger.revoke_token(endpoint, token=own["access_token"]).status_code, 200)
    equal(active(own), False)


def equal(found, expected):
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def different(found, other):
    if found == other:
        raise AssertionError(f"found {found!r} again")


def member(value, values):
    if value not in values:
        raise AssertionError(f"{value!r} is not in {values!r}")


def absent(mapping, name):
    if name in mapping:
        raise AssertionError(f"{name!r} is there")


def refused(kind, action):
    try:
        action()
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


def challenged(answer, status, part):
    equal(answer.status_code, status)
    member(part, answer.headers["WWW-Authenticate"])


STEPS = [discovery, secrets, expiry, keys, refusals, private_keys, assertions, introspection, revocation]


def main():
    world = World(json.load(sys.stdin))
    for step in STEPS:
        step(world)
        print(step.__name__, flush=True)


if __name__ == "__main__":
    main()
