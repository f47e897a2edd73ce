#!/bin/sh
# Makes the secrets of a new cluster in .env, once. Keep a copy: without the encryption key the database is of no use.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
  echo ".env is there already; nothing was changed" >&2
  exit 1
fi
umask 077
cat > .env <<END
POSTGRES_PASSWORD=$(openssl rand -hex 32)
AGENTCAL_ENCRYPTION_KEYS=k1:$(openssl rand -base64 32)
AGENTCAL_PEER_SECRET=$(openssl rand -hex 32)
AGENTCAL_PUBLIC_URL=http://localhost:8080
END
