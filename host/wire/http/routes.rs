//! The one table of routes: the router, the OpenAPI document, the page at `/` and the answer to an unknown path come from it.
//!
//! `HEAD` of a `GET` route works without a row of its own; the cache's stands here because it is a promise.

use super::route::{Action, Content, Reply, Route, Verb};

const fn reply(status: u16, content: Content, when: &'static str) -> Reply {
    Reply { status, when, content }
}

const PROBLEM: Content = Content::Schema("Problem");
const STATUS: Content = Content::Schema("PolicyStatus");

const DEMANDS: (&str, &str) = (
    "Cache-Control",
    "where the domain has an origin: `no-cache`, `max-age=N`, `min-fresh=N` and `max-stale[=N]` say which held value will do, else it is loaded; \
     without one, the first three ask the store rather than this host's memory. `no-store`: what is loaded is not stored. `only-if-cached`: nothing is \
     loaded. The domain's `request_directives` may have all of them ignored",
);

const READ: Route = Route {
    verb: Verb::Get,
    path: "/v1/cache/{domain}/{*key}",
    action: Action::ReadEntry,
    summary: "read a value",
    description: "The key is the rest of the path, percent-decoded once. The engine's key is `{domain}{separator}{key}`; in the \
                  domain `default` it is the key alone, as applications say it over RESP. `Cache-Status` (RFC 9211) says how \
                  the answer came about; `max-age` less `Age` is the fresh time left. Where the policy gives \
                  leases, a miss (or a stale value) may carry `Larder-Lease`: who gets it loads the value and sends both with PUT; others wait for it as \
                  long as the policy says. `ETag` is a hash of the bytes, the same on every node.",
    headers: &[
        ("If-None-Match", "entity tags that the client has, or `*`: 304 if the value is one of them"),
        ("Larder-Lease", "`none`: no lease is wanted, as by a reader that will not load"),
        DEMANDS,
    ],
    replies: &[
        reply(200, Content::Bytes, "the value"),
        reply(304, Content::None, "the client has it already"),
        reply(404, PROBLEM, "the key is absent, or no policy serves the domain"),
        reply(
            504,
            PROBLEM,
            "`only-if-cached`, and nothing is cached that the request allows; or the store or the origin was too late",
        ),
    ],
};

const LIST_LOCKS: Route = Route {
    verb: Verb::Get,
    path: "/v1/locks",
    action: Action::ListLocks,
    summary: "list the held locks",
    description: "With `?prefix=`, those whose names begin so. Names of policies' locks are `@{domain}/{name}`.",
    headers: &[],
    replies: &[reply(200, Content::Schema("LockList"), "the locks, and whether these are all")],
};

const LOCK: Route = Route {
    verb: Verb::Post,
    path: "/v1/locks/{*name}",
    action: Action::AcquireLock,
    summary: "take a lock",
    description: "The name is the rest of the path, percent-decoded once. `fence` grows with every holder: send it along with what \
                  the lock protects, so that a late writer can be told.",
    headers: &[],
    replies: &[
        reply(201, Content::Schema("LockGrant"), "it is yours, until its life is over"),
        reply(409, PROBLEM, "somebody else holds it, and held it for as long as this request would wait"),
    ],
};

const BREAKER: Route = Route {
    verb: Verb::Get,
    path: "/v1/breakers/{*name}",
    action: Action::ShowBreaker,
    summary: "show where a breaker stands and what it did",
    description: "",
    headers: &[],
    replies: &[reply(200, Content::Schema("Breaker"), "where it stands, and its last steps"), NO_BREAKER],
};

const NO_BREAKER: Reply = reply(404, PROBLEM, "there is no such breaker");
const NOT_HELD: Reply = reply(409, PROBLEM, "the token does not hold it any more");
const NOT_LOCKED: Reply = reply(404, PROBLEM, "nobody holds it");

