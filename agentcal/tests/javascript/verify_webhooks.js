// Verifies captured messages with two libraries, and that neither takes one that was changed.
//
// usage: verify_webhooks.js MESSAGES, a JSON file: [{"secret": .., "headers": {..}, "body": ..}, ..]
// Prints how many were verified by both.
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");

const LIBRARIES = { standardwebhooks: require("standardwebhooks"), svix: require("svix") };

function verifies(library, secret, body, headers) {
  try {
    new library.Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof library.WebhookVerificationError) return false;
    throw error;
  }
}

const messages = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
for (const { secret, body, headers } of messages) {
  const other = { ...headers, "webhook-id": `${headers["webhook-id"].slice(0, -1)}_` };
  for (const [name, library] of Object.entries(LIBRARIES)) {
    assert(verifies(library, secret, body, headers), `${name}: ${JSON.stringify(headers)}`);
    assert(!verifies(library, secret, `${body} `, headers), `${name}: a changed body`);
    assert(!verifies(library, secret, body, other), `${name}: a changed id`);
  }
}
console.log(messages.length);
