#!/bin/sh
# Makes the secrets of a new cluster in .env, once. Keep a copy: without the encryption key the database is of no use.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
  echo ".env is there already; nothing was changed" >&2
  exit 1
fi
umask 077
# Each on a line of its own: a failure inside the text below would stop nobody.
postgres_password=$(openssl rand -hex 32)
encryption_key=$(openssl rand -base64 32)
peer_secret=$(openssl rand -hex 32)
cat > .env.new <<END
POSTGRES_PASSWORD=$postgres_password
AGENTCAL_ENCRYPTION_KEYS=k1:$encryption_key
AGENTCAL_PEER_SECRET=$peer_secret
AGENTCAL_PUBLIC_URL=http://localhost:8080
END
# Whole or not at all.
mv .env.new .env
