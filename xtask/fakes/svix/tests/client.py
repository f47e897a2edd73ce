"""Drives a server with Svix's own client: arguments are its base URL and a token. Endpoints are served here."""

import json
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from svix.api import (
    ApplicationIn,
    EndpointIn,
    EndpointPatch,
    EndpointSecretRotateIn,
    EventTypeIn,
    MessageAttemptListByMsgOptions,
    MessageIn,
    RecoverIn,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.webhooks import Webhook

base_url, token = sys.argv[1:3]
heard = []
failing = {"/one": 1}


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        heard.append((self.path, dict(self.headers), body))
        fails = failing.get(self.path, 0) > 0
        failing[self.path] = failing.get(self.path, 0) - 1
        self.send_response(500 if fails else 200)
        self.end_headers()
        self.wfile.write(b"heard")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"


def until(condition, what):
    bound = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < bound, f"waited for {what}: {heard}"
        time.sleep(0.01)


def refused(action):
    try:
        action()
    except (HttpError, HTTPValidationError) as error:
        return error.status_code
    return None


svix = Svix(token, SvixOptions(server_url=base_url))
app = "org_1_live"
made = svix.application.get_or_create(ApplicationIn(name="One", uid=app))
said = {"application": made.uid, "made_once": made.id == svix.application.get_or_create(ApplicationIn(name="One", uid=app)).id}
one = EndpointIn(url=f"{here}/one", uid="hook_1", event_types=["booking.created"], channels=["acct_1"])
said["unknown_event_type"] = refused(lambda: svix.endpoint.create(app, one))
for name in ["booking.created", "booking.cancelled"]:
    svix.event_type.create(EventTypeIn(name=name, description=name))
many = EndpointIn(url=f"{here}/one", channels=[f"acct_{number}" for number in range(11)])
said["too_many_channels"] = refused(lambda: svix.endpoint.create(app, many))
said["uid_like_an_id"] = refused(lambda: svix.endpoint.create(app, EndpointIn(url=here, uid="ep_1")))
said["wrong_token"] = refused(lambda: Svix("another", SvixOptions(server_url=base_url)).application.get(app))
svix.endpoint.create(app, one)
said["same_endpoint"] = refused(lambda: svix.endpoint.create(app, one))
svix.endpoint.create(app, EndpointIn(url=f"{here}/all", uid="hook_2"))


def tell(event_id, event_type, channel):
    message = MessageIn(event_id=event_id, event_type=event_type, payload={"told": event_id}, channels=[channel])
    return svix.message.create(app, message)


tell("event_1", "booking.created", "acct_1")
said["same_message"] = refused(lambda: tell("event_1", "booking.created", "acct_1"))
tell("event_2", "booking.cancelled", "acct_1")
until(lambda: len(heard) == 4, "one that fails once, and two that do not")
said["heard"] = {
    path: sorted({svix.message.get(app, headers["svix-id"]).event_type for at, headers, _ in heard if at == path})
    for path in ["/all", "/one"]
}
secrets = {"/one": svix.endpoint.get_secret(app, "hook_1").key, "/all": svix.endpoint.get_secret(app, "hook_2").key}


def verified(secret, headers, body):
    Webhook(secret).verify(body, headers)
    return json.loads(body)["told"]


said["verified"] = len({(path, verified(secrets[path], headers, body)) for path, headers, body in heard})


def attempts(event_id, endpoint):
    return svix.message_attempt.list_by_msg(app, event_id, MessageAttemptListByMsgOptions(endpoint_id=endpoint)).data


until(lambda: len(attempts("event_1", "hook_1")) == 2, "both attempts")
said["failed_then"] = [attempt.status for attempt in attempts("event_1", "hook_1")]
said["statuses"] = [message.status for message in svix.message_attempt.list_attempted_messages(app, "hook_2").data]

before = secrets["/all"]
svix.endpoint.rotate_secret(app, "hook_2", EndpointSecretRotateIn())
after = svix.endpoint.get_secret(app, "hook_2").key
assert before != after
seen = len(heard)
tell("event_3", "booking.cancelled", "acct_2")
until(lambda: len(heard) == seen + 1, "a message after the rotation")
_, headers, body = heard[-1]
said["both_signatures"] = sum(verified(secret, headers, body) == "event_3" for secret in [before, after])

seen = len(heard)
svix.message_attempt.resend(app, "event_3", "hook_2")
until(lambda: len(heard) == seen + 1, "a message sent again")
said["resent"] = heard[-1][1]["svix-id"] == headers["svix-id"]
failing["/one"] = 2
tell("event_4", "booking.created", "acct_1")
until(lambda: len(attempts("event_4", "hook_1")) == 2, "a message given up")
since = datetime.now(timezone.utc) - timedelta(days=1)
said["recovered"] = svix.endpoint.recover(app, "hook_1", RecoverIn(since=since)).status
until(lambda: attempts("event_4", "hook_1")[0].status == 0, "a message recovered")

svix.endpoint.patch(app, "hook_1", EndpointPatch(disabled=True))
said["disabled"] = svix.endpoint.get(app, "hook_1").disabled
svix.endpoint.delete(app, "hook_1")
said["left"] = [endpoint.uid for endpoint in svix.endpoint.list(app).data]
said["gone"] = refused(lambda: svix.endpoint.get(app, "hook_1"))
print(json.dumps(said))
