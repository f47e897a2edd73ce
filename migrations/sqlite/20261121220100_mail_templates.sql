-- What mails look like. A name is that of a kind of mail, and value its template; or it is 'branding'. Both as JSON.

CREATE TABLE organization_mail_settings (
    organization_id BLOB NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    mode            TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    name            TEXT NOT NULL,
    value           TEXT NOT NULL,
    PRIMARY KEY (organization_id, mode, name)
) STRICT;

CREATE TABLE account_mail_settings (
    account_id BLOB NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT;
