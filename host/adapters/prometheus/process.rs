//! The process, under the names of Prometheus' own clients, from `/proc/self`.
//!
//! Where there is no `/proc` the families are absent. The crate's own collector is not used: it brings a second copy of half the
//! system crates for six numbers.

use std::fs;

use prometheus::proto::MetricFamily;

use super::family::Family;

/// Ticks of a second in `/proc` (`USER_HZ`): 100 on every Linux that user space sees, whatever the kernel's own clock.
const TICKS_PER_S: f64 = 100.0;

/// The families of the process.
pub(super) fn families() -> Vec<MetricFamily> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (stat, status, limits) = (read("/proc/self/stat"), read("/proc/self/status"), read("/proc/self/limits"));
    let open_fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let gauges = [
        ("process_resident_memory_bytes", "Resident memory", kilobytes(&status, "VmRSS:")),
        ("process_virtual_memory_bytes", "Virtual memory", kilobytes(&status, "VmSize:")),
        ("process_threads", "Threads", number(&status, "Threads:")),
        ("process_open_fds", "Open file descriptors", open_fds),
        ("process_max_fds", "Open file descriptors allowed", number(&limits, "Max open files")),
        (
            "process_start_time_seconds",
            "Start of the process since the Unix epoch",
            start_time_s(&stat, &read("/proc/stat")),
        ),
    ];
    let gauges = gauges.into_iter().filter_map(|(name, help, value)| {
        let mut family = Family::gauge(name, help);
        family.level(&[], value?);
        Some(family.done())
    });
    let cpu = cpu_s(&stat).map(|seconds| {
        let mut family = Family::counter("process_cpu_seconds_total", "CPU time in user and system mode");
        family.amount(&[], seconds);
        family.done()
    });
    gauges.chain(cpu).collect()
}

/// The first number after a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    number(status, name).map(|kilobytes| kilobytes * 1024.0)
}

/// A field of `/proc/self/stat`, counted as in proc(5). The second one, the program's name, may hold blanks and brackets.
fn field(stat: &str, number: usize) -> Option<f64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_s(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS_PER_S)
}

fn start_time_s(stat: &str, machine: &str) -> Option<f64> {
    Some(number(machine, "btime")? + field(stat, 22)? / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_the_manual_says() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 1000 1000000 200 1 1 1";
        assert_eq!(cpu_s(stat), Some(3.0));
        assert_eq!(start_time_s(stat, "cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_010.0));
        assert_eq!(kilobytes("VmSize:\t  100 kB\nVmRSS:\t   7 kB\n", "VmRSS:"), Some(7168.0));
        assert_eq!(
            number("Max open files            1024                 4096       files", "Max open files"),
            Some(1024.0)
        );
        assert_eq!(field("", 14), None);
    }
}
