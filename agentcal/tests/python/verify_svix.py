"""Verifies captured messages with Svix's library, with each secret that was in use, and that it takes none that was changed.

usage: verify_svix.py MESSAGES, a JSON file: [{"secrets": [..], "headers": {..}, "body": ..}, ..]
Prints how many signatures were verified.
"""

import json
import sys

from svix.webhooks import Webhook, WebhookVerificationError

with open(sys.argv[1], encoding="utf-8") as file:
    messages = json.load(file)
count = 0
for message in messages:
    body, headers = message["body"], message["headers"]
    for secret in message["secrets"]:
        Webhook(secret).verify(body, headers)
        count += 1
        try:
            Webhook(secret).verify(body + " ", headers)
        except WebhookVerificationError:
            continue
        raise AssertionError(f"a changed body is verified: {headers}")
print(count)
