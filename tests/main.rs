//! The one test binary: a module for each behaviour.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of real servers wait in real time")]
#![allow(unreachable_pub, reason = "nobody reaches into a test binary; `pub` says what a helper is for")]

mod authors;
mod bad_input;
mod batch;
mod bindings;
mod breaker;
mod cli;
mod clients;
mod coherence;
mod compression;
mod config;
mod dashboard;
mod deploy;
mod described;
mod engine;
mod fill;
mod http;
mod invalidate;
mod l1;
mod languages;
mod like_redis;
mod lives;
mod loads;
mod locks;
mod metrics;
mod migration;
mod newcomer;
mod operators;
mod origin;
mod outage;
mod policy_cases;
mod policy_life;
mod policy_probation;
mod policy_runtime;
mod policy_storms;
mod readme;
mod resp;
mod samples;
mod sdk;
mod security;
mod store_contract;
mod store_memory;
mod store_redis;
mod support;
mod swap;
mod tidy;
mod toolchain;
mod traces;
mod tracking;
mod troubles;
mod walkthrough;
mod warming;
mod workflow;
mod workflow_hostile;
