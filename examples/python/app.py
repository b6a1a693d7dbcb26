"""Profiles of users, cache-aside. Larder decides how long a profile lives and what its key may look like.

GET /users/{id}  answers the profile; the header X-Cache says whether it came from Larder.
"""

import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import redis

cache = redis.Redis.from_url(os.environ.get("LARDER_URL", "redis://127.0.0.1:6380"))
PORT = int(os.environ.get("PORT", "9001"))


def load_from_database(user_id: str) -> dict:
    """Stands for the slow thing that a cache is there for."""
    time.sleep(0.5)
    return {"id": user_id, "name": f"User {user_id}", "loaded_at": time.time()}


def profile(user_id: str) -> tuple[bytes, str]:
    """The profile as JSON, and where it came from."""
    key = f"profile:user:{user_id}"
    try:
        cached = cache.get(key)
    except redis.ConnectionError:
        # A cache that is away is slow, not broken.
        return json.dumps(load_from_database(user_id)).encode(), "unavailable"
    if cached is not None:
        return cached, "hit"
    body = json.dumps(load_from_database(user_id)).encode()
    cache.set(key, body)  # No EX: the lifetime is the policy's.
    return body, "miss"


class Handler(BaseHTTPRequestHandler):
    """One route."""

    def do_GET(self):
        _, route, user_id = (self.path + "//").split("/")[:3]
        if route != "users" or not user_id:
            return self.answer(404, b'{"error":"GET /users/{id}"}', "none")
        try:
            self.answer(200, *profile(user_id))
        except redis.ResponseError as refusal:
            # The policy refuses keys that are none of its domain: its words are meant for callers.
            self.answer(400, json.dumps({"error": str(refusal)}).encode(), "refused")

    def answer(self, status: int, body: bytes, source: str):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Cache", source)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    print(f"http://127.0.0.1:{PORT}/users/42")
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
