-- What a store of one process keeps for ports that know many nodes.

-- The process that took over last; its shards all stand under store_state.epoch.
ALTER TABLE store_state ADD COLUMN owner BLOB;

-- Ids of commits that more than one node might have performed. A row says that nobody may do so any more.
CREATE TABLE used_commits (
    account_id   BLOB    NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    commit_id    BLOB    NOT NULL CHECK (length(commit_id) = 16),
    is_performed INTEGER NOT NULL CHECK (is_performed IN (0, 1)),
    used_at      INTEGER NOT NULL,
    PRIMARY KEY (account_id, commit_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_commits_by_age ON used_commits (used_at);
