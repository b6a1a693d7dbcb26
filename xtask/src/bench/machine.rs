//! What the numbers were measured on, and what a process has used: read from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// One line: date, cores, processor, kernel, versions.
pub(super) fn describe(larder: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    let kernel = first_line("uname", &["-sr"]);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let redis = first_line("redis-server", &["--version"]);
    let redis = redis.split(' ').find_map(|word| word.strip_prefix("v=")).unwrap_or("not installed").to_owned();
    [
        first_line("date", &["+%Y-%m-%d"]),
        format!("{cores} cores ({model}), load {load} at the start"),
        kernel,
        first_line(&larder.display().to_string(), &["--version"]),
        format!("Redis {redis}"),
        first_line("nginx", &["-v"]).replace("nginx version: ", ""),
        first_line("rustc", &["--version"]),
    ]
    .join(" · ")
}

/// What a program prints first, wherever it prints it.
fn first_line(program: &str, args: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(args).output() else {
        return format!("no {program}");
    };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}

/// CPU time that a process and its children have used, in seconds: `utime + stime`.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let ticks_per_second: f64 = first_line("getconf", &["CLK_TCK"]).parse().context("getconf CLK_TCK")?;
    let mut parents = HashMap::new();
    let mut ticks = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name may hold spaces and brackets; what follows its last bracket does not. See proc_pid_stat(5).
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<u64> = rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
        let (Some(parent), Some(user), Some(system)) = (fields.get(1), fields.get(11), fields.get(12)) else {
            continue;
        };
        parents.insert(id, u32::try_from(*parent)?);
        ticks.insert(id, user + system);
    }
    let of = |id: &u32| *id == pid || parents.get(id) == Some(&pid);
    let own: u64 = ticks.iter().filter(|(id, _)| of(id)).map(|(_, ticks)| ticks).sum();
    Ok(own as f64 / ticks_per_second)
}

/// Resident memory of a process in bytes.
pub(super) fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"))
}
