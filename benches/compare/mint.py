"""Makes keys, a certificate and tokens. Runs in the virtual environment, because it needs the library cryptography.

mint.py FOLDER keys                     keys, their JWKS, and a certificate
mint.py FOLDER tokens ISSUER KIND...    a file NAME.tokens, one token a line, for each KIND: NAME:ALGORITHM:COUNT[:FLAW]
"""

import base64
import datetime
import ipaddress
import json
import multiprocessing
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

AUDIENCE = "https://api.test/orders"
_GENERATE = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(algorithm, public):
    common = {"kid": algorithm, "use": "sig", "alg": algorithm}
    if algorithm == "RS256":
        numbers = public.public_numbers()
        n, e = (base64url(x.to_bytes((x.bit_length() + 7) // 8, "big")) for x in (numbers.n, numbers.e))
        return {"kty": "RSA", "n": n, "e": e, **common}
    if algorithm == "ES256":
        numbers = public.public_numbers()
        x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, **common}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), **common}


def write_private(path, key):
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    path.chmod(0o644)  # nginx's and haproxy's workers may be others than who runs this; the folder goes when the run ends.


def make_keys(folder):
    published = []
    for algorithm, generate in _GENERATE.items():
        key = generate()
        write_private(folder / f"{algorithm}.key", key)
        write_private(folder / f"{algorithm}-forger.key", generate())
        public = key.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{algorithm}.pub").write_bytes(pem)
        published.append(jwk(algorithm, public))
    (folder / "jwks.json").write_text(json.dumps({"keys": published}))
    make_certificate(folder)


def make_certificate(folder):
    """A certificate with a P-256 key, signed by itself; once more with its key in one file, as haproxy wants it."""
    key = _GENERATE["ES256"]()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    write_private(folder / "tls.key", key)
    (folder / "tls.pem").write_bytes(pem)
    (folder / "tls-both.pem").write_bytes(pem + (folder / "tls.key").read_bytes())


def signature(algorithm, key, signed):
    if algorithm == "RS256":
        return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    if algorithm == "EdDSA":
        return key.sign(signed)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def mint(work):
    """Some tokens of one kind, numbered, so that none is like another."""
    folder, issuer, name, algorithm, flaw, first, count = work
    file = f"{algorithm}-forger.key" if flaw == "forged" else f"{algorithm}.key"
    key = serialization.load_pem_private_key((folder / file).read_bytes(), password=None)
    header = base64url(json.dumps({"alg": algorithm, "kid": algorithm, "typ": "at+jwt"}).encode())
    now = int(time.time())
    until = now - 7200 if flaw == "expired" else now + 43200
    scope = "orders:write" if flaw == "noscope" else "orders:read"
    tokens = []
    for number in range(first, first + count):
        claims = {
            "iss": issuer, "aud": AUDIENCE, "sub": f"client-{number}", "client_id": f"client-{number}", "scope": scope,
            "iat": min(now, until - 3600), "exp": until, "jti": f"{name}-{number}", "tenant_id": "acme",
        }  # fmt: skip
        signed = f"{header}.{base64url(json.dumps(claims).encode())}"
        tokens.append(f"{signed}.{base64url(signature(algorithm, key, signed.encode()))}")
    return tokens


def make_tokens(folder, issuer, kinds):
    with multiprocessing.Pool() as pool:
        for kind in kinds:
            name, algorithm, count, *flaw = kind.split(":")
            count, step = int(count), 500
            work = [
                (folder, issuer, name, algorithm, flaw[0] if flaw else "", first, min(step, count - first))
                for first in range(0, count, step)
            ]
            with open(folder / f"{name}.tokens", "w") as file:
                for tokens in pool.imap(mint, work):
                    file.writelines(f"{token}\n" for token in tokens)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if sys.argv[2] == "keys":
        make_keys(where)
    else:
        make_tokens(where, sys.argv[3], sys.argv[4:])
