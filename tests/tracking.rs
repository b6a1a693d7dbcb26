//! Clients that keep copies of their own: what they are answered and told, word for word as by a Redis, and that they never keep what is out of date.

mod ends;
mod pauses;
mod property;
mod session;
mod words;
