-- What mails look like. A name is that of a kind of mail, and value its template; or it is 'branding'. Both as JSON.

CREATE TABLE organization_mail_settings (
    organization_id uuid NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    mode            text NOT NULL CHECK (mode IN ('live', 'test')),
    name            text NOT NULL,
    value           text NOT NULL,
    PRIMARY KEY (organization_id, mode, name)
);

CREATE TABLE account_mail_settings (
    account_id uuid NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    name       text NOT NULL,
    value      text NOT NULL,
    PRIMARY KEY (account_id, name)
);

ALTER TABLE account_mail_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_mail_settings FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON account_mail_settings
    USING (account_id = agentcal_account() OR agentcal_all_accounts());
