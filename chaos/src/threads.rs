//! Stopping single threads of a process that was started here, while its other threads go on: as a debugger does.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Threads that stand still for as long as this is held.
pub struct Stopped {
    release: Option<mpsc::Sender<()>>,
    tracer: Option<JoinHandle<()>>,
}

impl Stopped {
    /// Stops every thread of the process `pid` that has this name.
    ///
    /// # Errors
    /// When there is none, or it can't be stopped.
    pub fn stop(pid: u32, name: &str) -> Result<Self> {
        let threads = named(pid, name)?;
        ensure!(!threads.is_empty(), "process {pid} has no thread {name}");
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        // Only the thread that has attached may let go.
        let tracer = std::thread::spawn(move || {
            let stopped = threads.iter().try_for_each(|thread| stop(*thread));
            let failed = stopped.is_err();
            // Who asked is there for as long as nothing was told; that the other end is gone ends the stop.
            let _ = tell.send(stopped);
            if !failed {
                let _ = released.recv();
            }
            for thread in threads {
                // A thread that has ended meanwhile needs no release.
                let _ = ptrace::detach(thread, None);
            }
        });
        match told.recv().context("the tracing thread panicked")? {
            Ok(()) => Ok(Self { release: Some(release), tracer: Some(tracer) }),
            Err(error) => bail!("thread {name} of process {pid} can't be stopped: {error}"),
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.release.take());
        if let Some(tracer) = self.tracer.take() {
            // A panic there has been printed; the kernel releases what it traced.
            let _ = tracer.join();
        }
    }
}

fn stop(thread: Pid) -> nix::Result<()> {
    ptrace::seize(thread, ptrace::Options::empty())?;
    ptrace::interrupt(thread)?;
    waitpid(thread, Some(WaitPidFlag::__WALL)).map(drop)
}

fn named(pid: u32, name: &str) -> Result<Vec<Pid>> {
    let mut threads = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?;
        if std::fs::read_to_string(thread.path().join("comm"))?.trim_end() == name {
            threads.push(Pid::from_raw(thread.file_name().to_string_lossy().parse()?));
        }
    }
    Ok(threads)
}
