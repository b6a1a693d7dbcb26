//! Blocks of commands in order, in one go: each happens at one moment, and each has its own answer.
//!
//! Invariant: a block is sent behind the one before it, over one connection to its server. In a cluster, commands that stand alone go to
//! their nodes side by side, those of one slot in order; a block of several goes by itself.

use redis::{Pipeline, Value};

use super::address::RedisAddress;
use super::{RedisStore, command, missing_answer, value};
use crate::ports::store::{Command, Reply, Store, StoreError, StoreResult};

/// What became of a block.
type Done = StoreResult<Vec<Reply>>;

/// How the answer of a block is found.
enum Sent {
    /// It was not sent.
    Refused(Done),
    /// It is one answer.
    One,
    /// It is the last of those of so many commands, with the words around them.
    Block(usize),
}

impl RedisStore {
    /// Sends blocks to the one server.
    pub(super) async fn blocks(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<Done>> {
        let mut commands = Pipeline::with_capacity(blocks.len());
        let mut sent = Vec::with_capacity(blocks.len());
        for block in &blocks {
            sent.push(add(&mut commands, block));
        }
        drop(blocks);
        let answers = if commands.is_empty() {
            sent.into_iter().map(|sent| read(&self.address, sent, &mut std::iter::empty())).collect()
        } else {
            let read_all = |address: &RedisAddress, answers: Vec<Value>| {
                let mut answers = answers.into_iter();
                unless_failed(sent.into_iter().map(|sent| read(address, sent, &mut answers)).collect())
            };
            self.many(commands, read_all).await?
        };
        for refusal in answers.iter().filter_map(|done| done.as_ref().err()) {
            if let StoreError::Reply(line) = refusal {
                self.common.heard(line);
            }
        }
        self.hear(&answers);
        Ok(answers)
    }

    /// Sends blocks to the nodes of a cluster.
    pub(super) async fn blocks_by_node(&self, blocks: Vec<Vec<Command>>) -> StoreResult<Vec<Done>> {
        let mut all = Vec::with_capacity(blocks.len());
        let mut alone: Vec<Command> = Vec::new();
        for block in blocks {
            match <[Command; 1]>::try_from(block) {
                Ok([one]) => alone.push(one),
                Err(block) => {
                    self.send_alone(&mut alone, &mut all).await;
                    all.push(self.atomic(block).await);
                }
            }
        }
        self.send_alone(&mut alone, &mut all).await;
        self.hear(&all);
        unless_failed(all)
    }

    async fn send_alone(&self, alone: &mut Vec<Command>, all: &mut Vec<Done>) {
        let commands = std::mem::take(alone);
        let count = commands.len();
        match self.pipeline(commands).await {
            Ok(replies) => all.extend(replies.into_iter().map(|reply| Ok(vec![reply]))),
            Err(error) => all.extend(std::iter::repeat_n(error, count).map(Err)),
        }
    }

    /// Errors that concern the store and not the caller are told.
    fn hear(&self, all: &[Done]) {
        for reply in all.iter().flatten().flatten() {
            if let Reply::Error(line) = reply {
                self.common.heard(line);
            }
        }
    }
}

fn add(commands: &mut Pipeline, block: &[Command]) -> Sent {
    match block {
        [] => Sent::Refused(Ok(Vec::new())),
        [one] => match command::refusal(one) {
            Some(refusal) => Sent::Refused(Ok(vec![refusal])),
            None => {
                commands.add_command(command::raw(one));
                Sent::One
            }
        },
        several => match several.iter().find_map(command::refusal_in_block) {
            Some(Reply::Error(refusal)) => Sent::Refused(Err(StoreError::Reply(refusal))),
            _ => {
                commands.cmd("MULTI");
                for one in several {
                    commands.add_command(command::raw(one));
                }
                commands.cmd("EXEC");
                Sent::Block(several.len())
            }
        },
    }
}

fn read(address: &RedisAddress, sent: Sent, answers: &mut impl Iterator<Item = Value>) -> Done {
    match sent {
        Sent::Refused(done) => done,
        Sent::One => {
            let answer = answers.next().ok_or_else(missing_answer)?;
            value::reply(address, answer).map(|reply| vec![reply])
        }
        Sent::Block(count) => {
            let own: Vec<Value> = answers.by_ref().take(count + 2).collect();
            value::block(address, own)?.ok_or_else(missing_answer)
        }
    }
}

/// What became of the blocks, unless the store failed in all of them.
fn unless_failed(all: Vec<Done>) -> StoreResult<Vec<Done>> {
    let failed = |done: &Done| done.as_ref().is_err_and(|error| !matches!(error, StoreError::Reply(_)));
    match all.first() {
        Some(Err(error)) if all.iter().all(failed) => Err(error.clone()),
        _ => Ok(all),
    }
}
