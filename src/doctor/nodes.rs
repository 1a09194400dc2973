//! What is done to nodes of ours and to any process: by proxies, signals and words.

use std::time::Duration;

use rashomon_nemesis::{Launch, Links, Node, NodeProcess};

use super::{Area, Failure, Finding, Trial};

pub(super) async fn findings() -> Vec<Finding> {
    let links = "cut, hold, slow, lose, limit, reset, strand";
    let told = "nothing but the nodes themselves is needed".to_owned();
    vec![
        Finding::of(Area::Links, links, proxies().await),
        Finding::of(Area::Processes, "kill, stop, pause, throttle", signals().await),
        Finding::of(Area::Processes, "squeeze", memory().await),
        Finding::of(Area::Nodes, "leap, drift, strobe, stall, fill, balk, unplug", Ok(told)),
    ]
}

async fn proxies() -> Trial {
    let links = Links::open([Node(1), Node(2)]).await?;
    links.shut().await;
    Ok("two proxies listened on 127.0.0.1".to_owned())
}

/// A process that does nothing.
pub(super) fn idler() -> Result<NodeProcess, Failure> {
    let launch = Launch {
        program: "sleep".into(),
        args: vec!["600".into()],
        log: "/dev/null".into(),
        data: "/nonexistent".into(),
    };
    Ok(NodeProcess::start(Node(1), launch)?)
}

async fn signals() -> Trial {
    let mut process = idler()?;
    let sent = [("SIGSTOP", process.pause().await?), ("SIGCONT", process.resume()?)];
    for (signal, was_sent) in sent {
        if !was_sent {
            return Err(format!("a process ended before {signal}").into());
        }
    }
    tokio::time::timeout(Duration::from_secs(10), process.kill()).await??;
    Ok("a process was stopped, continued and killed".to_owned())
}

async fn memory() -> Trial {
    let mut process = idler()?;
    process.squeeze()?;
    process.free().await?;
    process.kill().await?;
    Ok("a process was limited to the memory it had, and freed".to_owned())
}
