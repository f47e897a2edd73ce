//! Processes that outlive the one that starts them, known again by what the kernel says of them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::run::Failure;

const END_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A process that was started. Its number may be given to another once it has ended; the instant it began tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pid: u32,
    /// When it began, in ticks since the machine did.
    born: u64,
}

/// What is sent to processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Ends at once.
    Kill,
    /// Asks to end; for PostgreSQL this waits for its clients.
    Terminate,
    /// Asks to end without waiting for clients.
    Interrupt,
    /// Keeps from running.
    Stop,
    /// Lets run again.
    Continue,
}

impl Signal {
    /// As `kill` knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

impl Process {
    /// Starts a program in a session of its own, with its output in a file: no terminal and no pipe ends it.
    pub(super) fn start(command: &Command, log: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure(format!("{} does not start: {error}", command.get_program().display()));
        let out = File::options().create(true).append(true).open(log).map_err(failed)?;
        let errors = out.try_clone().map_err(failed)?;
        let mut detached = Command::new("setsid");
        detached.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => detached.env(name, value),
                None => detached.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            detached.current_dir(folder);
        }
        let child = detached.stdin(Stdio::null()).stdout(out).stderr(errors).spawn().map_err(failed)?;
        let pid = child.id();
        let (_, born) = stat(pid).ok_or_else(|| Failure("cannot read /proc; this needs Linux".into()))?;
        Ok(Self { pid, born })
    }

    /// Whether it is still there. What has ended and was not yet waited for is not.
    pub(super) fn lives(&self) -> bool {
        self.letter().is_some()
    }

    /// Sends it a signal.
    pub(super) fn send(&self, signal: Signal) -> Result<(), Failure> {
        let mut command = Command::new("kill");
        let sent = command.arg(format!("-{}", signal.name())).arg(self.pid.to_string()).stderr(Stdio::null()).status();
        match sent {
            Ok(status) if status.success() || !self.lives() => Ok(()),
            _ => Err(Failure(format!("SIG{} cannot be sent to process {}", signal.name(), self.pid))),
        }
    }

    /// Asks it to end and waits until it has; one that does not is killed.
    pub(super) fn end(&self, signal: Signal) -> Result<(), Failure> {
        for signal in [signal, Signal::Kill] {
            if !self.lives() {
                return Ok(());
            }
            self.send(signal)?;
            // What is paused hears nothing.
            self.send(Signal::Continue)?;
            if wait_for(END_WITHIN, || (!self.lives()).then_some(())).is_some() {
                return Ok(());
            }
        }
        Err(Failure(format!("process {} does not end", self.pid)))
    }

    /// As it is kept.
    pub(super) fn to_json(&self) -> Value {
        json!({"pid": self.pid, "born": self.born})
    }

    /// As it was kept.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        Some(Self { pid: u32::try_from(value["pid"].as_u64()?).ok()?, born: value["born"].as_u64()? })
    }

    /// The kernel's letter for what it does; `None`: it has ended.
    fn letter(&self) -> Option<char> {
        let (letter, born) = stat(self.pid)?;
        (born == self.born && !matches!(letter, 'Z' | 'X')).then_some(letter)
    }
}

/// How a process is, for people.
pub(super) fn describe(process: Option<&Process>) -> String {
    let Some(process) = process else { return "not started".to_owned() };
    match process.letter() {
        None => "ended".to_owned(),
        Some('T' | 't') => format!("paused (process {})", process.pid),
        Some(_) => format!("runs (process {})", process.pid),
    }
}

/// Asks `condition` again and again until it has a value; `None` when `bound` passes first.
pub(super) fn wait_for<T>(bound: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let tries = bound.as_millis() / PAUSE.as_millis();
    (0..tries).find_map(|_| {
        let value = condition();
        if value.is_none() {
            std::thread::sleep(PAUSE);
        }
        value
    })
}

/// The letter and the beginning of a process.
fn stat(pid: u32) -> Option<(char, u64)> {
    stat_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The third and the twenty-second field. The second, the name, is in brackets and may hold anything, also brackets.
fn stat_in(text: &str) -> Option<(char, u64)> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let letter = fields.next()?.chars().next()?;
    Some((letter, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::stat_in;

    #[test]
    fn what_the_kernel_says_of_a_process_is_read_whatever_its_name_is() {
        let check = |text: &str, expected| assert_eq!(stat_in(text), expected, "{text}");
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        check(&format!("42 (agentcal) S {rest}"), Some(('S', 4711)));
        check(&format!("42 (a) Z (b) T {rest}"), Some(('T', 4711)));
        check("42 (agentcal) S 1 2 3", None);
        check("", None);
    }
}
