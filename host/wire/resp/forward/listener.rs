//! What one client has subscribed to: a connection of the store's for channels and patterns, another for channels of shards, each
//! made when it is first needed.
//!
//! What clients are told of copies that they keep themselves comes from this host, never from the store: its channel is subscribed to here.
//!
//! Invariant: what is heard is told in the order in which it came, and before the end of a command that came after it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::engine::Engine;
use crate::ports::store::{Command, Reply};
use crate::ports::upstream::{Dedicated, Heard};
use crate::wire::resp::errors;
use crate::wire::resp::tracked::CHANNEL;

type Call = Pin<Box<dyn Future<Output = (Option<Box<dyn Dedicated>>, Option<Reply>)> + Send>>;

/// The two kinds of subscriptions, which Redis counts apart.
#[derive(Clone, Copy)]
enum Kind {
    Channels,
    Shards,
}

/// What a client is told.
pub(super) enum Told {
    /// A message, a confirmation or an error.
    Reply(Reply),
    /// The command is done.
    Settled,
}

/// One client's subscriptions.
pub(in crate::wire::resp) struct Listener {
    engine: Arc<Engine>,
    links: [Option<Box<dyn Dedicated>>; 2],
    counts: [i64; 2],
    call: Option<(Kind, Call)>,
    /// How the command ended that is not yet told.
    ended: Option<Option<Reply>>,
    sender: UnboundedSender<Heard>,
    heard: UnboundedReceiver<Heard>,
    /// Whether the client listens to the host's own channel.
    own: bool,
    /// Confirmations of this host's.
    said: VecDeque<Reply>,
}

