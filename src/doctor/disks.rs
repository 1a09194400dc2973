//! Disks of programs of others: file systems of their own, and system calls that go wrong.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};

use rashomon_nemesis::{DiskError, Fsyncs, Leases, Mishap, Volume};

use super::nodes::idler;
use super::{Area, Failure, Finding, Trial, wrong};

pub(super) async fn findings() -> Vec<Finding> {
    let volume = tokio::task::spawn_blocking(volume).await.unwrap_or_else(|e| Err(e.into()));
    vec![
        Finding::of(
            Area::Disks,
            "power cut, hang, full, read-only",
            needing(
                volume,
                "root, with leave to mount, loop devices and ext4 (BLK_DEV_LOOP, EXT4_FS)",
            ),
        ),
        Finding::of(
            Area::Disks,
            "fsync late, failing or lying",
            needing(fsyncs().await, "leave to trace processes (ptrace), and strace 4.26 or later"),
        ),
    ]
}

/// Says beside an error what is needed, unless the error says so itself.
fn needing(trial: Trial, needs: &str) -> Trial {
    trial.map_err(|error| match error.downcast_ref() {
        Some(DiskError::Missing { .. } | DiskError::Root { .. }) => error,
        _ => format!("{error}; needs {needs}").into(),
    })
}

/// A small file system, and everything that can befall it.
fn volume() -> Trial {
    let folder = tempfile::tempdir()?;
    let (at, image) = (folder.path().join("at"), folder.path().join("image"));
    // Without a lease: it is there for a moment.
    let mut volume = Volume::create(&at, &image, 16 << 20, &Leases::none())?;
    let path = volume.path().to_owned();
    let mut kept = File::create(path.join("kept"))?;
    kept.write_all(b"kept")?;
    kept.sync_all()?;
    File::open(&path)?.sync_all()?;
    fs::write(path.join("lost"), b"lost")?;
    drop(kept);
    volume.cut_power()?;
    volume.restore_power()?;
    if fs::read(path.join("kept"))? != b"kept" || path.join("lost").exists() {
        return wrong("a power cut did not lose what was not synced, and that alone");
    }
    volume.freeze()?;
    volume.thaw()?;
    volume.fill()?;
    refused(&volume, ErrorKind::StorageFull)?;
    volume.clear()?;
    volume.make_read_only()?;
    refused(&volume, ErrorKind::ReadOnlyFilesystem)?;
    volume.make_writable()?;
    fs::write(path.join("more"), [0; 1 << 16])?;
    Ok("an ext4 in a file lost what was not synced, hung, was full and was read-only".to_owned())
}

/// Whether a write is refused in that way.
fn refused(volume: &Volume, kind: ErrorKind) -> Result<(), Failure> {
    match fs::write(volume.path().join("more"), [0; 1 << 16]) {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => wrong(format!("a write went well where it was to fail: {kind}")),
    }
}

/// A process that is taken hold of.
async fn fsyncs() -> Trial {
    let mut process = idler()?;
    let Some(pid) = process.pid() else { return wrong("a process ended at once") };
    let held = tokio::task::spawn_blocking(move || {
        Fsyncs::seize(pid, Mishap::Failing, &Leases::none())?.release()
    });
    held.await??;
    process.kill().await?;
    Ok("a running process was taken hold of, and let go".to_owned())
}
