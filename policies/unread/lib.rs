//! Counts of unread messages, `unread:{userId}:{conversationId}`: they never expire. Who delivers a message adds to one, with `INCR`
//! or the command `increment`; who reads the conversation resets it, with `DEL`, the command `reset` or an event.
//!
//! `increment user conversation [delta]`, `get user conversation`, `reset user conversation`, and `total user conversation…`, the sum
//! over those that the caller names: the service knows a user's conversations, and the store would have to search for them.
//!
//! The event `conversation.read` with `{"userId": …, "conversationId": …}` resets the count of that conversation.

use larder_policy::host::redis;
use larder_policy::*;

struct Unread {
    read_event: String,
    user_field: String,
    conversation_field: String,
}

impl Rules for Unread {
    fn describe(settings: &mut Settings) -> Result<(Self, Description), String> {
        let policy = Self {
            read_event: settings.text("read_event", "conversation.read"),
            user_field: settings.text("user_field", "userId"),
            conversation_field: settings.text("conversation_field", "conversationId"),
        };
        let key_version = settings.text("key_version", "v1");
        let description = Description::new(env!("CARGO_PKG_VERSION"))
            .key_version(key_version)
            .shapes(Shapes::COUNTER)
            .wants(Wants::CANDIDATE_BYTES);
        Ok((policy, description))
    }

    fn plan(&self, request: &Request) -> Result<Plan, Refusal> {
        match parts(&request.key) {
            Some([_user, _conversation]) => Ok(Plan::verbatim()),
            None => Err(Refusal::InvalidKey("the key must be `{userId}` and `{conversationId}`, two parts".into())),
        }
    }

    fn admit(&self, request: &Request, candidate: &Candidate) -> Admission {
        if request.operation == Operation::Write && !candidate.is_whole_number() {
            return Admission::Refuse(Refusal::InvalidValue("a count is a whole number".into()));
        }
        Lifetime::forever().never_stale().into()
    }
}

impl Events for Unread {
    fn on_event(&self, event: &Event) -> Result<Vec<Selector>, String> {
        // Told to every domain, such an event passes this one by.
        if event.kind != self.read_event {
            return Err(format!("there is no event `{}`; there is `{}`", event.kind, self.read_event));
        }
        let payload = json::Object::parse(&event.payload)?;
        let (user, conversation) = (payload.text(&self.user_field)?, payload.text(&self.conversation_field)?);
        let key = join([user, conversation]).ok_or("neither name may be empty or hold the separator of keys")?;
        Ok(vec![Selector::Key(key)])
    }
}

