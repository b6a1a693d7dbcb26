//! From two answers of `/v1/status` to figures: rates, hit rates, quantiles. Pure.
//!
//! A count that went back is a host that was started anew: what it has counted since then is what happened.

use serde_json::Value;

const HITS: [&str; 4] = ["l1-hit", "store-hit", "stale", "negative"];
const ERRORS: [&str; 4] = ["policy-failed", "store-failed", "host-failed", "origin-failed"];

/// Figures of the time between two readings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) version: String,
    pub(super) uptime_ms: u64,
    pub(super) resp: u64,
    pub(super) http: u64,
    pub(super) l1_bytes: u64,
    pub(super) l1_bytes_max: u64,
    pub(super) l1_entries: u64,
    pub(super) locks: u64,
    /// What is wrong, in the host's words.
    pub(super) troubles: Vec<String>,
    pub(super) total: Line,
    pub(super) domains: Vec<Line>,
}

/// Those of a domain, or of all.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) per_second: f64,
    /// `None`: nothing was read.
    pub(super) hit_rate: Option<f64>,
    pub(super) errors_per_second: f64,
    pub(super) p50_ns: Option<f64>,
    pub(super) p99_ns: Option<f64>,
    pub(super) generation: u64,
    pub(super) policy_faults: u64,
}

/// What happened in a domain.
#[derive(Default)]
struct Gone {
    answers: u64,
    hits: u64,
    misses: u64,
    errors: u64,
    latency: Vec<u64>,
}

impl Figures {
    pub(super) fn between(before: &Value, now: &Value) -> Self {
        let elapsed_ms = number(now, "/uptime_ms").checked_sub(number(before, "/uptime_ms"));
        let seconds = elapsed_ms.unwrap_or_else(|| number(now, "/uptime_ms")).max(1) as f64 / 1000.0;
        let bounds: Vec<u64> = numbers(&now["latency_bounds_ns"]);
        let mut total = Gone::default();
        let none = Vec::new();
        let mut domains = Vec::new();
        for domain in now["domains"].as_array().unwrap_or(&none) {
            let name = &domain["domain"];
            let earlier = before["domains"].as_array().into_iter().flatten().find(|it| it["domain"] == *name);
            let gone = Gone::between(earlier.filter(|_| elapsed_ms.is_some()).unwrap_or(&Value::Null), domain);
            let mut line = gone.line(name.as_str().unwrap_or_default(), seconds, &bounds);
            line.generation = number(domain, "/generation");
            line.policy_faults = number(domain, "/policy_faults");
            domains.push(line);
            total.add(gone);
        }
        Self {
            version: now["version"].as_str().unwrap_or_default().to_owned(),
            uptime_ms: number(now, "/uptime_ms"),
            resp: number(now, "/connections/resp"),
            http: number(now, "/connections/http"),
            l1_bytes: number(now, "/l1/bytes"),
            l1_bytes_max: number(now, "/l1/bytes_max"),
            l1_entries: number(now, "/l1/entries"),
            locks: number(now, "/locks"),
            troubles: now["troubles"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            total: total.line("all", seconds, &bounds),
            domains,
        }
    }
}

impl Gone {
    fn between(before: &Value, now: &Value) -> Self {
        let mut gone = Self::default();
        for part in ["reads", "changes"] {
            for (state, count) in now[part].as_object().into_iter().flatten() {
                let count = count.as_u64().unwrap_or_default();
                let count = count.saturating_sub(before[part][state].as_u64().unwrap_or_default());
                let state = state.as_str();
                gone.answers += count;
                gone.errors += if ERRORS.contains(&state) { count } else { 0 };
                gone.hits += if part == "reads" && HITS.contains(&state) { count } else { 0 };
                gone.misses += if part == "reads" && state == "miss" { count } else { 0 };
            }
        }
        let earlier = numbers(&before["latency"]);
        let earlier = earlier.iter().copied().chain(std::iter::repeat(0));
        gone.latency =
            numbers(&now["latency"]).iter().zip(earlier).map(|(now, then)| now.saturating_sub(then)).collect();
        gone
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.hits += other.hits;
        self.misses += other.misses;
        self.errors += other.errors;
        self.latency.resize(self.latency.len().max(other.latency.len()), 0);
        self.latency.iter_mut().zip(other.latency).for_each(|(sum, count)| *sum += count);
    }

    fn line(&self, name: &str, seconds: f64, bounds: &[u64]) -> Line {
        let asked = self.hits + self.misses;
        Line {
            name: name.to_owned(),
            per_second: self.answers as f64 / seconds,
            hit_rate: (asked > 0).then(|| self.hits as f64 / asked as f64),
            errors_per_second: self.errors as f64 / seconds,
            p50_ns: quantile_ns(&self.latency, bounds, 0.5),
            p99_ns: quantile_ns(&self.latency, bounds, 0.99),
            ..Line::default()
        }
    }
}

/// Linear within a bucket, as Prometheus does it; `None`: nothing happened.
fn quantile_ns(counts: &[u64], bounds: &[u64], share: f64) -> Option<f64> {
    let rank = share * counts.iter().sum::<u64>() as f64;
    if rank == 0.0 {
        return None;
    }
    let (mut lower, mut below) = (0, 0);
    for (&upper, &count) in bounds.iter().zip(counts) {
        if count > 0 && (below + count) as f64 >= rank {
            return Some(lower as f64 + (upper - lower) as f64 * (rank - below as f64) / count as f64);
        }
        (lower, below) = (upper, below + count);
    }
    Some(lower as f64)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().map(|it| it.as_u64().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(uptime_ms: u64, hits: u64, misses: u64, failed: u64, latency: [u64; 3]) -> Value {
        json!({
            "version": "1", "uptime_ms": uptime_ms, "latency_bounds_ns": [1000, 3000],
            "domains": [{
                "domain": "d", "generation": 2, "reads": { "l1-hit": hits, "miss": misses }, "changes": { "store-failed": failed },
                "latency": latency,
            }],
        })
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let figures = Figures::between(&status(1000, 10, 10, 0, [5, 5, 0]), &status(3000, 40, 20, 4, [5, 15, 0]));
        let line = &figures.domains[0];
        assert_eq!((line.per_second, line.hit_rate, line.errors_per_second), (22.0, Some(0.75), 2.0));
        assert_eq!((line.p50_ns, line.generation), (Some(2000.0), 2));
        assert_eq!(figures.total.per_second, 22.0);
    }

    #[test]
    fn a_host_that_was_started_anew_counts_from_nothing() {
        let figures = Figures::between(&status(9000, 90, 10, 0, [50, 0, 0]), &status(500, 5, 0, 0, [0, 0, 1]));
        assert_eq!((figures.total.per_second, figures.total.p99_ns), (10.0, Some(3000.0)));
        let quiet = status(9000, 90, 10, 0, [50, 0, 0]);
        let line = Figures::between(&quiet, &quiet).total;
        assert_eq!((line.hit_rate, line.p50_ns), (None, None));
    }

    #[test]
    fn what_is_no_status_is_nothing() {
        assert_eq!(Figures::between(&Value::Null, &json!({ "domains": 3, "uptime_ms": -1 })).domains, []);
    }
}
