"""Articles, `article:{id}`: fresh for ten minutes, then stale for one while a single caller refreshes them; drafts live
shorter. The settings are explained in article.toml. Each entry carries the tags `articles` and `draft` or `published`.

The host calls `describe` first, on each instance, and the other three whenever something changes.
"""

import re

from componentize_py_types import Err, Ok, Result
from wit_world import exports
from wit_world.imports import log, types
from wit_world.imports.types import Admission, Candidate, Description, Lifetime, Plan, Refusal, Request

DEFAULTS = {
    "ttl": "10m",
    "stale": "1m",
    "draft_ttl": "10s",
    "absent_ttl": "30s",
    "size_max": "262144",
    "collapse_wait": "1s",
}
UNIT_MS = {"ms": 1, "": 1_000, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
TIME = re.compile(r"([0-9]{1,12}) ?(ms|s|m|h|d|)")
WHOLE = re.compile(r"[0-9]{1,12}")
ID = re.compile(r"[a-z0-9-]{1,64}")


def time_ms(name: str, text: str) -> int:
    """A time such as `24h`, `5m`, `30s` or `500ms`, in milliseconds."""
    time = TIME.fullmatch(text)
    if time is None:
        raise Err(f"the setting `{name}` is `{text}`; it must be a time such as `24h`, `5m` or `500ms`")
    return int(time[1]) * UNIT_MS[time[2]]


def whole(name: str, text: str) -> int:
    """A whole number."""
    if WHOLE.fullmatch(text) is None:
        raise Err(f"the setting `{name}` is `{text}`; it must be a whole number")
    return int(text)


def read(given: list[tuple[str, str]]) -> dict[str, int]:
    """The settings, each read once; what nobody knows is a mistake in the file."""
    for name, _ in given:
        if name not in DEFAULTS:
            raise Err(f"there is no setting `{name}`; there are {', '.join(DEFAULTS)}")
    both = DEFAULTS | dict(given)
    return {name: (whole if name == "size_max" else time_ms)(name, text) for name, text in both.items()}


def refusal(request: Request) -> Refusal | None:
    """Why a request is refused, if it is."""
    if ID.fullmatch(request.key) is None:
        return types.Refusal_InvalidKey(
            f"`{request.key}` is not the id of an article: a-z, 0-9 and `-`, at most 64 of them"
        )
    if request.operation is types.Operation.UPDATE:
        return types.Refusal_Unsupported("an article is replaced as a whole")
    return None


class Rules(exports.Rules):
    """The interface `rules`: each function of it is a method."""

    settings: dict[str, int] = {}

    def describe(self, settings: list[tuple[str, str]]) -> Description:
        # Each call may come with a new object; what must last belongs to the class.
        Rules.settings = read(settings)
        return Description(
            version="1.0.0",
            key_version="v1",
            key_scope=types.KeyScope.DOMAIN,
            encoding=types.Encoding.ENVELOPED,
            shapes=types.Shapes.VALUE,
            wants=types.Wants(0),
            tick_ms=None,
        )

    def plan(self, request: Request) -> Plan:
        refused = refusal(request)
        if refused is not None:
            raise Err(refused)
        return Plan(suffix=None, miss=types.Miss.LOAD, collapse_wait_ms=self.settings["collapse_wait"])

    def plan_batch(self, requests: list[Request]) -> list[Result[Plan, Refusal]]:
        return [self.planned(request) for request in requests]

    def admit(self, request: Request, candidate: Candidate) -> Admission:
        refused = refusal(request)
        if refused is not None:
            return types.Admission_Refuse(refused)
        if candidate.origin_status in (404, 410):
            return types.Admission_Absent(types.Absence(self.settings["absent_ttl"], ["articles"]))
        size, size_max = candidate.size_bytes, self.settings["size_max"]
        if size > size_max:
            text = f"the article has {size} bytes; {size_max} are allowed"
            log.log(log.Level.WARN, f"{request.key}: {text}")
            return types.Admission_Refuse(types.Refusal_InvalidValue(text))
        return types.Admission_Store(self.lifetime(request.key, candidate.asked_ttl_ms))

    def planned(self, request: Request) -> Result[Plan, Refusal]:
        """A plan as a value, where `plan` raises."""
        try:
            return Ok(self.plan(request))
        except Err as refused:
            return refused

    def lifetime(self, key: str, asked_ms: int | None) -> Lifetime:
        """How long an article lives."""
        draft = key.startswith("draft-")
        fresh_ms = self.settings["draft_ttl" if draft else "ttl"]
        stale_ms = 0 if draft else self.settings["stale"]
        return Lifetime(
            fresh_ms=fresh_ms if asked_ms is None else min(fresh_ms, asked_ms),
            stale_while_revalidate_ms=stale_ms,
            stale_if_error_ms=stale_ms,
            keep_ms=0,
            max_stale_ms=0 if draft else None,
            early_refresh_beta=0.0,
            jitter_percent=0,
            l1_ms=None,
            sliding=False,
            list_max=None,
            compression=types.Compression.AUTOMATIC,
            weight_percent=100,
            tags=["articles", "draft" if draft else "published"],
        )
