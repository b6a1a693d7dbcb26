//! A well-behaved policy that uses Redis: what a host must refuse without the grant and serve with it.
//!
//! The rules ask Redis for the key `probe` only, where the host must answer `not-allowed`; they tell the answer in
//! a refusal. The command `count NAME` adds to a counter, the event `forget` invalidates the key that it names.

use larder_policy::host::{HostError, redis};
use larder_policy::*;

struct Importer;

impl Rules for Importer {
    fn describe(_settings: &mut Settings) -> Result<(Self, Description), String> {
        Ok((Self, Description::new(env!("CARGO_PKG_VERSION")).shapes(Shapes::all()).tick(seconds(1))))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        if request.key == "probe" {
            return Err(Refusal::Other(format!("{:?}", redis::get("probe"))));
        }
        Ok(Plan::verbatim())
    }

    fn admit(&self, _request: &Request, candidate: &Candidate) -> Admission {
        Lifetime::forever().at_most(candidate.asked_ttl()).into()
    }
}

impl Events for Importer {
    fn on_event(&self, event: &Event) -> Result<Vec<Selector>, String> {
        match event.kind.as_str() {
            "forget" => Ok(vec![Selector::Key(event.payload.trim_matches('"').to_owned())]),
            kind => Err(format!("there is no event `{kind}`")),
        }
    }
}

impl Workflow for Importer {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        match (command, arguments) {
            ("count", [name]) => {
                let name =
                    std::str::from_utf8(name).map_err(|error| CommandError::InvalidArguments(error.to_string()))?;
                redis::increment(name, 1, None).map(Reply::Integer).map_err(unavailable)
            }
            ("count", _) => Err(CommandError::InvalidArguments("count NAME".into())),
            _ => Err(CommandError::Unknown),
        }
    }

    fn on_tick(&self) -> Option<String> {
        redis::increment("ticks", 1, None).ok().map(|ticks| format!("tick {ticks}"))
    }
}

fn unavailable(error: HostError) -> CommandError {
    match error {
        HostError::Unavailable(text) => CommandError::Unavailable(text),
        other => CommandError::Other(format!("{other:?}")),
    }
}

export!(Importer with events, workflow);
