//! A connection to a server: one of ours, or the client library's where pushes are expected.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::multiplex::Multiplexed;

/// A connection that has been greeted.
pub(super) enum Connection {
    /// For questions and answers: the way of nearly every command, so it is short.
    Plain(Multiplexed),
    /// For what comes by itself, too.
    Listening(MultiplexedConnection),
}

impl Connection {
    /// Sends one command and waits for its answer.
    pub(super) async fn one(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Plain(connection) => connection.one(command).await,
            Self::Listening(connection) => connection.clone().send_packed_command(command).await,
        }
    }

    /// Sends commands in one go and waits for all answers.
    pub(super) async fn many(&self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::Plain(connection) => connection.many(commands).await,
            Self::Listening(connection) => connection.clone().send_packed_commands(commands, 0, commands.len()).await,
        }
    }
}
