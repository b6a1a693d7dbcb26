"""The example's policy with keys that do harm, or try to reach what a policy may not reach."""

import encodings.idna  # What `socket` imports when it is used: at run time there are no files to import from.
import os
import socket
import sys
import time

import policy
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import workflow
from wit_world.imports import redis, types


def throw():
    raise ValueError("an exception, as asked")


def loop():
    while True:
        pass


def memory():
    everything = []
    while True:
        everything.append(bytearray(1 << 20))


def output():
    print("said on output", flush=True)
    print("said on error", file=sys.stderr)
    return "said"


def refused(reach):
    """What an attempt to reach something ends with, inside the guest."""
    try:
        return f"reached {reach()}"
    except OSError as error:
        return type(error).__name__


def sleep():
    before = time.monotonic()
    time.sleep(100)
    return time.monotonic() - before


MISCHIEF = {
    "throw": throw,
    "loop": loop,
    "memory": memory,
    "nonsense": lambda: 42,
    "output": output,
    "time": lambda: int(time.time() * 1000),
    "chance": lambda: os.urandom(8).hex(),
    "sleep": sleep,
    "exit": lambda: os._exit(3),
    "environment": lambda: (dict(os.environ), sys.argv[1:], sys.stdin.read()),
    "read": lambda: refused(lambda: open("/etc/hostname").read()),
    "write": lambda: refused(lambda: open("larder-was-here", "w")),
    "list": lambda: refused(lambda: os.listdir("/")),
    "socket": lambda: refused(lambda: socket.socket()),
    "resolve": lambda: refused(lambda: socket.getaddrinfo("localhost", 80)),
}


class Rules(policy.Rules):
    """The rules of articles, with exceptions."""

    def plan(self, request):
        if request.key not in MISCHIEF:
            return super().plan(request)
        result = MISCHIEF[request.key]()
        if request.key == "nonsense":
            return result
        return types.Plan(str(result), types.Miss.ANSWER, 0)


class Workflow(exports.Workflow):
    """Commands that use the store, and fail."""

    def on_command(self, command, arguments):
        if command == "count":
            return workflow.Reply_Integer(redis.increment(arguments[0].decode(), 1, None))
        if command == "throw":
            throw()
        raise Err(workflow.CommandError_Unknown())

    def on_tick(self):
        return None
