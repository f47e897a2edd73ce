"""Verifies captured messages with two libraries, and that neither takes one that was changed.

usage: verify_webhooks.py MESSAGES, a JSON file: [{"secret": .., "headers": {..}, "body": ..}, ..]
Prints how many were verified by both.
"""

import json
import sys

import standardwebhooks
import svix


def verifies(library, secret, body, headers):
    try:
        library.Webhook(secret).verify(body, headers)
    except library.WebhookVerificationError:
        return False
    return True


def main(path):
    with open(path, encoding="utf-8") as file:
        messages = json.load(file)
    libraries = [standardwebhooks.webhooks, svix.webhooks]
    for message in messages:
        secret, body, headers = message["secret"], message["body"], message["headers"]
        for library in libraries:
            assert verifies(library, secret, body, headers), (library.__name__, headers)
            assert not verifies(library, secret, body + " ", headers), (library.__name__, "a changed body")
            other = {**headers, "webhook-id": headers["webhook-id"][:-1] + "_"}
            assert not verifies(library, secret, body, other), (library.__name__, "a changed id")
    print(len(messages))


main(sys.argv[1])
