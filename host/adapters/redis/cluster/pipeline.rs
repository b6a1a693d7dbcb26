//! Many commands in one go: to each node those that are its own, side by side; one answer for each, in order.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::join::{Join, join};
use super::route::{self, Redirect, Route};
use super::{Cluster, Node};
use crate::adapters::redis::{error, link::Link, missing_answer};
use crate::limits::CLUSTER_REDIRECTS_MAX;
use crate::ports::store::{StoreError, StoreResult};
use crate::ports::upstream::Types;

/// A command, or a piece of one, that one node carries out.
struct Piece {
    command: Cmd,
    slot: Option<u16>,
    /// Which of the callers' commands it is of.
    of: usize,
}

impl Cluster {
    /// Sends commands and waits for all answers. A block between `MULTI` and `EXEC` goes to one node as a whole.
    pub(in crate::adapters::redis) async fn many(
        &self,
        commands: &Pipeline,
        types: Types,
        deadline: Instant,
    ) -> StoreResult<Vec<Value>> {
        let mut slots = commands.cmd_iter().map(route::of);
        let first = slots.next();
        let is = |command: Option<&Cmd>, name: &str| {
            command.is_some_and(|command| {
                route::words(command).first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
            })
        };
        if is(commands.cmd_iter().next(), "multi") && is(commands.cmd_iter().last(), "exec") {
            return self.block(commands, types, deadline).await;
        }
        // All of one slot, as nearly always: as they are.
        if let Some(Route::Slot(slot)) = first
            && slots.all(|route| matches!(route, Route::Slot(other) if other == slot))
        {
            let node = self.node_of(Some(slot), deadline).await?;
            let answers = self.send_to(&node, commands, types, deadline).await?;
            let asked = commands.cmd_iter().zip(answers);
            let mut all = Vec::with_capacity(commands.len());
            for (command, answer) in asked {
                all.push(self.settled(command, Some(slot), answer, types, deadline).await?);
            }
            return Ok(all);
        }
        self.pieces(commands, types, deadline).await
    }

    async fn send_to(
        &self,
        node: &Arc<Node>,
        commands: &Pipeline,
        types: Types,
        deadline: Instant,
    ) -> StoreResult<Vec<Value>> {
        let send = |link: Arc<Link>| async move { link.many(commands).await };
        let sent = node.exchange(types, deadline, send).await;
        sent.map(|(answers, _)| answers).inspect_err(|_| self.look())
    }

    /// An answer as it is, or what the command is answered where it is sent instead.
    async fn settled(
        &self,
        command: &Cmd,
        slot: Option<u16>,
        answer: Value,
        types: Types,
        deadline: Instant,
    ) -> StoreResult<Value> {
        match route::redirect(&answer) {
            None => Ok(answer),
            Some(_) => self.ask(command, slot, types, deadline).await,
        }
    }

    /// The same for commands of several slots, some of which go in pieces or to all nodes.
    pub(super) async fn pieces(&self, commands: &Pipeline, types: Types, deadline: Instant) -> StoreResult<Vec<Value>> {
        let mut joins: Vec<Option<Join>> = Vec::with_capacity(commands.len());
        let mut alone = Vec::new();
        let mut pieces = Vec::with_capacity(commands.len());
        for (of, command) in commands.cmd_iter().enumerate() {
            let mut how = None;
            match route::of(command) {
                Route::Slot(slot) => pieces.push(Piece { command: command.clone(), slot: Some(slot), of }),
                Route::Any => pieces.push(Piece { command: command.clone(), slot: None, of }),
                Route::Split(split, join) => {
                    how = Some(join);
                    pieces.extend(split.into_iter().map(|(command, slot)| Piece { command, slot: Some(slot), of }));
                }
                Route::All(_) | Route::Scan | Route::Nowhere => alone.push((of, command)),
            }
            joins.push(how);
        }
        let mut answers: Vec<Vec<Value>> = joins.iter().map(|_| Vec::new()).collect();
        for (piece, answer) in pieces.iter().zip(self.send_pieces(&pieces, types, deadline).await?) {
            answers[piece.of].push(self.settled(&piece.command, piece.slot, answer, types, deadline).await?);
        }
        for (of, command) in alone {
            answers[of].push(Box::pin(self.one(command, types, deadline)).await?);
        }
        let each = joins.into_iter().zip(answers).map(|(how, mut answers)| match how {
            Some(how) => join(how, answers),
            None => answers.pop().ok_or_else(missing_answer),
        });
        each.collect()
    }

    /// The answers of all pieces, each from the node of its slot.
    async fn send_pieces(&self, pieces: &[Piece], types: Types, deadline: Instant) -> StoreResult<Vec<Value>> {
        let mut groups: Vec<(Arc<Node>, Vec<usize>)> = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let node = self.node_of(piece.slot, deadline).await?;
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &node)) {
                Some((_, members)) => members.push(index),
                None => groups.push((node, vec![index])),
            }
        }
        let sent = groups.iter().map(|(node, members)| async move {
            let mut commands = Pipeline::with_capacity(members.len());
            for &index in members {
                commands.add_command(pieces[index].command.clone());
            }
            self.send_to(node, &commands, types, deadline).await
        });
        let mut all = vec![Value::Nil; pieces.len()];
        for ((_, members), answers) in groups.iter().zip(join_all(sent).await) {
            let answers = answers?;
            if answers.len() != members.len() {
                return Err(missing_answer());
            }
            members.iter().zip(answers).for_each(|(&index, answer)| all[index] = answer);
        }
        Ok(all)
    }

    /// A block of commands that happens at one moment, so on one node.
    async fn block(&self, commands: &Pipeline, types: Types, deadline: Instant) -> StoreResult<Vec<Value>> {
        let inner = commands.len().saturating_sub(2);
        let mut common = None;
        for command in commands.cmd_iter().skip(1).take(inner) {
            match (route::of(command), common) {
                (Route::Any, _) => {}
                (Route::Slot(slot), None) => common = Some(slot),
                (Route::Slot(slot), Some(other)) if slot == other => {}
                _ => return Err(StoreError::Reply("CROSSSLOT Keys in request don't hash to the same slot".to_owned())),
            }
        }
        let mut node = self.node_of(common, deadline).await?;
        for _ in 0..=CLUSTER_REDIRECTS_MAX {
            let answers = self.send_to(&node, commands, types, deadline).await?;
            match answers.iter().find_map(route::redirect) {
                None => return Ok(answers),
                Some(Redirect::Moved(place)) => {
                    self.look();
                    node = self.at(&place, &node)?;
                }
                // The slot is on its way: a block that begins again in a moment finds it where it arrived.
                Some(Redirect::Ask(_) | Redirect::Later) => {
                    self.look();
                    return Err(error::unavailable(&*node.target, "the slot of these keys is being moved; retry"));
                }
            }
        }
        Err(error::unavailable(&*node.target, "it is sent on for ever"))
    }
}
