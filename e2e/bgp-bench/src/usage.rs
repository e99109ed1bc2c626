//! What a process has used so far, as the kernel counts it (proc(5)). Reads only.

use anyhow::Context as _;
use std::time::Duration;

/// Ticks a second in /proc (USER_HZ, fixed at 100 for user space on every architecture we run on).
const TICKS: u64 = 100;

/// CPU time and memory of a process with all its threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Resident now, kB.
    pub(crate) resident: u64,
    /// Resident at most, kB.
    pub(crate) peak: u64,
}

impl Usage {
    /// Of a running process.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let status = read(&format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self { cpu: cpu(pid)?, resident: field("VmRSS")?, peak: field("VmHWM")? })
    }
}

/// User and system time of a process, its ended threads included.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name may hold blanks and parentheses; what follows the last one is plain: state is field 3, utime 14, stime 15.
    let rest = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Busy time of all processors together since boot.
pub(crate) fn machine() -> anyhow::Result<Duration> {
    let stat = read("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    let times: Vec<u64> = line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, (idle, iowait), irq, softirq
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|at| times.get(*at)).sum();
    Ok(Duration::from_millis(busy * 1000 / TICKS))
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {path}"))
}
