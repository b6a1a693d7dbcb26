//! The outside world behind the ports. Adapters know no engine and no front end; `main` alone names them.

pub mod allocator;
pub mod breaker;
pub mod clock;
pub mod logging;
pub mod memory;
pub mod origin;
pub mod otlp;
pub mod prometheus;
pub mod redis;
pub mod traced;
pub mod wasm;
