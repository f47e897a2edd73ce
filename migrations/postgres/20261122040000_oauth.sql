-- Connecting by consent: attempts under way, what organizations set for it, and grants that are to be given back.

ALTER TABLE connections ADD COLUMN credentials_version bigint NOT NULL DEFAULT 0;
-- Who owns the mailbox, by a name the provider never changes; and the client it was granted to.
ALTER TABLE connections ADD COLUMN provider_subject text;
ALTER TABLE connections ADD COLUMN oauth_client_id text;
CREATE INDEX connections_by_subject ON connections (provider, provider_subject) WHERE provider_subject IS NOT NULL;
CREATE INDEX connections_by_name ON connections (account_id, provider, display_name);

CREATE TABLE oauth_attempts (
    account_id   uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    attempt_id   uuid NOT NULL,
    provider     text NOT NULL CHECK (provider IN ('google', 'microsoft')),
    client_id    text NOT NULL,
    redirect_url text NOT NULL,
    verifier     bytea NOT NULL,
    expires_at   bigint NOT NULL,
    PRIMARY KEY (account_id, attempt_id)
);
CREATE INDEX oauth_attempts_by_end ON oauth_attempts (account_id, expires_at);

ALTER TABLE oauth_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON oauth_attempts
    USING (account_id = agentcal_account() OR agentcal_all_accounts());

CREATE TABLE organization_redirect_urls (
    organization_id uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    url             text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, url)
);

-- An organization's own client at a provider: its name and its secret, sealed together.
CREATE TABLE organization_oauth_clients (
    organization_id uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    provider        text NOT NULL CHECK (provider IN ('google', 'microsoft')),
    client          bytea NOT NULL,
    PRIMARY KEY (organization_id, provider)
);

-- Sealed by the organization's key: an account's is gone when its grants are given back.
CREATE TABLE oauth_revocations (
    revocation_id   uuid NOT NULL PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    provider        text NOT NULL CHECK (provider IN ('google', 'microsoft')),
    subject         text NOT NULL,
    client_id       text NOT NULL,
    credentials     bytea NOT NULL,
    attempts        bigint NOT NULL,
    due_at          bigint NOT NULL
);
CREATE INDEX oauth_revocations_by_due ON oauth_revocations (due_at);