/// All routes, in the order in which people read them; those of one path stand together.
pub(super) const ROUTES: &[Route] = &[
    READ,
    Route { verb: Verb::Head, summary: "read what a value's answer says, without the value", ..READ },
    Route {
        verb: Verb::Put,
        action: Action::WriteEntry,
        summary: "write a value",
        description: "The body is the value. The policy of the domain decides whether and for how long it is stored; \
                      `Cache-Status` says `stored`, or `stored=?0` and why not.",
        headers: &[
            (
                "Cache-Control",
                "`max-age=N` asks for a lifetime of N seconds; `s-maxage` wins over it; `no-store` is refused",
            ),
            ("If-None-Match", "`*`: only if the key is absent; entity tags are refused"),
            ("If-Match", "`*`: only if the key is present; entity tags are refused"),
            (
                "Larder-Lease",
                "the lease that a read gave: the value is stored if nothing has overtaken its load; else the answer is 204, too, and \
                 `Cache-Status` says `stored=?0` and by what the lease was lost. Excludes the two conditions",
            ),
        ],
        replies: &[
            reply(204, Content::None, "done, as `Cache-Status` says"),
            reply(412, PROBLEM, "the condition does not hold; nothing was stored"),
            reply(413, PROBLEM, "the body is too large"),
        ],
        ..READ
    },
    Route {
        verb: Verb::Delete,
        action: Action::RemoveEntry,
        summary: "remove a value",
        description: "Removes whatever the key holds.",
        headers: &[],
        replies: &[reply(204, Content::None, "it was removed"), reply(404, PROBLEM, "the key is absent")],
        ..READ
    },
    Route {
        verb: Verb::Post,
        path: "/v1/cache/{domain}/batch",
        action: Action::Batch,
        summary: "read, write and remove many keys of a domain",
        description: "`{\"get\": [\"user:1\"], \"set\": {\"user:2\": \"…\"}, \"delete\": [\"user:3\"]}`, at most `batch.size_max` keys. Removals come \
                      first, then writes, then reads. Each key has an answer of its own; one that is refused costs the others nothing.",
        headers: &[DEMANDS],
        replies: &[
            reply(200, Content::Schema("BatchDone"), "what became of each key"),
            reply(400, PROBLEM, "the body is not as described"),
            reply(413, PROBLEM, "the body is too large"),
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/explain/{domain}/{*key}",
        action: Action::ExplainEntry,
        summary: "explain how a key is answered, and why",
        description: "Everything that the host knows about the key; nothing is changed, loaded or counted.",
        headers: &[],
        replies: &[reply(200, Content::Schema("Explanation"), "the explanation")],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/hot-keys",
        action: Action::HotKeys,
        summary: "list the keys that are read most",
        description: "Of the domains that the caller may read. With `?domain=`, those of one domain; `?count=`, so many. From samples: `reads` is about how many there were, the \
                      last ones in full and earlier ones less.",
        headers: &[],
        replies: &[reply(200, Content::Schema("HotKeys"), "the keys, the hottest first")],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/warm",
        action: Action::Warm,
        summary: "bring keys in before anybody asks, some at a time",
        description: "The keys are those that the policy names, those of `keys`, or those that another key `version` has in the store and that \
                      match `pattern`. One step of about `count` keys; go on with its `cursor` until that is null.",
        headers: &[],
        replies: &[
            reply(200, Content::Schema("Warmed"), "what the step did"),
            reply(400, PROBLEM, "the body is not as described"),
            reply(404, PROBLEM, "no policy serves the domain"),
        ],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/invalidate",
        action: Action::Invalidate,
        summary: "invalidate keys, tags, prefixes, patterns, domains",
        description: "The body is JSON: `{\"selectors\": [{\"domain\": \"profile\", \"tag\": \"team:7\"}], \"mode\": \"soft\"}`. A selector names a \
                      domain and one of `key` (without the domain), `tag`, `prefix`, `pattern`, or nothing else for the whole domain; a `key` \
                      without a domain is one as applications say it. \
                      `mode` is `hard` if it is not there. Selectors are carried out in order; the first that fails ends the request, and \
                      the problem says which. With `count` it is one step of one selector: what has the host look through the store (patterns; \
                      prefixes and whole domains where values are raw) answers how far it has come and a `cursor`, with which the next step \
                      goes on. Whoever takes no next step has ended it.",
        headers: &[],
        replies: &[
            reply(200, Content::Schema("Invalidated"), "all was done"),
            reply(400, PROBLEM, "the body is not as described"),
            reply(404, PROBLEM, "no policy serves a domain"),
        ],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/domains/{domain}/commands/{command}",
        action: Action::CallCommand,
        summary: "have a domain's policy carry out one of its commands",
        description: "Numbers and truth values among the arguments are taken as their text. Bytes of the reply that are UTF-8 are a text, \
                      others are `{\"hex\": \"…\"}`.",
        headers: &[],
        replies: &[
            reply(200, Content::Schema("CallReply"), "the policy's answer"),
            reply(400, PROBLEM, "the body or the arguments are wrong"),
            reply(404, PROBLEM, "no policy serves the domain"),
            reply(422, PROBLEM, "the policy has no such command, or refuses"),
        ],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/events",
        action: Action::TellEvent,
        summary: "tell an event; the policies say what it makes out of date",
        description: "Without a domain it is told to every policy that takes events. When the answer comes, everything is invalidated.",
        headers: &[],
        replies: &[
            reply(200, Content::Schema("EventDone"), "what was invalidated"),
            reply(400, PROBLEM, "the body is not as described"),
            reply(404, PROBLEM, "no policy serves the domain"),
            reply(422, PROBLEM, "the policy takes no events, or refuses this one"),
        ],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/policies",
        action: Action::ListPolicies,
        summary: "list the policies",
        description: "All domains that have or had a policy since the start, in order of their names.",
        headers: &[],
        replies: &[reply(200, Content::Schema("PolicyList"), "the policies")],
    },
    Route {
        verb: Verb::Get,
        path: "/v1/policies/{domain}",
        action: Action::ShowPolicy,
        summary: "show where a domain's policy stands",
        description: "Generation, digest, state, history, what is in quarantine, and why the newest file does not serve, if it does not.",
        headers: &[],
        replies: &[reply(200, STATUS, "the policy"), reply(404, PROBLEM, "there is no such domain")],
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/policies/{domain}",
        action: Action::RemovePolicy,
        summary: "take a domain out of service whose file is gone",
        description: "A deleted file leaves its policy serving until this is called or the host starts again.",
        headers: &[],
        replies: &[
            reply(204, Content::None, "it serves no more"),
            reply(404, PROBLEM, "there is no such domain"),
            reply(409, PROBLEM, "the file is still in the folder"),
        ],
    },
    Route {
        verb: Verb::Post,
        path: "/v1/policies/{domain}/rollback",
        action: Action::RollBackPolicy,
        summary: "put the previous policy of a domain back into service",
        description: "It serves until the domain's file changes again. The body is empty.",
        headers: &[],
        replies: &[
            reply(200, STATUS, "the policy that serves now"),
            reply(404, PROBLEM, "there is no such domain"),
            reply(409, PROBLEM, "there is nothing to roll back to"),
        ],
    },
    LIST_LOCKS,
    Route {
        verb: Verb::Delete,
        action: Action::ForceReleaseLocks,
        summary: "free locks by prefix or owner, whoever holds them",
        description: "For operators. A lock that changes hands meanwhile stays. Fences go on growing.",
        replies: &[reply(200, Content::Schema("LocksFreed"), "how many, and whether it saw all")],
        ..LIST_LOCKS
    },
    LOCK,
    Route {
        verb: Verb::Patch,
        action: Action::ExtendLock,
        summary: "begin a lock's life anew, by its token",
        description: "",
        replies: &[reply(200, Content::Schema("LockExtended"), "it is held"), NOT_HELD],
        ..LOCK
    },
    Route {
        verb: Verb::Delete,
        action: Action::ReleaseLock,
        summary: "give a lock back by its token, or free it by force",
        description: "",
        replies: &[reply(204, Content::None, "it is free"), NOT_LOCKED, NOT_HELD],
        ..LOCK
    },
    Route {
        verb: Verb::Get,
        action: Action::ShowLock,
        summary: "show who holds a lock",
        description: "The holder's label, its fence and what is left of the lock's life; never its token.",
        replies: &[reply(200, Content::Schema("LockInfo"), "it is held"), NOT_LOCKED],
        ..LOCK
    },
    Route {
        verb: Verb::Get,
        path: "/v1/breakers",
        action: Action::ListBreakers,
        summary: "list the circuit breakers",
        description: "`store` stands before Redis; `{domain}/{name}` are those of policies.",
        headers: &[],
        replies: &[reply(200, Content::Schema("BreakerList"), "the breakers")],
    },
    BREAKER,
    Route {
        verb: Verb::Post,
        action: Action::ForceBreaker,
        summary: "force a breaker open or closed, or leave it to itself",
        description: "It stays so until the next call or the end of the host. With `auto` it begins closed, with nothing counted.",
        replies: &[reply(200, Content::Schema("BreakerStatus"), "where it stands now"), NO_BREAKER],
        ..BREAKER
    },
    Route {
        verb: Verb::Delete,
        path: "/v1/policies/{domain}/quarantine",
        action: Action::UnquarantinePolicy,
        summary: "clear a domain's quarantine",
        description: "A policy that failed too often is not taken again; after this the file in the folder is tried at once.",
        headers: &[],
        replies: &[
            reply(200, STATUS, "the policy that serves now"),
            reply(404, PROBLEM, "there is no such domain"),
            reply(409, PROBLEM, "there is nothing in quarantine"),
        ],
    },
    LOG,
    Route {
        verb: Verb::Put,
        action: Action::SetLog,
        summary: "say what is logged from now on",
        description: "`{\"level\": \"info,larder::wire=debug\"}`: a level, or levels of modules, until it is changed again or the host ends.",
        replies: &[
            reply(200, Content::Schema("Log"), "what is logged now"),
            reply(400, PROBLEM, "the level makes no sense"),
        ],
        ..LOG
    },
    page("/metrics", Action::Metrics, "metrics for Prometheus", TEXT),
    page("/healthz", Action::Health, "whether the process is up", TEXT),
    page(
        "/readyz",
        Action::Ready,
        "whether the store answers and the policies are loaded",
        &[
            reply(200, Content::Text, "they are"),
            reply(503, PROBLEM, "not yet, or not any more: the problem says what is missing"),
        ],
    ),
    page("/openapi.json", Action::OpenApi, "this interface as an OpenAPI document", &[reply(200, Content::Json, "it")]),
    page(
        "/v1/status",
        Action::Status,
        "how the host is right now: counts for each domain, memory, connections",
        &[reply(200, Content::Schema("Status"), "counts since the start; two of them make a rate")],
    ),
    page(
        "/dashboard/{file}",
        Action::DashboardFile,
        "a file of the dashboard",
        &[reply(200, Content::Text, "it"), reply(404, PROBLEM, "the dashboard has no such file")],
    ),
    page("/", Action::Index, "the dashboard for a browser; for others, what there is", TEXT),
];

const LOG: Route =
    page("/v1/log", Action::ShowLog, "show what is logged", &[reply(200, Content::Schema("Log"), "the levels")]);

const TEXT: &[Reply] = &[reply(200, Content::Text, "the page")];

/// A route that takes nothing.
const fn page(path: &'static str, action: Action, summary: &'static str, replies: &'static [Reply]) -> Route {
    Route { verb: Verb::Get, path, action, summary, description: "", headers: &[], replies }
}
