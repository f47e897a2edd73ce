-- Connecting by consent: attempts under way, what organizations set for it, and grants that are to be given back.

ALTER TABLE connections ADD COLUMN credentials_version INTEGER NOT NULL DEFAULT 0;
-- Who owns the mailbox, by a name the provider never changes; and the client it was granted to.
ALTER TABLE connections ADD COLUMN provider_subject TEXT;
ALTER TABLE connections ADD COLUMN oauth_client_id TEXT;
CREATE INDEX connections_by_subject ON connections (provider, provider_subject) WHERE provider_subject IS NOT NULL;
CREATE INDEX connections_by_name ON connections (account_id, provider, display_name);

CREATE TABLE oauth_attempts (
    account_id   BLOB NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    attempt_id   BLOB NOT NULL,
    provider     TEXT NOT NULL CHECK (provider IN ('google', 'microsoft')),
    client_id    TEXT NOT NULL,
    redirect_url TEXT NOT NULL,
    verifier     BLOB NOT NULL,
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (account_id, attempt_id)
) STRICT;
CREATE INDEX oauth_attempts_by_end ON oauth_attempts (account_id, expires_at);

CREATE TABLE organization_redirect_urls (
    organization_id BLOB NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    url             TEXT NOT NULL,
    PRIMARY KEY (organization_id, url)
) STRICT;

-- An organization's own client at a provider: its name and its secret, sealed together.
CREATE TABLE organization_oauth_clients (
    organization_id BLOB NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    provider        TEXT NOT NULL CHECK (provider IN ('google', 'microsoft')),
    client          BLOB NOT NULL,
    PRIMARY KEY (organization_id, provider)
) STRICT;

-- Sealed by the organization's key: an account's is gone when its grants are given back.
CREATE TABLE oauth_revocations (
    revocation_id   BLOB NOT NULL PRIMARY KEY,
    organization_id BLOB NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    provider        TEXT NOT NULL CHECK (provider IN ('google', 'microsoft')),
    subject         TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    credentials     BLOB NOT NULL,
    attempts        INTEGER NOT NULL,
    due_at          INTEGER NOT NULL
) STRICT;
CREATE INDEX oauth_revocations_by_due ON oauth_revocations (due_at);
