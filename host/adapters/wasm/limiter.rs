//! The bound on what one instance may hold: wasmtime asks for each memory and each table by itself, so they are summed here.

use wasmtime::ResourceLimiter;

use crate::limits;

/// Counts what an instance holds and refuses what is beyond its bounds.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_bytes_max: usize,
    memory_bytes: usize,
    table_elements: usize,
    /// What the last permitted growth added; given back if it then failed.
    last: (usize, usize),
    denied: bool,
}

impl Limiter {
    /// Bounds the sum of an instance's memories.
    pub(super) const fn new(memory_bytes_max: usize) -> Self {
        Self { memory_bytes_max, memory_bytes: 0, table_elements: 0, last: (0, 0), denied: false }
    }

    /// Bytes of all memories.
    pub(super) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Whether something was refused since the last [`Self::forgive`].
    pub(super) const fn denied(&self) -> bool {
        self.denied
    }

    /// Forgets that something was refused; before each call.
    pub(super) const fn forgive(&mut self) {
        self.denied = false;
    }

    fn give_back(&mut self) {
        self.memory_bytes -= self.last.0;
        self.table_elements -= self.last.1;
        self.last = (0, 0);
        self.denied = true;
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = self.memory_bytes.saturating_add(more) <= self.memory_bytes_max;
        if fits {
            self.memory_bytes += more;
            self.last = (more, 0);
        } else {
            self.denied = true;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let fits = self.table_elements.saturating_add(more) <= limits::INSTANCE_TABLE_ELEMENTS_MAX;
        if fits {
            self.table_elements += more;
            self.last = (0, more);
        } else {
            self.denied = true;
        }
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        limits::COMPONENT_PARTS_MAX as usize
    }

    fn tables(&self) -> usize {
        limits::COMPONENT_PARTS_MAX as usize
    }

    fn memories(&self) -> usize {
        limits::COMPONENT_PARTS_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_summed() -> wasmtime::Result<()> {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None)? && limiter.memory_growing(0, 40, None)?);
        assert!(!limiter.denied());
        assert!(!limiter.memory_growing(60, 61, None)?);
        assert!(limiter.denied());
        limiter.forgive();
        assert!(!limiter.table_growing(0, limits::INSTANCE_TABLE_ELEMENTS_MAX + 1, None)?);
        assert!(limiter.denied());
        assert_eq!(limiter.memory_bytes(), 100);
        Ok(())
    }

    #[test]
    fn a_growth_that_failed_after_all_is_not_counted() -> wasmtime::Result<()> {
        let mut limiter = Limiter::new(100);
        assert!(limiter.memory_growing(0, 60, None)?);
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory"))?;
        assert_eq!((limiter.memory_bytes(), limiter.denied()), (0, true));
        Ok(())
    }
}
