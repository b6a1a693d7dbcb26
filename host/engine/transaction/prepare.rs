//! The commands of a transaction before they are sent, and their replies afterwards.

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use crate::engine::api::{AskedTtl, SetAnswer, SetOptions};
use crate::engine::command::{Mapped, first_of};
use crate::engine::core::Engine;
use crate::engine::entry::Stamps;
use crate::engine::forward::with_its_nothing;
use crate::engine::found::expire_for;
use crate::engine::judge::{Place, Verdict, Wanted};
use crate::engine::space::{odd, portion};
use crate::engine::step::{Forwarded, Indices, Read, ScanRequest, Step};
use crate::engine::write::{raw_answer, raw_set, raw_set_past, stamps_now};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::metrics::State;
use crate::ports::policy::Operation;
use crate::ports::store::{Command, Expire, Reply};

/// A command of a transaction, ready to be sent.
pub(in crate::engine) struct Prepared<'a> {
    pub(in crate::engine) commands: Vec<Command>,
    /// What it is about.
    pub(in crate::engine) places: Vec<Place<'a>>,
    /// Those of the places that it may change.
    changed: Indices,
    finish: Finish<'a>,
    /// What a copy in L1 would be, where the store holds just that afterwards.
    pub(in crate::engine) copy: Option<Box<(Bytes, Stamps)>>,
}

