//! What the system knows of a process.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Length of the ticks processor time is counted in: a hundredth of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// How long a process does next to nothing before it counts as at rest, and how much that is at most.
const REST: Duration = Duration::from_millis(300);
const REST_CPU_MAX: Duration = Duration::from_millis(20);
/// Longest wait for that.
const REST_WITHIN: Duration = Duration::from_secs(60);

/// Processor time a process has used, in user and system together, all its threads.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    ticks(&text).map(|ticks| TICK * ticks).ok_or_else(|| format!("{file} reads otherwise than proc(5) says"))
}

/// Waits until a program has done what followed from what it was asked before: calendars are looked at again after they were
/// written to, mails go out, events are told of. None of it belongs to what is measured next.
pub(crate) fn at_rest(pid: u32) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let before = cpu_time(pid)?;
        thread::sleep(REST);
        if cpu_time(pid)? - before <= REST_CPU_MAX {
            return Ok(());
        }
        if begun.elapsed() > REST_WITHIN {
            return Err("the program does not come to rest".to_owned());
        }
    }
}

/// Resident memory of a process in MiB, as the system counts it; `None` where it does not say.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    memory_mib(pid, "VmRSS:")
}

/// The most it was since [`forget_peak`], or since the process began.
pub(crate) fn peak_resident_mib(pid: u32) -> Option<f64> {
    memory_mib(pid, "VmHWM:")
}

/// Has the system count the most from here.
pub(crate) fn forget_peak(pid: u32) -> Result<(), String> {
    let file = format!("/proc/{pid}/clear_refs");
    fs::write(&file, "5").map_err(|error| format!("{file}: {error}"))
}

fn memory_mib(pid: u32, what: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The fields `utime` and `stime`. The name before them may hold spaces and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    next()?.checked_add(next()?)
}

#[test]
fn processor_time_is_the_fourteenth_and_the_fifteenth_field() {
    let check = |text: &str, expected: Option<u32>| assert_eq!(ticks(text), expected, "{text}");
    check("7 (a) b) S 1 7 7 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 5 0 99", Some(300));
    check("7 (agentcal) S 1 7", None);
    check("", None);
}
