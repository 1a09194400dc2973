//! Hosts: two of them, and each trouble of the link between them, as sockets see it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rashomon_nemesis::hosts::{Hosts, HostsError, sandbox};
use rashomon_nemesis::{Action, Node};

use super::{Area, Failure, Finding, Trial, wrong};

const N1: Node = Node(1);
const N2: Node = Node(2);
/// How long it is waited for what is to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is waited for what is not to come.
const SILENCE: Duration = Duration::from_millis(100);

/// Runs this program again where hosts can be made, and returns what it found there.
pub(super) async fn findings(root: bool) -> Vec<Finding> {
    let mut findings = again(Area::Hosts, in_sandbox).await;
    if root {
        findings.extend(again(Area::HostsAsRoot, in_network).await);
    } else {
        let refused = wrong("needs root; in a sandbox it does not");
        findings.push(Finding::of(Area::HostsAsRoot, "all", refused));
    }
    findings
}

async fn again(area: Area, place: fn(&Path) -> Result<Command, Failure>) -> Vec<Finding> {
    let ran = tokio::task::spawn_blocking(move || -> Result<Vec<Finding>, Failure> {
        let mut command = place(&std::env::current_exe()?)?;
        let inside = if area == Area::Hosts { "hosts" } else { "hosts-as-root" };
        let output = command.args(["doctor", "--inside", inside]).output()?;
        match serde_json::from_slice(&output.stdout) {
            Ok(findings) => Ok(findings),
            Err(_) => wrong(said(&output)),
        }
    });
    let findings = match ran.await {
        Ok(findings) => findings,
        Err(error) => Err(error.into()),
    };
    findings.unwrap_or_else(|error| vec![Finding::of(area, "all", Err(error))])
}

fn in_sandbox(program: &Path) -> Result<Command, Failure> {
    let tried = sandbox(Path::new("true"))?.output()?;
    if tried.status.success() {
        return Ok(sandbox(program)?);
    }
    wrong(format!("no sandbox: {}; {}", said(&tried), obstacle()))
}

/// What keeps users from making namespaces, as far as the system says.
fn obstacle() -> &'static str {
    let is = |file: &str, value: &str| {
        std::fs::read_to_string(file).is_ok_and(|content| content.trim() == value)
    };
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "needs `sysctl user.max_user_namespaces` above 0"
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "needs `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "needs `sysctl kernel.unprivileged_userns_clone=1`"
    } else {
        "needs leave to make namespaces: in a container, that it does not forbid `unshare` and `mount`"
    }
}

/// A network namespace, so that not even a trial touches the machine's own network.
fn in_network(program: &Path) -> Result<Command, Failure> {
    let mut command = Command::new("unshare");
    command.arg("--net").arg(program);
    Ok(command)
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if said.is_empty() { format!("it ended with {}", output.status) } else { said }
}

/// Tries all troubles of a link, where hosts can be made.
pub(super) async fn trials(area: Area) -> Vec<Finding> {
    let mut hosts = match Hosts::open([N1, N2]).await {
        Ok(hosts) => hosts,
        Err(error @ HostsError::Missing { .. }) => {
            return vec![Finding::of(area, "all", Err(error.into()))];
        }
        Err(error) => {
            let needs = "needs root, and leave to make network namespaces and bridges";
            return vec![Finding::of(area, "all", wrong(format!("{error}; {needs}")))];
        }
    };
    let addresses = format!("two hosts, {} and {}", hosts.address(N1), hosts.address(N2));
    let mut findings = vec![Finding::of(area, "a network for each node", Ok(addresses))];
    for (fault, line, kernel, trial) in TRIALS {
        let tried =
            attempt(&mut hosts, line, trial).await.map_err(|error| match error.downcast_ref() {
                Some(HostsError::Missing { .. }) => error,
                _ => format!("{error}; the kernel needs {kernel}").into(),
            });
        findings.push(Finding::of(area, fault, tried));
    }
    findings
}

/// How a fault is seen by sockets at both ends of a link.
type Look = fn(&mut Ends) -> Trial;

/// The faults, each as a line of a schedule, with what it needs of the kernel and how it is seen.
const TRIALS: [(&str, &str, &str, Look); 7] = [
    ("cut", "cut n1 -> n2", "nftables for bridges (NF_TABLES_BRIDGE)", cut),
    ("lose", "lose n1 -> n2 at 50%", "random numbers in nftables (NFT_NUMGEN)", lose),
    ("strand", "strand n1 -> n2", "INET_DIAG_DESTROY", strand),
    ("slow", "slow n1 -> n2 by 40ms", "NETFILTER_XT_TARGET_NFQUEUE", slow),
    ("hold", "hold n1 -> n2", "NETFILTER_XT_TARGET_NFQUEUE", hold),
    ("limit", "limit n1 -> n2 to 200kB/s", "NET_SCH_HTB and NET_CLS_U32", limit),
    ("reset", "reset n1 -> n2", "NFT_REJECT and NFT_LIMIT", reset),
];