impl Listener {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        let (sender, heard) = unbounded_channel();
        Self {
            engine,
            links: [None, None],
            counts: [0, 0],
            call: None,
            ended: None,
            sender,
            heard,
            own: false,
            said: VecDeque::new(),
        }
    }

    /// Whether a command is under way.
    pub(super) const fn is_settling(&self) -> bool {
        self.call.is_some() || self.ended.is_some()
    }

    /// Whether there are subscriptions.
    pub(super) const fn listens(&self) -> bool {
        self.own || self.counts[0] > 0 || self.counts[1] > 0
    }

    /// Begins to subscribe or unsubscribe; none may be under way.
    pub(super) fn begin(&mut self, mut words: Vec<Bytes>) {
        if self.begin_own(&mut words) {
            self.ended = Some(None);
            return;
        }
        let shards = words[0].eq_ignore_ascii_case(b"ssubscribe") || words[0].eq_ignore_ascii_case(b"sunsubscribe");
        let kind = if shards { Kind::Shards } else { Kind::Channels };
        let link = self.links[kind as usize].take();
        let ends = words[0].to_ascii_lowercase().ends_with(b"unsubscribe");
        if link.is_none() && ends {
            // Nothing to end: what Redis answers, without asking it.
            for reply in nothing_to_end(&words) {
                // The receiver is in this struct.
                let _sent = self.sender.send(Heard::Push(reply));
            }
            self.ended = Some(None);
            return;
        }
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        let call = Box::pin(async move {
            let mut link = match link {
                Some(link) => link,
                None => match engine.listen(&words, sender).await {
                    Ok(link) => link,
                    Err(error) => return (None, Some(errors::of(&error))),
                },
            };
            match link.call(Command { args: words }).await {
                Ok(Reply::Error(line)) => (Some(link), Some(Reply::Error(line))),
                Ok(_) => (Some(link), None),
                Err(error) => (None, Some(errors::of(&crate::engine::store_error(error)))),
            }
        });
        self.call = Some((kind, call));
    }

    /// Does what concerns the host's own channel, and takes it out of the words. Whether that is all.
    fn begin_own(&mut self, words: &mut Vec<Bytes>) -> bool {
        let name = words[0].to_ascii_lowercase();
        let (begins, ends) = (name == b"subscribe", name == b"unsubscribe");
        let of_all = ends && words.len() == 1 && self.own;
        if !of_all && !((begins || ends) && words[1..].iter().any(|word| word == CHANNEL)) {
            return false;
        }
        self.own = begins;
        let count = self.counts[0] + i64::from(begins);
        let channel = Reply::Bulk(Bytes::from_static(CHANNEL));
        self.said.push_back(Reply::Push(vec![Reply::Bulk(name.into()), channel, Reply::Integer(count)]));
        let (before, left) = (words.len(), words.iter().filter(|word| *word != CHANNEL).count());
        words.retain(|word| word != CHANNEL);
        if of_all { self.links[Kind::Channels as usize].is_none() } else { left == 1 && before > 1 }
    }

    /// What is to be told next.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Told>> {
        if let Some(said) = self.said.pop_front() {
            return Poll::Ready(Ok(Told::Reply(said)));
        }
        if let Some((kind, call)) = &mut self.call
            && let Poll::Ready((link, error)) = call.as_mut().poll(cx)
        {
            self.links[*kind as usize] = link;
            self.call = None;
            self.ended = Some(error);
        }
        match self.heard.poll_recv(cx) {
            Poll::Ready(Some(Heard::Push(reply))) => {
                self.count(&reply);
                Poll::Ready(Ok(Told::Reply(self.with_own(reply))))
            }
            Poll::Ready(Some(Heard::Lost) | None) if !self.listens() && self.is_settling() => self.poll_end(),
            Poll::Ready(Some(Heard::Lost) | None) => {
                let what = "the store's connection is gone, and with it the client's subscriptions";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, what)))
            }
            Poll::Pending => self.poll_end(),
        }
    }

    fn poll_end(&mut self) -> Poll<io::Result<Told>> {
        match self.ended.take() {
            Some(Some(error)) => {
                self.ended = Some(None);
                Poll::Ready(Ok(Told::Reply(error)))
            }
            Some(None) => Poll::Ready(Ok(Told::Settled)),
            None => Poll::Pending,
        }
    }

    /// The store counts the channels that it knows of.
    fn with_own(&self, mut reply: Reply) -> Reply {
        if let Reply::Push(items) = &mut reply
            && let [Reply::Bulk(kind), _, Reply::Integer(count)] = items.as_mut_slice()
            && [&b"subscribe"[..], b"unsubscribe", b"psubscribe", b"punsubscribe"].contains(&&kind[..])
        {
            *count += i64::from(self.own);
        }
        reply
    }

    /// A confirmation says how many subscriptions of its kind there are now.
    fn count(&mut self, reply: &Reply) {
        let Reply::Push(items) = reply else { return };
        let [Reply::Bulk(kind), _, Reply::Integer(count)] = items.as_slice() else { return };
        match kind.as_ref() {
            b"subscribe" | b"unsubscribe" | b"psubscribe" | b"punsubscribe" => self.counts[0] = *count,
            b"ssubscribe" | b"sunsubscribe" => self.counts[1] = *count,
            _ => {}
        }
    }
}

/// The confirmations of a client that has no subscriptions.
fn nothing_to_end(words: &[Bytes]) -> Vec<Reply> {
    let kind = Bytes::from(words[0].to_ascii_lowercase());
    let told = |channel| Reply::Push(vec![Reply::Bulk(kind.clone()), channel, Reply::Integer(0)]);
    match words.len() {
        1 => vec![told(Reply::Nil)],
        _ => words[1..].iter().map(|channel| told(Reply::Bulk(channel.clone()))).collect(),
    }
}

/// Whether a command concerns nothing but the host's own channel.
pub(super) fn told_here(words: &[Bytes]) -> bool {
    let of_channels = ["subscribe", "unsubscribe"].iter().any(|name| words[0].eq_ignore_ascii_case(name.as_bytes()));
    of_channels && words.len() > 1 && words[1..].iter().all(|word| word == CHANNEL)
}
