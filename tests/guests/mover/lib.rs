//! Names the keys of its setting `keys` to be warmed, and migrates what older key versions left: each value gets the version that it came
//! from behind it. With `flood` it names so many keys instead, with `long` one key of so many bytes.

use larder_policy::*;

struct Mover {
    keys: String,
    flood: u64,
    long: u64,
}

impl Rules for Mover {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            keys: settings.text("keys", ""),
            flood: settings.number("flood", 0, 0..=1_000_000)?,
            long: settings.number("long", 0, 0..=64 << 20)?,
        };
        let version = settings.text("key_version", "v1");
        Ok((policy, Description::new(env!("CARGO_PKG_VERSION")).key_version(version).enveloped()))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match request.key.starts_with("bad") {
            true => Err(Refusal::InvalidKey("not this one".into())),
            false => Ok(Plan::verbatim()),
        }
    }

    fn admit(&self, _request: &Request, _candidate: &Candidate) -> Admission {
        Lifetime::fresh(hours(1)).into()
    }
}

impl Warming for Mover {
    fn keys(&self) -> Vec<String> {
        if self.flood > 0 {
            return (0..self.flood).map(|n| n.to_string()).collect();
        }
        if self.long > 0 {
            return vec!["x".repeat(self.long as usize)];
        }
        self.keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }
}

impl Migration for Mover {
    fn migrate(&self, from_version: &str, key: &str, mut value: Vec<u8>) -> Option<Vec<u8>> {
        if key.starts_with("drop") {
            return None;
        }
        value.extend_from_slice(format!(" from {from_version}").as_bytes());
        Some(value)
    }
}

export!(Mover with warming, migration);
