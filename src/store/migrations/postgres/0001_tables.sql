-- Moments are milliseconds since the Unix epoch. NULL in `expires_at` is "never".

-- One row: the number of the last change, and up to which change tombstones have been swept away.
CREATE TABLE revision (
    singleton SMALLINT NOT NULL PRIMARY KEY CHECK (singleton = 1),
    value BIGINT NOT NULL,
    oldest BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    marked_at BIGINT NOT NULL
);
INSERT INTO revision (singleton, value, oldest, mark, marked_at) VALUES (1, 0, 0, 0, 0);

-- What belongs to the installation as a whole.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- A document that is NULL is the tombstone of a removed record.
CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    document TEXT,
    PRIMARY KEY (kind, id)
);
CREATE INDEX records_by_revision ON records (revision, kind, id);

CREATE TABLE issued_tokens (
    id BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    dialect TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT,
    key_id TEXT NOT NULL,
    name TEXT,
    owner TEXT,
    tenant TEXT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT,
    original_claims TEXT
);
CREATE INDEX issued_tokens_by_time ON issued_tokens (issued_at, id);
CREATE INDEX issued_tokens_by_client ON issued_tokens (client_id, issued_at);
CREATE INDEX issued_tokens_by_owner ON issued_tokens (owner, issued_at) WHERE owner IS NOT NULL;
CREATE INDEX issued_tokens_by_tenant ON issued_tokens (tenant, issued_at) WHERE tenant IS NOT NULL;
CREATE INDEX issued_tokens_by_key ON issued_tokens (key_id, expires_at);
CREATE INDEX issued_tokens_by_end ON issued_tokens (expires_at);

-- Without a foreign key: a token can be revoked that was never recorded.
CREATE TABLE revocations (
    token_id BYTEA NOT NULL PRIMARY KEY,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT,
    revision BIGINT NOT NULL
);
CREATE INDEX revocations_by_revision ON revocations (revision, token_id);
CREATE INDEX revocations_by_end ON revocations (expires_at);

CREATE TABLE taken_assertions (
    client_id TEXT NOT NULL,
    jti_hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
);
CREATE INDEX taken_assertions_by_end ON taken_assertions (expires_at);

CREATE TABLE refresh_tokens (
    hash BYTEA NOT NULL PRIMARY KEY,
    api_token_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_by_api_token ON refresh_tokens (api_token_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

CREATE TABLE audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