impl Workflow for Unread {
    fn on_command(&self, command: &str, arguments: &[Vec<u8>]) -> Result<Reply, CommandError> {
        match (command, arguments) {
            ("increment", [user, conversation]) => increment(&name(user, conversation)?, 1),
            ("increment", [user, conversation, delta]) => {
                increment(&name(user, conversation)?, argument::number(delta, i64::MIN..=i64::MAX)?)
            }
            ("get", [user, conversation]) => total(&[name(user, conversation)?]),
            ("reset", [user, conversation]) => Ok(Reply::Integer(redis::delete(&[name(user, conversation)?])?.into())),
            ("total", [user, conversations @ ..]) if !conversations.is_empty() => {
                let names: Result<Vec<_>, _> = conversations.iter().map(|it| name(user, it)).collect();
                total(&names?)
            }
            ("increment", _) => argument::usage("increment user conversation [delta]"),
            ("get", _) => argument::usage("get user conversation"),
            ("reset", _) => argument::usage("reset user conversation"),
            ("total", _) => argument::usage("total user conversation…"),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn increment(name: &str, delta: i64) -> Result<Reply, CommandError> {
    Ok(Reply::Integer(redis::increment(name, delta, None)?))
}

/// The sum of the counts; one that is not there is 0.
fn total(names: &[String]) -> Result<Reply, CommandError> {
    let mut sum = 0_i64;
    for count in redis::get_many(names)?.iter().flatten() {
        sum = sum.saturating_add(argument::number(count, i64::MIN..=i64::MAX)?);
    }
    Ok(Reply::Integer(sum))
}

fn name(user: &[u8], conversation: &[u8]) -> Result<String, CommandError> {
    let name = join([argument::text(user)?, argument::text(conversation)?]);
    name.ok_or_else(|| CommandError::InvalidArguments("user and conversation must be one part of a key each".into()))
}

export!(Unread with events, workflow);

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(settings: &[(&str, &str)]) -> Unread {
        let table = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Unread::describe(&mut Settings::new(table)).unwrap().0
    }

    fn request(key: &str, operation: Operation) -> Request {
        Request { key: key.into(), operation, shape: Shape::Counter }
    }

    fn admitted(operation: Operation, bytes: &[u8]) -> Admission {
        let candidate = Candidate {
            cause: Cause::Write,
            size_bytes: 1,
            asked_ttl_ms: Some(1000),
            origin_status: None,
            origin_headers: vec![],
            load_ms: 0,
            bytes: Some(bytes.into()),
        };
        unread(&[]).admit(&request("42:general", operation), &candidate)
    }

    #[test]
    fn a_key_has_two_parts() {
        assert_eq!(unread(&[]).plan(&request("42:general", Operation::Read)), Ok(Plan::verbatim()));
        for key in ["", "42", "42:", ":general", "42:general:x"] {
            let refused = unread(&[]).plan(&request(key, Operation::Read));
            assert!(matches!(refused, Err(Refusal::InvalidKey(_))), "{key}");
        }
    }

    #[test]
    fn a_count_never_expires_whatever_was_asked_and_is_a_number() {
        let forever = Lifetime::forever().never_stale();
        assert_eq!(admitted(Operation::Write, b"7"), forever.clone().into());
        assert_eq!(admitted(Operation::Update, b""), forever.into());
        assert!(matches!(admitted(Operation::Write, b"many"), Admission::Refuse(Refusal::InvalidValue(_))));
    }

    #[test]
    fn reading_a_conversation_resets_its_count() {
        let event = |kind: &str, payload: &str| Event { kind: kind.into(), payload: payload.into() };
        let policy = unread(&[]);
        let read = event("conversation.read", r#"{"conversationId": "general", "at": [1], "userId": 42}"#);
        assert_eq!(policy.on_event(&read), Ok(vec![Selector::Key("42:general".into())]));
        for payload in ["", "[]", "{}", r#"{"userId":"42"}"#, r#"{"userId":"4:2","conversationId":"general"}"#] {
            assert!(policy.on_event(&event("conversation.read", payload)).is_err(), "{payload}");
        }
        let unknown = policy.on_event(&event("user.updated", read.payload.as_str()));
        assert_eq!(unknown, Err("there is no event `user.updated`; there is `conversation.read`".into()));
        let policy = unread(&[("read_event", "seen"), ("user_field", "u"), ("conversation_field", "c")]);
        assert_eq!(policy.on_event(&event("seen", r#"{"u":"42","c":"7"}"#)), Ok(vec![Selector::Key("42:7".into())]));
    }

    #[test]
    fn wrong_commands_are_refused_before_the_store_is_asked() {
        let refused = |command: &str, arguments: &[&str]| {
            let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().into()).collect();
            unread(&[]).on_command(command, &arguments).unwrap_err()
        };
        assert_eq!(refused("incr", &["42", "general"]), CommandError::Unknown);
        for (command, arguments) in [
            ("increment", &["42"][..]),
            ("increment", &["42", "general", "one"]),
            ("get", &["42", "a:b"]),
            ("get", &["", "general"]),
            ("reset", &["42"]),
            ("total", &["42"]),
            ("total", &["42", "general", ""]),
        ] {
            let error = refused(command, arguments);
            assert!(matches!(error, CommandError::InvalidArguments(_)), "{command} {arguments:?}: {error:?}");
        }
    }
}
