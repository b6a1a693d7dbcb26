//! Distributed locks: what every store promises of them, how the host waits and guards, two hosts on one Redis, and what clients
//! see.

mod clients;
mod contention;
mod contract;
mod guards;
mod lines;
mod watched;
