//! Which faults this machine can do, found out by doing each of them, and what the others need.
//!
//! Nothing that runs on the machine already is touched: what is broken are processes, namespaces and
//! files made for it, which are gone when it is known.

#[cfg(target_os = "linux")]
mod disks;
#[cfg(target_os = "linux")]
mod hosts;
mod nodes;
#[cfg(target_os = "linux")]
mod programs;

use serde::{Deserialize, Serialize};

/// Why something cannot be done.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What was seen when something was done.
pub(crate) type Trial = Result<String, Failure>;

/// What a fault is done to, and by what hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The links between nodes of ours, which are proxies.
    Links,
    /// Processes of any program.
    Processes,
    /// Clocks and disks of nodes of ours, which let themselves be told.
    Nodes,
    /// A network for each node, in a sandbox.
    Hosts,
    /// The same without one.
    HostsAsRoot,
    /// Clocks of programs of others.
    Clocks,
    /// Disks of programs of others.
    Disks,
}

impl Area {
    /// What it is about, for a person.
    pub fn title(self) -> &'static str {
        match self {
            Area::Links => "links between nodes of ours, which are proxies",
            Area::Processes => "processes",
            Area::Nodes => "clocks and disks of nodes of ours, which let themselves be told",
            Area::Hosts => {
                "hosts: a network for each node of any system, in a sandbox without root"
            }
            Area::HostsAsRoot => "hosts without a sandbox",
            Area::Clocks => "clocks of any program",
            Area::Disks => "disks of any program",
        }
    }
}

/// Whether something can be done here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is done to.
    pub area: Area,
    /// The faults, by their words in schedules where they have some.
    pub faults: String,
    /// Whether it was done.
    pub can: bool,
    /// What was seen when it was done; or what went wrong, and what is needed.
    pub said: String,
}

/// What was found on a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The version of this form.
    pub schema: u32,
    /// The operating system.
    pub system: &'static str,
    /// The processor's architecture.
    pub architecture: &'static str,
    /// The release of the kernel, on Linux.
    pub kernel: Option<String>,
    /// Whether root looked.
    pub root: bool,
    /// One for each fault, or for those that are done alike.
    pub findings: Vec<Finding>,
}

impl Finding {
    pub(crate) fn of(area: Area, faults: &str, trial: Trial) -> Self {
        let (can, said) = match trial {
            Ok(said) => (true, said),
            Err(error) => (false, error.to_string()),
        };
        Finding { area, faults: faults.to_owned(), can, said }
    }
}

/// Tries everything. Must be called within a tokio runtime with I/O and time enabled, which is of
/// several threads.
pub async fn examine() -> Diagnosis {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    #[cfg(unix)]
    let root = rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    let root = false;
    let mut findings = nodes::findings().await;
    findings.extend(beyond(root).await);
    let kernel = kernel.map(|release| release.trim().to_owned());
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    Diagnosis { schema: 1, system, architecture, kernel, root, findings }
}

#[cfg(target_os = "linux")]
async fn beyond(root: bool) -> Vec<Finding> {
    let mut findings = hosts::findings(root).await;
    findings.extend(programs::findings().await);
    findings.extend(disks::findings().await);
    findings
}

#[cfg(not(target_os = "linux"))]
async fn beyond(_root: bool) -> Vec<Finding> {
    let areas = [Area::Hosts, Area::HostsAsRoot, Area::Clocks, Area::Disks];
    let linux = |area| Finding::of(area, "all", Err("only Linux has what it takes".into()));
    areas.map(linux).into()
}

/// What is only found out inside a sandbox, or a network namespace: `rashomon doctor` runs itself
/// there.
#[cfg(target_os = "linux")]
pub async fn examine_inside(area: Area) -> Vec<Finding> {
    hosts::trials(area).await
}

/// An error of these words.
#[cfg(target_os = "linux")]
pub(crate) fn wrong<T>(words: impl Into<String>) -> Result<T, Failure> {
    Err(words.into().into())
}