/// How its replies are read.
enum Finish<'a> {
    /// How long the list may be afterwards.
    Mapped(Option<u32>),
    /// With the command.
    Forwarded(&'a Command),
    Read(Read),
    Written(SetOptions, fn(SetOptions, SetAnswer) -> Reply),
    /// Whatever the replies are, unless one is an error.
    Always(Reply),
    Removed,
    AsItIs,
    /// The life before, and the change: whether there was one.
    HadLife,
    Scan(Option<&'a [u8]>),
    Keys(&'a [u8]),
    Count,
}

impl<'a> Prepared<'a> {
    fn one(place: Place<'a>, command: Command, finish: Finish<'a>) -> Self {
        Self { commands: vec![command], places: vec![place], changed: smallvec![0], finish, copy: None }
    }

    fn of_no_key(command: Command, finish: Finish<'a>) -> Self {
        Self { commands: vec![command], places: Vec::new(), changed: SmallVec::new(), finish, copy: None }
    }

    /// The places that it may change.
    pub(in crate::engine) fn changed(&self) -> impl Iterator<Item = &Place<'a>> {
        self.changed.iter().filter_map(|&at| self.places.get(at))
    }

    /// What it has come to by these replies, if none is an error.
    pub(in crate::engine) fn state(&self, replies: &[Reply]) -> State {
        match (&self.finish, replies.first()) {
            (Finish::Written(options, _), Some(reply)) => raw_answer(reply, *options).state,
            (Finish::Always(_), _) => State::Passed,
            (Finish::AsItIs, Some(Reply::Integer(0))) | (Finish::HadLife, Some(Reply::Integer(i64::MIN..0))) => {
                State::Unmet
            }
            (Finish::Mapped(_) | Finish::Read(_), Some(Reply::Nil)) if self.changed.is_empty() => State::Miss,
            (Finish::Mapped(_) | Finish::Read(_), _) if self.changed.is_empty() => State::StoreHit,
            _ => State::Done,
        }
    }
}

impl Engine {
    /// Makes the store's commands of one of the client's.
    ///
    /// # Errors
    /// A bad key or value, a refusal or failure of the policy.
    pub(in crate::engine) async fn prepare<'a>(&self, step: &'a Step) -> Result<Prepared<'a>> {
        match step {
            Step::Command(command) => {
                let Mapped { places, changed, commands, list_max, .. } = self.map_command(command)?;
                self.make_way_some(&places, &changed).await?;
                Ok(Prepared { commands, places, changed, finish: Finish::Mapped(list_max), copy: None })
            }
            Step::Forward(forwarded) => self.prepare_forwarded(forwarded),
            Step::Read { keys, read } => self.prepare_read(keys, *read).await,
            Step::Set { key, value, options, answer } => self.prepare_set(key, value, *options, *answer).await,
            Step::SetMany(items) => {
                let (mut commands, mut places) = (Vec::new(), Vec::new());
                for (key, value) in items {
                    let one = self.prepare_set(key, value, SetOptions::default(), |_, _| Reply::ok()).await?;
                    commands.extend(one.commands);
                    places.extend(one.places);
                }
                let changed = (0..places.len()).collect();
                Ok(Prepared { commands, places, changed, finish: Finish::Always(Reply::ok()), copy: None })
            }
            Step::Delete(keys) => self.prepare_delete(keys).await,
            Step::Expire { key, at_ms, condition } => {
                let place = self.locate(key, Operation::Touch, Wanted::Any)?;
                let left_ms = at_ms.saturating_sub(self.now_ms());
                Self::check_asked(Some(left_ms))?;
                let command = self.expire_command(&place, left_ms, *condition)?;
                self.make_way(std::iter::once(&place)).await?;
                Ok(Prepared::one(place, command, Finish::AsItIs))
            }
            Step::Persist(key) => self.prepare_persist(key).await,
            Step::GetAndExpire { key, ttl } => self.prepare_get_and_expire(key, *ttl).await,
            Step::Scan(request) => {
                let ScanRequest { pattern, .. } = request;
                Ok(Prepared::of_no_key(self.scan_command(request), Finish::Scan(pattern.as_deref())))
            }
            Step::Keys(pattern) => Ok(Prepared::of_no_key(Command::new("KEYS").arg("*"), Finish::Keys(pattern))),
            Step::Size => Ok(Prepared::of_no_key(Command::new("KEYS").arg("*"), Finish::Count)),
        }
    }

    fn prepare_forwarded<'a>(&self, forwarded: &'a Forwarded) -> Result<Prepared<'a>> {
        let Forwarded { command, reads_only, .. } = forwarded;
        let places = self.places_of_forwarded(forwarded)?;
        let changed = if *reads_only { SmallVec::new() } else { (0..places.len()).collect() };
        let finish = Finish::Forwarded(command);
        Ok(Prepared { commands: vec![command.clone()], places, changed, finish, copy: None })
    }

    async fn prepare_read<'a>(&self, keys: &'a [Bytes], read: Read) -> Result<Prepared<'a>> {
        let wanted = if read == Read::Count { Wanted::Any } else { Wanted::String };
        let places = keys.iter().map(|key| self.locate(key, Operation::Read, wanted)).collect::<Result<Vec<_>>>()?;
        self.arrive(places.iter()).await?;
        let commands = if read == Read::Values {
            let mut all = Command::new("MGET");
            all.args.extend(places.iter().map(|place| place.store_key.0.clone()));
            vec![all]
        } else {
            let name = |place: &Place<'_>| match read {
                Read::Length if !place.enveloped() => "STRLEN",
                Read::Count if !place.enveloped() => "EXISTS",
                _ => "GET",
            };
            places.iter().map(|place| Command::new(name(place)).arg(place.store_key.0.clone())).collect()
        };
        Ok(Prepared { commands, places, changed: SmallVec::new(), finish: Finish::Read(read), copy: None })
    }

    async fn prepare_set<'a>(
        &self,
        key: &'a [u8],
        value: &Bytes,
        options: SetOptions,
        answer: fn(SetOptions, SetAnswer) -> Reply,
    ) -> Result<Prepared<'a>> {
        let place = self.locate(key, Operation::Write, Wanted::String)?;
        self.prepare_set_at(place, value, options, answer).await
    }

    /// The same of a key whose place is known.
    ///
    /// # Errors
    /// As of [`Self::prepare`].
    pub(in crate::engine) async fn prepare_set_at<'a>(
        &self,
        place: Place<'a>,
        value: &Bytes,
        options: SetOptions,
        answer: fn(SetOptions, SetAnswer) -> Reply,
    ) -> Result<Prepared<'a>> {
        self.check_value(value)?;
        let now_ms = self.now_ms();
        let asked_ttl_ms = options.ttl.asked_ms(now_ms);
        Self::check_asked(asked_ttl_ms)?;
        let removal = |place: Place<'a>, state| {
            let passed = answer(options, SetAnswer { state, previous: None });
            let command = Command::new("UNLINK").arg(place.store_key.0.clone());
            Prepared::one(place, command, Finish::Always(passed))
        };
        self.make_way(std::iter::once(&place)).await?;
        if asked_ttl_ms == Some(0) {
            if place.enveloped() {
                return Ok(removal(place, State::Done));
            }
            let command = raw_set_past(&place, value.clone(), options);
            return Ok(Prepared::one(place, command, Finish::Written(options, answer)));
        }
        let Verdict::Store(terms) = self.admit_write(&place, value, asked_ttl_ms)? else {
            return Ok(removal(place, State::Passed));
        };
        self.provide_all(std::iter::once((&place, &terms))).await?;
        let under = self.under(&place, &terms).await?;
        let stamps = stamps_now(terms, now_ms, &under);
        let kept = options.ttl == AskedTtl::Keep;
        let expire = if kept { Expire::Keep } else { expire_for(&stamps, now_ms) };
        let (bytes, value) = self.packed(&place, &stamps, value.clone()).await?;
        let command = raw_set(&place, bytes, options, expire);
        let copy = options.is_plain().then(|| Box::new((value, stamps)));
        Ok(Prepared { copy, ..Prepared::one(place, command, Finish::Written(options, answer)) })
    }

    async fn prepare_delete<'a>(&self, keys: &'a [Bytes]) -> Result<Prepared<'a>> {
        let places = self.locate_all(keys, Operation::Delete)?;
        self.make_way(places.iter()).await?;
        let mut commands = Vec::new();
        for place in &places {
            let key = || place.store_key.0.clone();
            if place.enveloped() {
                // What was there tells whether a reader would still have seen it; the second one takes what is no string.
                commands.push(Command::new("GETDEL").arg(key()));
            }
            commands.push(Command::new("UNLINK").arg(key()));
        }
        let changed = (0..places.len()).collect();
        Ok(Prepared { commands, places, changed, finish: Finish::Removed, copy: None })
    }

    async fn prepare_persist<'a>(&self, key: &'a [u8]) -> Result<Prepared<'a>> {
        let place = self.locate(key, Operation::Touch, Wanted::Any)?;
        self.make_way(std::iter::once(&place)).await?;
        let key = place.store_key.0.clone();
        let Some(life_ms) = self.touch_verdict(&place, None)? else {
            return Ok(Prepared::one(place, Command::new("PERSIST").arg(key), Finish::AsItIs));
        };
        let before = Command::new("PTTL").arg(key.clone());
        let change = Command::new("PEXPIRE").arg(key).arg(life_ms.max(1).to_string());
        Ok(Prepared { commands: vec![before, change], ..Prepared::one(place, Command::new("PTTL"), Finish::HadLife) })
    }

    async fn prepare_get_and_expire<'a>(&self, key: &'a [u8], ttl: AskedTtl) -> Result<Prepared<'a>> {
        let place = self.locate(key, Operation::Touch, Wanted::String)?;
        self.make_way(std::iter::once(&place)).await?;
        let asked_ms = ttl.asked_ms(self.now_ms());
        Self::check_asked(asked_ms)?;
        let store_key = place.store_key.0.clone();
        let command = match (ttl, asked_ms) {
            (AskedTtl::Keep, _) => Command::new("GET").arg(store_key),
            (_, Some(0)) => Command::new("GETDEL").arg(store_key),
            (_, asked_ms) => {
                let command = Command::new("GETEX").arg(store_key);
                match self.touch_verdict(&place, asked_ms)? {
                    Some(life_ms) => command.arg("PX").arg(life_ms.max(1).to_string()),
                    None => command.arg("PERSIST"),
                }
            }
        };
        Ok(Prepared::one(place, command, Finish::AsItIs))
    }

    /// Reads the replies to what was prepared.
    ///
    /// # Errors
    /// The first error among them, in Redis' words; a failure of the policy or the store.
    pub(super) async fn finish(&self, prepared: Prepared<'_>, replies: Vec<Reply>) -> Result<Reply> {
        let now_ns = self.monotonic_ns();
        let Prepared { places, changed, finish, .. } = &prepared;
        let fails = || replies.iter().any(|reply| matches!(reply, Reply::Error(_)));
        let counted = matches!(finish, Finish::Removed) || !fails();
        if counted && matches!(finish, Finish::Mapped(_) | Finish::Read(_) | Finish::Removed | Finish::Forwarded(_)) {
            let operation = if changed.is_empty() { Operation::Read } else { Operation::Update };
            places.iter().for_each(|place| self.tally(place, operation, State::Done, now_ns));
        }
        self.finish_uncounted(&prepared, replies).await
    }

    /// The same without counting it.
    ///
    /// # Errors
    /// As there.
    pub(in crate::engine) async fn finish_uncounted(
        &self,
        prepared: &Prepared<'_>,
        replies: Vec<Reply>,
    ) -> Result<Reply> {
        let is_removal = matches!(prepared.finish, Finish::Removed);
        if !is_removal && let Some(Reply::Error(line)) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
            return Err(Error::new(ErrorKind::StoreReply, line.clone()));
        }
        let Prepared { places, finish, .. } = prepared;
        let mut all = replies.into_iter();
        let mut next = || all.next().unwrap_or(Reply::Nil);
        Ok(match finish {
            Finish::Mapped(list_max) => first_of(all.collect(), *list_max),
            Finish::Forwarded(command) => with_its_nothing(command, next()),
            Finish::Read(read) => self.finish_read(places, *read, all.collect()).await?,
            Finish::Written(options, answer) => answer(*options, raw_answer(&next(), *options)),
            Finish::Always(reply) => reply.clone(),
            Finish::Removed => self.finish_removal(places, all.collect()).await?,
            Finish::AsItIs => next(),
            Finish::HadLife => Reply::Integer(i64::from(matches!(next(), Reply::Integer(0..)))),
            Finish::Scan(pattern) => {
                let (cursor, found) = portion(next())?;
                let shown = self.shown(found, *pattern).into_iter().map(Reply::Bulk).collect();
                Reply::Array(vec![Reply::Bulk(cursor), Reply::Array(shown)])
            }
            Finish::Keys(pattern) => {
                Reply::Array(self.shown(names(next())?, Some(pattern)).into_iter().map(Reply::Bulk).collect())
            }
            Finish::Count => {
                let count = self.shown(names(next())?, None).len();
                Reply::Integer(i64::try_from(count).unwrap_or(i64::MAX))
            }
        })
    }

    async fn finish_read(&self, places: &[Place<'_>], read: Read, replies: Vec<Reply>) -> Result<Reply> {
        let now_ms = self.now_ms();
        let replies = match (read, <[Reply; 1]>::try_from(replies)) {
            (Read::Values, Ok([Reply::Array(values)])) => values,
            (_, Ok([one])) => vec![one],
            (_, Err(replies)) => replies,
        };
        let mut values = Vec::with_capacity(places.len());
        for (place, reply) in places.iter().zip(replies) {
            values.push(match reply {
                Reply::Bulk(bytes) if place.enveloped() => {
                    let found = self.open(place, &bytes, now_ms).await?.filter(|found| found.is_served(now_ms));
                    found.map_or(Reply::Nil, |found| Reply::Bulk(found.value))
                }
                other => other,
            });
        }
        let length = |value: &Reply| match value {
            Reply::Bulk(value) => i64::try_from(value.len()).unwrap_or(i64::MAX),
            Reply::Integer(n) => *n,
            _ => 0,
        };
        Ok(match read {
            Read::Values => Reply::Array(values),
            Read::Value => values.pop().unwrap_or(Reply::Nil),
            Read::Length => Reply::Integer(values.iter().map(length).sum()),
            Read::Count => {
                let there = |value: &Reply| if matches!(value, Reply::Bulk(_)) { 1 } else { length(value) };
                Reply::Integer(values.iter().map(there).sum())
            }
        })
    }

    async fn finish_removal(&self, places: &[Place<'_>], replies: Vec<Reply>) -> Result<Reply> {
        let now_ms = self.now_ms();
        let mut replies = replies.into_iter();
        let mut next = || replies.next().unwrap_or(Reply::Nil);
        let mut count = 0;
        for place in places {
            if place.enveloped()
                && let Reply::Bulk(bytes) = next()
            {
                let found = self.open(place, &bytes, now_ms).await?;
                count += i64::from(found.is_some_and(|found| found.is_served(now_ms)));
            }
            match next() {
                Reply::Integer(removed) => count += removed,
                Reply::Error(line) => return Err(Error::new(ErrorKind::StoreReply, line)),
                _ => {}
            }
        }
        Ok(Reply::Integer(count))
    }
}

fn names(reply: Reply) -> Result<Vec<Bytes>> {
    let Reply::Array(names) = reply else { return Err(odd("KEYS")) };
    let name = |reply| if let Reply::Bulk(name) = reply { Ok(name) } else { Err(odd("KEYS")) };
    names.into_iter().map(name).collect()
}
