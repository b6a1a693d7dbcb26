//! The state folder belongs to one host at a time: two would overwrite each other's last good policies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Names the host that has the folder, and is locked for as long as that lives.
const FILE: &str = "host.lock";

/// Keeps other hosts out. The system lets go of it however the process ends.
pub(crate) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// Another host has it, or it cannot be written.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let what = || format!("the state folder {} cannot be used", folder.display());
        std::fs::create_dir_all(folder).with_context(what)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(folder.join(FILE)).with_context(what)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who it is helps; that somebody is there is what counts.
                let _ = file.read_to_string(&mut pid);
                let (folder, pid) = (folder.display(), pid.trim());
                bail!(
                    "the state folder {folder} is another host's (process {pid}); give each host its own with --state"
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(what),
        }
        file.set_len(0).and_then(|()| file.rewind()).with_context(what)?;
        writeln!(file, "{}", std::process::id()).with_context(what)?;
        Ok(Self { _file: file })
    }
}
