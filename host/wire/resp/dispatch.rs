//! From a frame to an answer or to work: the hit path, the order of commands, and who may do what.
//!
//! The hit path comes first and touches nothing but the frame, L1 and the output. Everything else is looked up in the command
//! table. A command that may not begin yet stays where it is, and with it everything behind it.

use bytes::{Buf, BytesMut};

use super::args::{Args, Words};
use super::claims::{Access, Footprint};
use super::commands::{self, Lookup, Run, SessionFn, Spec, TurnFn};
use super::connection::{Connection, Phase};
use super::errors;
use super::frame::{Frame, ProtocolError};
use super::monitor;
use super::reply;
use super::session::Output;
use super::traced;
use super::tracked::Reads;
use super::transaction::Queued;
use crate::config::users::Role;
use crate::limits::RESP_READ_BYTES;
use crate::ports::store::Reply;
use crate::ports::table::DEFAULT_DOMAIN;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Carried out or begun; it is still in the input.
    Done,
    /// Carried out or begun; its bytes are taken out of the input.
    Taken,
    /// It must wait for others.
    Wait,
}

impl Connection {
    /// Carries out or begins all commands that were read, up to one that has to wait.
    pub(super) fn process(&mut self) {
        if self.input.is_empty() || self.phase == Phase::Ending {
            return;
        }
        let now_ms = self.session.engine().now_ms();
        self.session.client().active(now_ms);
        self.session.look_again();
        while self.phase != Phase::Ending {
            let frame = match self.waiting.take().map_or_else(|| self.parser.next(&self.input), |frame| Ok(Some(frame)))
            {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    self.give_up(error);
                    break;
                }
            };
            let admission =
                if self.is_pressed() || self.is_settling() { Admission::Wait } else { self.admit(frame, now_ms) };
            match admission {
                Admission::Done => self.input.advance(frame.len),
                Admission::Taken => {}
                Admission::Wait => {
                    self.waiting = Some(frame);
                    break;
                }
            }
        }
        self.begin_gathered();
        self.tally.count(self.session.engine());
        if self.phase == Phase::Ending {
            self.input.clear();
        }
    }

    /// Says why the bytes make no sense, after the answers before it, and ends.
    fn give_up(&mut self, error: ProtocolError) {
        self.session.engine().metrics().resp_protocol_errors.increment();
        tracing::debug!(client = self.session.client().id, %error, "a client does not speak the protocol");
        self.answer(errors::reply(format!("ERR Protocol error: {error}")), false);
        self.phase = Phase::Ending;
    }

    pub(super) fn answer(&mut self, reply: Reply, muted: bool) {
        self.begin_gathered();
        if let Some(reply) = self.pipeline.answer(reply, muted) {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
    }

    fn admit(&mut self, frame: Frame, now_ms: u64) -> Admission {
        if self.parser.words(&self.input, frame).is_empty() {
            return Admission::Done;
        }
        if self.session.shared().pauses.are_there() && self.must_pause(frame) {
            return Admission::Wait;
        }
        if let Err((per_second, wait_ms)) = self.session.pace() {
            self.session.engine().metrics().guard.rate_limited.increment();
            return self.refuse(errors::too_fast(per_second, wait_ms));
        }
        let shared = self.session.shared();
        let is_told = shared.monitors.are_there() && self.session.access().is_some();
        let words = self.parser.words(&self.input, frame);
        let database = self.session.database_number();
        let line = is_told.then(|| monitor::line(now_ms, database, self.session.client().peer, words)).flatten();
        let is_hit = self.gathered.is_empty() && self.hit(frame, now_ms);
        let admission = if is_hit { Admission::Done } else { self.begin(frame) };
        if let Some(line) = line.filter(|_| admission != Admission::Wait) {
            self.session.shared().monitors.tell(&line);
        }
        admission
    }

    /// Looks the command up and begins it.
    fn begin(&mut self, frame: Frame) -> Admission {
        self.tally.count(self.session.engine());
        let words = self.parser.words(&self.input, frame);
        if let Some(refusal) = words.get(0).and_then(|name| self.refusal_while_listening(name)) {
            return self.refuse(refusal);
        }
        let elsewhere = self.session.database().is_some();
        let found = match commands::look_up(words) {
            Lookup::Elsewhere if is_http(&words) => {
                tracing::warn!(
                    client = self.session.client().id,
                    "an HTTP request on the RESP port, maybe by a tricked browser"
                );
                self.phase = Phase::Ending;
                return Admission::Done;
            }
            Lookup::Elsewhere => return self.begin_forward(frame),
            Lookup::Here(command, _) if elsewhere && commands::is_passed_on(command) => {
                return self.begin_forward(frame);
            }
            Lookup::Here(_, Ok(spec))
                if commands::is_of_server(spec) && self.session.engine().hands_over(spec.name) =>
            {
                return self.begin_forward(frame);
            }
            Lookup::Here(_, Ok(spec)) if self.session.engine().forwards() && commands::leaves(spec, words) => {
                return self.begin_forward(frame);
            }
            Lookup::Here(_, Ok(spec)) if elsewhere && commands::is_for_policies(spec) => {
                Err(errors::for_policies(spec.name))
            }
            Lookup::Here(_, Ok(spec)) => self.allowed(spec, words).map(|()| spec),
            Lookup::Here(_, refused) => refused,
        };
        if self.session.transaction.is_some() {
            return self.begin_queued(frame, found);
        }
        match found.map(|spec| (spec, spec.run)) {
            Ok((spec, Run::Store(_) | Run::Data(_) | Run::Leasing(_))) => {
                self.follow(frame, spec).unwrap_or_else(|| self.begin_data(frame, spec))
            }
            Ok((spec, Run::Turn(run))) => self.run_turn(frame, spec, run),
            Ok((spec, Run::Session(run))) => self.run_session(frame, spec, run),
            // A container's own arity makes it name a subcommand, so this is an unknown one, and looking it up has said so.
            Ok((spec, Run::Container)) => self.refuse(errors::unknown_subcommand(spec.name, b"")),
            Err(reply) => self.refuse(reply),
        }
    }

    /// Whether the client may have this carried out.
    fn allowed(&self, spec: &'static Spec, words: Words<'_>) -> Result<(), Reply> {
        let Some(access) = self.session.access() else {
            return if spec.no_auth { Ok(()) } else { Err(errors::reply(errors::NO_AUTH)) };
        };
        let allows = match self.session.database() {
            // Their keys belong to no policy.
            Some(_) if spec.has_keys() && access.in_domain(DEFAULT_DOMAIN.as_bytes()) < Role::Read => {
                Err(errors::reply(errors::NO_PERMISSION_KEY))
            }
            Some(_) if spec.has_keys() => Ok(()),
            _ => spec.allows(access, self.session.engine(), words),
        };
        allows.inspect_err(|_| {
            self.session.engine().metrics().guard.denials.increment();
            tracing::debug!(client = self.session.client().id, user = %access.name(), command = spec.name, "not allowed");
        })
    }

    /// Answers without doing anything, in turn.
    pub(super) fn refuse(&mut self, reply: Reply) -> Admission {
        if self.pipeline.is_full() {
            return Admission::Wait;
        }
        let muted = self.session.next_is_muted();
        self.answer(reply, muted);
        Admission::Done
    }

    /// A command on the connection runs alone: it may change how answers are written.
    fn run_session(&mut self, frame: Frame, spec: &'static Spec, run: SessionFn) -> Admission {
        self.begin_gathered();
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        self.session.client().label(|label| label.command = spec.name);
        self.session.caching_is_over(spec);
        let args = self.parser.words(&self.input, frame).to_args();
        let output = self.session.run(run, &args);
        let output = match output {
            Output::Reply(_) if spec.name == "ping" && self.pings_while_listening() => {
                let said = if args.len() > 1 { args.shared(1) } else { bytes::Bytes::new() };
                Output::Reply(Reply::Array(vec![Reply::Bulk("pong".into()), Reply::Bulk(said)]))
            }
            output => output,
        };
        if spec.name == "reset" {
            self.listener = None;
        }
        let protocol = self.session.protocol();
        match output {
            Output::Reply(reply) | Output::Always(reply) => reply::write(self.outbox.buffer(), protocol, &reply),
            Output::Text(text) => reply::text(self.outbox.buffer(), protocol, &text),
            Output::Nothing => {}
        }
        self.parser.set_guarded(self.session.access().is_none());
        if self.session.closing {
            self.phase = Phase::Ending;
        }
        Admission::Done
    }

    /// A command on the connection and in the engine runs alone, and nothing begins before it has ended.
    fn run_turn(&mut self, frame: Frame, spec: &'static Spec, run: TurnFn) -> Admission {
        self.begin_gathered();
        if !self.pipeline.is_empty() {
            return Admission::Wait;
        }
        self.session.client().label(|label| label.command = spec.name);
        let args = self.parser.words(&self.input, frame).to_args();
        let muted = self.session.next_is_muted();
        let reads = self.session.reads_of_turn(spec);
        let answer = match run(&mut self.session, &args) {
            Ok(work) => {
                let work = self.session.tracked(reads, work);
                self.pipeline.begin(traced::command(&self.session, spec.name, work), None, muted)
            }
            Err(reply) => self.pipeline.answer(reply, muted),
        };
        self.session.settle_database();
        if let Some(reply) = answer {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
        if self.session.closing {
            self.phase = Phase::Ending;
        }
        Admission::Done
    }

    /// After `MULTI`: queues a command, unless it is one that is for the transaction itself or ends it.
    pub(super) fn begin_queued(&mut self, frame: Frame, found: Result<&'static Spec, Reply>) -> Admission {
        let at_once = ["discard", "exec", "multi", "quit", "reset", "watch"];
        let queued = match found {
            Ok(spec) if at_once.contains(&spec.name) => {
                return match spec.run {
                    Run::Session(run) => self.run_session(frame, spec, run),
                    Run::Turn(run) => self.run_turn(frame, spec, run),
                    _ => self.refuse(errors::unknown_subcommand(spec.name, b"")),
                };
            }
            Ok(spec) => self.queue(frame, spec),
            Err(reply) => Err(reply),
        };
        if let (Err(_), Some(transaction)) = (&queued, &mut self.session.transaction) {
            transaction.refuse();
        }
        self.refuse(queued.err().unwrap_or_else(|| Reply::Status("QUEUED".into())))
    }

    fn queue(&mut self, frame: Frame, spec: &'static Spec) -> Result<(), Reply> {
        if !commands::may_be_queued(spec) {
            return Err(commands::cannot_be_queued(spec.name));
        }
        self.begin_gathered();
        let args = self.parser.words(&self.input, frame).to_args();
        let queued = match spec.run {
            Run::Session(run) => Queued::Session(run, args),
            Run::Turn(_) => match commands::in_transaction(spec, &self.session, &args) {
                Some(run) => Queued::Session(run, args),
                None => return Err(commands::cannot_be_queued(spec.name)),
            },
            _ => {
                let engine = self.session.engine();
                // What is wrong with its arguments is its own answer later, as in Redis.
                if let Ok(step) = commands::step(spec, &args, engine.now_ms()) {
                    engine.may_queue(spec.name, &step).map_err(|error| errors::of(&error))?;
                }
                Queued::Data(spec, args)
            }
        };
        let bytes = frame.len;
        self.session.transaction.as_mut().map_or(Ok(()), |transaction| transaction.queue(queued, bytes))
    }

    /// A command on data begins as soon as no other that it must not overlap with is at work.
    fn begin_data(&mut self, frame: Frame, spec: &'static Spec) -> Admission {
        self.begin_gathered();
        if self.pipeline.is_full() || self.pipeline.is_barred() {
            return Admission::Wait;
        }
        let words = self.parser.words(&self.input, frame);
        let claims = self.pipeline.claims();
        let footprint = spec.has_keys().then(|| claims.footprint(spec.access, spec.keys.of(words)));
        let must_wait = footprint.as_ref().map_or(!self.pipeline.is_empty(), |footprint| claims.conflict(footprint));
        if must_wait {
            return Admission::Wait;
        }
        self.session.client().label(|label| label.command = spec.name);
        let reads = self.session.reads(spec.access == Access::Read, || spec.keys.of(words));
        let (args, admission) = take_args(&self.parser, &mut self.input, frame);
        let muted = self.session.next_is_muted();
        self.begin_with(spec, args, reads, footprint, muted);
        admission
    }

    /// Begins a command on data with these words.
    pub(super) fn begin_with(
        &mut self,
        spec: &'static Spec,
        args: Args,
        reads: Option<Reads>,
        footprint: Option<Footprint>,
        muted: bool,
    ) {
        let session = &self.session;
        let work = match spec.run {
            Run::Data(_) if spec.name == "larder.explain" && session.database().is_some() => {
                commands::explain_elsewhere(session, args)
            }
            Run::Data(run) => run(session.engine(), args),
            Run::Leasing(run) => run(session.engine(), session.leases(), args),
            Run::Store(form) => commands::begin(spec, form, session.engine(), &args),
            Run::Session(_) | Run::Turn(_) | Run::Container => Err(errors::unknown_subcommand(spec.name, b"")),
        };
        let answer = match work {
            Ok(work) => {
                let work = self.session.tracked(reads, work);
                self.pipeline.begin(traced::command(&self.session, spec.name, work), footprint, muted)
            }
            Err(reply) => self.pipeline.answer(reply, muted),
        };
        if let Some(reply) = answer {
            reply::write(self.outbox.buffer(), self.session.protocol(), &reply);
        }
    }
}

/// The words of a frame as owned ones: a large frame is taken out of the input as it is, a small one is copied, so that a
/// value of a few bytes never keeps a read buffer alive.
fn take_args(parser: &super::parser::Parser, input: &mut BytesMut, frame: Frame) -> (Args, Admission) {
    if frame.inline || frame.len < RESP_READ_BYTES {
        return (parser.words(input, frame).to_args(), Admission::Done);
    }
    (Args::take(input, frame.len, parser.spans()), Admission::Taken)
}

/// What a browser sends that was tricked into talking to us. Redis guards against the same two words.
fn is_http(words: &Words<'_>) -> bool {
    words.get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:"))
}