async fn attempt(hosts: &mut Hosts, line: &str, trial: Look) -> Trial {
    let mut ends = Ends::open(hosts)?;
    let Action::Link(trouble, grudge) = line.parse()? else { return wrong("not about links") };
    let struck = hosts.strike(trouble, &grudge).await;
    let seen = match struck {
        Ok(()) => trial(&mut ends),
        Err(error) => Err(error.into()),
    };
    hosts.heal().await?;
    let seen = seen?;
    if ends.passed(1, PATIENCE, false)? == 0 {
        return wrong(format!("{seen}; but nothing passed when it was mended"));
    }
    Ok(seen)
}

/// Sockets at both ends of a link: for datagrams, and those of a connection.
struct Ends {
    near: UdpSocket,
    far: UdpSocket,
    stream: TcpStream,
    accepted: TcpStream,
}

impl Ends {
    fn open(hosts: &Hosts) -> Result<Self, Failure> {
        let bind = |node| hosts.within(node, || UdpSocket::bind((hosts.address(node), 0)));
        let listener = hosts.within(N2, || TcpListener::bind((hosts.address(N2), 0)))??;
        let address = listener.local_addr()?;
        let stream = hosts.within(N1, || TcpStream::connect_timeout(&address, PATIENCE))??;
        let (accepted, _) = listener.accept()?;
        for end in [&stream, &accepted] {
            end.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Ends { near: bind(N1)??, far: bind(N2)??, stream, accepted })
    }

    /// Sends so many datagrams over the link, or back, and says how many arrive.
    fn passed(&self, count: u32, patience: Duration, back: bool) -> Result<u32, Failure> {
        let (from, to) = if back { (&self.far, &self.near) } else { (&self.near, &self.far) };
        let (target, mut arrived) = (to.local_addr()?, 0);
        to.set_read_timeout(Some(patience))?;
        for _ in 0..count {
            from.send_to(b"?", target)?;
        }
        while arrived < count && to.recv(&mut [0]).is_ok() {
            arrived += 1;
        }
        Ok(arrived)
    }
}

fn cut(ends: &mut Ends) -> Trial {
    let (there, back) = (ends.passed(10, SILENCE, false)?, ends.passed(10, PATIENCE, true)?);
    match (there, back) {
        (0, 10) => Ok("10 of 10 packets were lost, and none of 10 the other way".to_owned()),
        _ => wrong(format!("{there} of 10 packets passed, and {back} of 10 the other way")),
    }
}

fn lose(ends: &mut Ends) -> Trial {
    let lost = 100 - ends.passed(100, SILENCE, false)?;
    match lost {
        1..100 => Ok(format!("{lost} of 100 packets were lost, where half was asked for")),
        _ => wrong(format!("{lost} of 100 packets were lost, where half was asked for")),
    }
}

fn strand(ends: &mut Ends) -> Trial {
    let gone = ends.accepted.read(&mut [0]).is_err();
    ends.stream.write_all(b"?")?;
    ends.stream.set_read_timeout(Some(SILENCE))?;
    let read = ends.stream.read(&mut [0]);
    let open = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    match (open, gone) {
        (true, true) => Ok("a connection was open at one end and gone at the other".to_owned()),
        (false, _) => wrong("the end of a connection that was to stay was told"),
        (true, false) => wrong("a connection stayed open at the end where it was to go (`ss -K`)"),
    }
}

fn slow(ends: &mut Ends) -> Trial {
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        if ends.passed(1, PATIENCE, false)? == 0 {
            return wrong("a packet that was to be late was lost");
        }
        times.push(start.elapsed());
    }
    times.sort();
    let ms = times[2].as_secs_f64() * 1e3;
    let seen = format!("packets took {ms:.1} ms, where 40 ms were asked for");
    if ms >= 40.0 { Ok(seen) } else { wrong(seen) }
}

fn hold(ends: &mut Ends) -> Trial {
    match ends.passed(1, SILENCE, false)? {
        0 => Ok("a packet waited, and came when all was mended".to_owned()),
        _ => wrong("a packet that was to wait passed"),
    }
}

fn limit(ends: &mut Ends) -> Trial {
    let start = Instant::now();
    let mut taken = vec![0; 100_000];
    let Ends { stream, accepted, .. } = ends;
    std::thread::scope(|scope| -> Result<(), Failure> {
        let sent = scope.spawn(|| stream.write_all(&vec![0; 100_000]));
        accepted.read_exact(&mut taken)?;
        sent.join().unwrap_or(Ok(()))?;
        Ok(())
    })?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let seen = format!("100 kB took {ms:.0} ms, where 200 kB a second were asked for");
    if ms >= 250.0 { Ok(seen) } else { wrong(seen) }
}

fn reset(ends: &mut Ends) -> Trial {
    ends.stream.write_all(b"?")?;
    match ends.stream.read(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
            Ok("a connection was reset by its next message".to_owned())
        }
        _ => wrong("a connection was not reset by its next message"),
    }
}
