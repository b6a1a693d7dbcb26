//! The deadline of one call, in time on the processor: a call that the system set aside is late, but not at fault.
//!
//! Epochs count time on the wall and cost next to nothing; the processor's time costs a system call. So the first half of a
//! deadline is counted on the wall, and only a call that outlives it is measured, for the other half. A call that spins ends
//! within its deadline and two ticks; one that was set aside for long gets at least half of its deadline to itself.

use wasmtime::UpdateDeadline;

use crate::limits;

/// The deadline of the call that runs.
#[derive(Debug, Default)]
pub(super) struct Deadline {
    /// What is left for the part that is measured.
    rest_ns: u64,
    /// The thread's time when the measuring began.
    measured_from_ns: Option<u64>,
}

impl Deadline {
    /// Begins a call that may take so long. Answers after how many ticks to ask [`Self::expired`].
    pub(super) const fn begin(&mut self, ms: u64) -> u64 {
        let unmeasured_ms = ms / 2;
        self.rest_ns = (ms - unmeasured_ms) * 1_000_000;
        self.measured_from_ns = None;
        ticks(unmeasured_ms)
    }

    /// Whether to end the call, or when to ask again. `thread_ns` is the time that the thread was on a processor.
    pub(super) fn expired(&mut self, thread_ns: u64) -> UpdateDeadline {
        let from = *self.measured_from_ns.get_or_insert(thread_ns);
        match self.rest_ns.saturating_sub(thread_ns.saturating_sub(from)) {
            0 => UpdateDeadline::Interrupt,
            left_ns => UpdateDeadline::Continue(left_ns.div_ceil(limits::TICK_MS * 1_000_000)),
        }
    }
}

/// The next tick may be due at once, so one more makes the time whole.
const fn ticks(ms: u64) -> u64 {
    ms / limits::TICK_MS + 1
}

/// The time that the calling thread was on a processor.
pub(super) fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(
        unsafe_code,
        reason = "writes one value to a local; this clock always exists, and zero would only be lenient"
    )]
    unsafe {
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn left(answer: UpdateDeadline) -> Option<u64> {
        match answer {
            UpdateDeadline::Continue(ticks) => Some(ticks),
            _ => None,
        }
    }

    #[test]
    fn a_call_that_spins_ends_after_its_time() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(5), 3);
        assert_eq!(left(deadline.expired(100 * MS)), Some(3));
        assert_eq!(left(deadline.expired(103 * MS)), None);
    }

    #[test]
    fn a_call_that_was_set_aside_gets_its_time() {
        let mut deadline = Deadline::default();
        deadline.begin(5);
        for ms in [0, 0, 1, 2] {
            assert_eq!(left(deadline.expired((100 + ms) * MS)), Some(3 - ms));
        }
        assert_eq!(left(deadline.expired(103 * MS)), None);
    }

    #[test]
    fn each_call_has_a_deadline_of_its_own() {
        let mut deadline = Deadline::default();
        deadline.begin(1);
        assert_eq!(left(deadline.expired(7 * MS)), Some(1));
        assert_eq!(left(deadline.expired(8 * MS)), None);
        assert_eq!(deadline.begin(1), 1);
        assert_eq!(left(deadline.expired(9 * MS)), Some(1));
    }

    #[test]
    fn the_threads_time_goes_on_while_it_works() {
        let from = thread_ns();
        while thread_ns() < from + MS {}
    }
}
