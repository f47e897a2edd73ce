//! A child process that does not outlive its value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;

/// A running program; killed on drop.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to a file.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        into(&mut command, log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, log: log.to_path_buf() }
    }

    /// The same for a command that is told by the kernel when this process ends.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start_for_life(mut command: Command, log: &Path) -> Self {
        into(&mut command, log);
        Self { child: spawn_for_life(command), log: log.to_path_buf() }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM` or `STOP`.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} cannot be sent");
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill9(&mut self) {
        // An error means that it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has a command write to the end of a file.
fn into(command: &mut Command, log: &Path) {
    let out = File::options().create(true).append(true).open(log).expect("the log can be written");
    let err = out.try_clone().expect("a file handle can be cloned");
    command.stdin(Stdio::null()).stdout(out).stderr(err);
}

/// Starts a program from a thread that never ends: the kernel takes the end of the thread for that of the process.
pub(crate) fn spawn_for_life(mut command: Command) -> Child {
    let (started, result) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more only when the test has failed already.
        let _ = started.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    let child = result.recv().expect("the thread answers");
    child.unwrap_or_else(|error| panic!("a program does not start: {error}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}
