#!/bin/sh
# Run once by the image, in an empty data folder: the role nodes use, and its database.
set -eu
psql -v ON_ERROR_STOP=1 -U postgres -v password="$POSTGRES_PASSWORD" <<'END'
CREATE ROLE agentcal LOGIN PASSWORD :'password';
CREATE DATABASE agentcal OWNER agentcal;
END
