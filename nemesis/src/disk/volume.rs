//! A volume: a file system of its own for one node's data, in a file, that can be broken as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use rustix::ioctl::{Setter, ioctl, opcode};

use super::DiskError;
use super::tool::run;
use crate::leases::{Holding, Lease, Leases};

/// How long a file system may be busy that nobody uses any more.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// What fills it up.
const BALLAST: &str = ".rashomon-ballast";

/// An ext4 file system in a file, mounted by way of a loop device. Dropping it mends and unmounts it;
/// the file stays.
#[derive(Debug)]
pub struct Volume {
    at: PathBuf,
    image: PathBuf,
    lease: Option<Lease>,
    leases: Leases,
}

impl Volume {
    /// Makes a file system of so many bytes (16 MiB or more) in the file `image` and mounts it at `at`, an
    /// empty directory, which is made.
    ///
    /// # Errors
    /// When this is not root, when a program of the system's is missing or fails, or when `image` or
    /// the lease cannot be written; then nothing stays mounted.
    pub fn create(at: &Path, image: &Path, bytes: u64, leases: &Leases) -> Result<Self, DiskError> {
        if !rustix::process::geteuid().is_root() {
            return Err(DiskError::Root { what: "mounting a file system" });
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DiskError::Io { path, source }
        };
        fs::create_dir_all(at).map_err(failed(at))?;
        let at = fs::canonicalize(at).map_err(failed(at))?;
        let file = File::create_new(image).map_err(failed(image))?;
        file.set_len(bytes).map_err(failed(image))?;
        let image = fs::canonicalize(image).map_err(failed(image))?;
        // Nothing kept back for root, and nothing left to be written when it is first used.
        let options = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run(marked("mkfs.ext4", leases).args(options).arg(&image))?;
        let holding = Holding::Mount { at: at.clone(), image: image.clone() };
        let lease = Some(leases.take(holding)?);
        let volume = Volume { at, image, lease, leases: leases.clone() };
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    fn mount(&self) -> Result<(), DiskError> {
        // The loop device goes when the file system is unmounted.
        let mut mount = marked("mount", &self.leases);
        run(mount.args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.at)).map(|_| ())
    }

    /// Cuts its power: from now on every access fails, and what was not synced is lost. Whoever used it
    /// has to be ended before [`Volume::restore_power`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut_power(&mut self) -> Result<(), DiskError> {
        let failed = |source| DiskError::Io { path: self.at.clone(), source };
        let directory = File::open(&self.at).map_err(failed)?;
        shut_down(&directory).map_err(failed)
    }

    /// Mounts it again as a machine would that was started anew: what is found is what was durable.
    ///
    /// # Errors
    /// When somebody still uses it, or it cannot be mounted.
    pub fn restore_power(&mut self) -> Result<(), DiskError> {
        unmount(&self.at)?;
        self.mount()
    }

    /// Lets it hang: whoever writes, waits.
    ///
    /// # Errors
    /// When the system refuses, as it does if it hangs already.
    pub fn freeze(&mut self) -> Result<(), DiskError> {
        run(marked("fsfreeze", &self.leases).arg("-f").arg(&self.at)).map(|_| ())
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When the system refuses, as it does if it does not hang.
    pub fn thaw(&mut self) -> Result<(), DiskError> {
        run(Command::new("fsfreeze").arg("-u").arg(&self.at)).map(|_| ())
    }

    /// Fills it up, to the last block.
    ///
    /// # Errors
    /// When it cannot be written for another reason than that it is full.
    pub fn fill(&mut self) -> Result<(), DiskError> {
        let path = self.at.join(BALLAST);
        let failed = |source| DiskError::Io { path: path.clone(), source };
        let mut ballast = File::create(&path).map_err(failed)?;
        let mut block = &[0xba; 1 << 16][..];
        // In smaller and smaller pieces, so that none is left over.
        while !block.is_empty() {
            match ballast.write_all(block).and_then(|()| ballast.sync_data()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    block = &block[..block.len() / 2];
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// When what fills it cannot be removed.
    pub fn clear(&mut self) -> Result<(), DiskError> {
        let path = self.at.join(BALLAST);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Lets nobody write to it any more, as the kernel does when it finds a file system broken.
    ///
    /// # Errors
    /// When the system refuses, as it does while files are open for writing.
    pub fn make_read_only(&mut self) -> Result<(), DiskError> {
        self.remount("remount,ro")
    }

    /// Lets everybody write again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn make_writable(&mut self) -> Result<(), DiskError> {
        self.remount("remount,rw")
    }

    fn remount(&self, options: &str) -> Result<(), DiskError> {
        run(Command::new("mount").args(["-o", options]).arg(&self.at)).map(|_| ())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        thaw(&self.at);
        let released = release(&self.at, &self.image);
        if let (Err(_), Some(lease)) = (released, self.lease.take()) {
            lease.keep();
        }
    }
}

/// A program of the system's that healing ends before it looks for what the program was to make.
fn marked(program: &str, leases: &Leases) -> Command {
    let mut command = Command::new(program);
    command.envs(leases.mark());
    command
}

/// Shuts a file system down at once, without writing anything to its device that is not there yet.
#[allow(unsafe_code)]
fn shut_down(directory: &File) -> io::Result<()> {
    /// `FS_IOC_SHUTDOWN` of linux/fs.h, an `_IOR('X', 125, __u32)` that is read all the same.
    const SHUT_DOWN: u32 = opcode::read::<u32>(b'X', 125) as u32;
    /// Not even the journal is flushed (`FS_SHUTDOWN_FLAGS_NOLOGFLUSH`).
    const AT_ONCE: u32 = 2;
    // SAFETY: The opcode takes a pointer to 32 bits, which the kernel reads while the call lasts and
    // never writes (`ext4_ioctl_shutdown`, `xfs_fs_goingdown`); `Setter` passes one that lives as long.
    // File systems that do not know the opcode answer ENOTTY. Nothing of this process's memory is
    // touched.
    unsafe { ioctl(directory, Setter::<{ SHUT_DOWN as _ }, u32>::new(AT_ONCE)) }?;
    Ok(())
}

/// Lets a file system go on that hangs; one that does not, is left alone.
pub(crate) fn thaw(at: &Path) {
    if is_mounted(at) {
        let _ = run(Command::new("fsfreeze").arg("-u").arg(at));
    }
}

/// Unmounts what is mounted there and detaches the loop devices of the file; says what was done.
pub(crate) fn release(at: &Path, image: &Path) -> Result<Vec<String>, String> {
    let was_mounted = is_mounted(at);
    let mut done = Vec::new();
    unmount(at).map_err(|error| error.to_string())?;
    if was_mounted {
        done.push(format!("unmounted {}", at.display()));
    }
    let loops = run(Command::new("losetup").args(["-n", "-O", "NAME", "-j"]).arg(image));
    for device in loops.unwrap_or_default().lines() {
        run(Command::new("losetup").args(["-d", device.trim()]))
            .map_err(|error| error.to_string())?;
        done.push(format!("detached {}", device.trim()));
    }
    Ok(done)
}

/// Unmounts whatever is mounted there, as soon as it is not busy.
fn unmount(at: &Path) -> Result<(), DiskError> {
    let began = Instant::now();
    while is_mounted(at) {
        if let Err(error) = run(Command::new("umount").arg(at)) {
            if began.elapsed() > LIMIT {
                return Err(error);
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

fn is_mounted(at: &Path) -> bool {
    let mounts = Process::myself().and_then(|process| process.mountinfo());
    mounts.is_ok_and(|mounts| mounts.into_iter().any(|mount| mount.mount_point == at))
}
