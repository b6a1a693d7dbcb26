//! The short way of a `GET`: what L1 holds and may serve is answered where the frame is read, before a command is looked up.
//!
//! Invariant: it overtakes no command of the connection that may change its key, and its answer stands in its turn. Deliberately absent:
//! everything that must think or wait.

use super::args::Words;
use super::connection::Connection;
use super::frame::Frame;
use super::reply;
use super::traced;
use crate::ports::store::Reply;

impl Connection {
    /// Answers `GET` from L1, if it is one and L1 may.
    pub(super) fn hit(&mut self, frame: Frame, now_ms: u64) -> bool {
        if !self.sequence.is_empty() && !self.overtakes(frame, now_ms) {
            return false;
        }
        let Self { parser, input, session, pipeline, outbox, tally, listener, .. } = self;
        let Some(key) = key_of_get(parser.words(input, frame)) else { return false };
        if !session.may_hit(key) || listener.is_some() {
            return false;
        }
        let alone = pipeline.is_empty();
        if !alone && (pipeline.is_full() || pipeline.is_barred() || pipeline.claims().conflict_read(key)) {
            return false;
        }
        let engine = session.engine();
        tally.begin(engine);
        let Some(entry) = engine.hit(key, now_ms) else { return false };
        tally.add(engine, &entry);
        if let Some(tracer) = session.tracer() {
            traced::hit(tracer, &entry);
        }
        if alone {
            reply::bulk(outbox.buffer(), entry.bytes());
        } else if let Some(reply) = pipeline.answer(Reply::Bulk(entry.value()), false) {
            reply::write(outbox.buffer(), session.protocol(), &reply);
        }
        true
    }

    /// Whether L1 may answer a `GET` though commands are gathered: then they begin.
    fn overtakes(&mut self, frame: Frame, now_ms: u64) -> bool {
        let Some(key) = key_of_get(self.parser.words(&self.input, frame)) else { return false };
        let engine = self.session.engine();
        let hits = !self.sequence.changes(key) && self.session.may_hit(key) && engine.hit(key, now_ms).is_some();
        if hits {
            self.begin_sequence();
        }
        hits
    }
}

/// The key of a `GET`; `None`: it is something else.
fn key_of_get(words: Words<'_>) -> Option<&[u8]> {
    let is_get = words.len() == 2 && words.get(0)?.eq_ignore_ascii_case(b"get");
    if is_get { words.get(1) } else { None }
}
