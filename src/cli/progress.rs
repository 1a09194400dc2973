//! Progress of a run: a live line on a terminal, plain lines otherwise; always on stderr.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::campaign::plan::Plan;
use crate::campaign::run_dir::RunDir;
use crate::campaign::{Tally, Watcher};

/// How often a plain log says how far the run is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how a run goes.
pub(super) struct Progress {
    bar: ProgressBar,
    ticker: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Prints what is about to be done and begins to show how it goes.
    pub(super) fn begin(plan: &Plan, directory: &RunDir, tally: Arc<Tally>) -> Self {
        let nodes = match plan.nodes {
            1 => "a single node".to_owned(),
            nodes => format!("{nodes} nodes"),
        };
        let bug = plan.bug.as_ref().map_or(String::new(), |bug| format!(", bug {bug}"));
        eprintln!(
            "{} on {nodes}{bug}; {} clients, {}, {} operations/s for {} s; faults: {}; seed {}",
            plan.store,
            plan.concurrency,
            plan.workload,
            plan.rate,
            plan.time_limit_s,
            plan.nemesis,
            plan.seed,
        );
        if let Some(mixture) = &plan.mixture {
            eprintln!("mixture: {mixture}");
        }
        eprintln!("run in {}", directory.path().display());
        let bar = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}");
            ProgressBar::new_spinner().with_style(style.expect("the template is well-formed"))
        } else {
            ProgressBar::hidden()
        };
        let ticker = tokio::spawn(tick(bar.clone(), tally));
        Progress { bar, ticker }
    }

    /// Stops showing anything.
    pub(super) fn end(&self) {
        self.ticker.abort();
        self.bar.finish_and_clear();
    }
}

impl Watcher for Progress {
    fn say(&self, at: Duration, what: &str) {
        let line = format!("{:6.1}s  {what}", at.as_secs_f64());
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }
}

async fn tick(bar: ProgressBar, tally: Arc<Tally>) {
    let plain = bar.is_hidden();
    let mut interval =
        tokio::time::interval(if plain { PLAIN_INTERVAL } else { Duration::from_millis(100) });
    interval.tick().await;
    loop {
        interval.tick().await;
        let Some(began) = tally.began.get() else { continue };
        let [ok, fail, info] =
            [&tally.ok, &tally.fail, &tally.info].map(|count| count.load(Ordering::Relaxed));
        let counts = format!("{ok} ok, {fail} fail, {info} info");
        if plain {
            eprintln!("{:6.1}s  {counts}", began.elapsed().as_secs_f64());
        } else {
            bar.set_message(counts);
            bar.tick();
        }
    }
}
