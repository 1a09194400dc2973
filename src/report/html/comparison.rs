//! The page of a comparison: the ladder, the cost, the age of reads and the runs over time, for
//! all stores on one page that needs no scripts.

use std::fmt::Write;
use std::path::Path;

use super::markup::text;
use super::shown::{self, Shown};
use super::{bands, begin, picture, sign, tables};
use crate::compare::Comparison;
use crate::compare::contest::{Cost, Share, Standing};
use crate::compare::ladder::{Example, Rung};
use crate::compare::reading::{Choice, percent, writes};
use crate::contract::Kept;
use crate::report::comparison::{interval, worst};
use crate::report::figures::{count, span};
use crate::report::{Latency, VerdictWord};

mod charts;

/// The page. Runs that have a directory below `place` are linked to.
pub fn render(comparison: &Comparison, place: &Path) -> String {
    let mut page = String::new();
    head(&mut page, comparison);
    page += &bands::definitions();
    page += "<main>";
    summary(&mut page, comparison);
    ladder(&mut page, &comparison.standings);
    cost(&mut page, &comparison.standings);
    charts::staleness(&mut page, &comparison.standings);
    charts::pace(&mut page, comparison);
    examples(&mut page, comparison);
    plan(&mut page, comparison, place);
    page += "</main></body></html>\n";
    page
}

/// The worst verdict of all.
pub fn verdict(standings: &[Standing]) -> VerdictWord {
    let any = |word| standings.iter().any(|standing| standing.verdict == word);
    match () {
        () if any(VerdictWord::Violation) => VerdictWord::Violation,
        () if any(VerdictWord::Unknown) => VerdictWord::Unknown,
        () => VerdictWord::Valid,
    }
}

fn head(page: &mut String, comparison: &Comparison) {
    let verdict = verdict(&comparison.standings);
    let (_, sign) = sign(verdict);
    let names: Vec<String> = comparison.standings.iter().map(|it| it.name.to_string()).collect();
    let names = names.join(" · ");
    let plan = &comparison.plan;
    let words = match verdict {
        VerdictWord::Valid => "Every store keeps what it promises",
        VerdictWord::Violation => "A store breaks what it promises",
        VerdictWord::Unknown => "Of a store it is not known whether it keeps what it promises",
    };
    begin(page, &names, verdict, "");
    let _ = write!(
        page,
        "<header><h1><svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">{sign}</svg>{words}</h1>\
         <p class=\"run\">{}<br><span>{} · {} · {} clients · {}/s · {} s · {} each from seed {}</span></p></header>",
        text(&names),
        comparison.manner.as_str(),
        plan.workload,
        plan.concurrency,
        plan.rate,
        plan.time_limit_s,
        crate::report::figures::many(plan.runs as usize, "run"),
        plan.seed,
    );
}

fn summary(page: &mut String, comparison: &Comparison) {
    *page += "<ul class=\"sentences\">";
    for sentence in &comparison.sentences {
        let _ = write!(page, "<li>{}</li>", text(sentence));
    }
    *page += "</ul>";
    let bad = comparison.standings.iter().filter(|it| it.verdict != VerdictWord::Valid);
    for standing in bad {
        let word = standing.verdict.as_str();
        let _ = write!(
            page,
            "<p class=\"why\">{word}: {}: {}</p>",
            text(standing.name),
            text(&standing.why)
        );
    }
}

/// The first row of a table with a column for each store.
fn heading(page: &mut String, standings: &[Standing], first: &str) {
    let _ =
        write!(page, "<div class=\"scroll\"><table class=\"stores\"><thead><tr><th>{first}</th>");
    for (place, standing) in standings.iter().enumerate() {
        let _ = write!(page, "<th class=\"s{place}\">{}</th>", text(standing.name));
    }
    *page += "</tr></thead><tbody>";
}

fn ladder(page: &mut String, standings: &[Standing]) {
    *page += "<section><h2>What each store keeps</h2>";
    heading(page, standings, "Promise");
    let rungs = standings.first().map_or(&[][..], |standing| &standing.ladder.0);
    for (row, rung) in rungs.iter().enumerate() {
        let _ = write!(page, "<tr><td>{}</td>", rung.name);
        for (column, standing) in standings.iter().enumerate() {
            cell(page, &standing.ladder.0[row], (column, row));
        }
        *page += "</tr>";
    }
    *page += "</tbody></table></div><p class=\"note\"><b>●</b> promised by the store: broken, that is a violation. \
              What is broken without having been promised is information, and links to the least example. \
              The rate is that of runs in which it is broken, with 95 % confidence; where that never \
              happened, by the rule of three.</p></section>";
}

fn cell(page: &mut String, rung: &Rung, (column, row): (usize, usize)) {
    let mark = if rung.promised { " <b title=\"promised\">●</b>" } else { "" };
    let all = rung.held + rung.violated + rung.unknown;
    let rate = rung
        .broken_rate
        .filter(|_| all > 1)
        .map_or(String::new(), |rate| format!("<br><small>broken in {}</small>", interval(rate)));
    let (class, words) = match rung.kept() {
        Kept::Held => ("held", format!("held {}/{all}", rung.held)),
        Kept::Unknown => ("unsure", "unknown".to_owned()),
        Kept::Violated => {
            let class = if rung.promised { "broken promised" } else { "broken" };
            let words = format!("broken {}/{all}", rung.violated);
            (class, format!("<a href=\"#example-{column}-{row}\">{words}</a>"))
        }
    };
    let doubt =
        rung.doubt.as_ref().map_or(String::new(), |doubt| format!(" title=\"{}\"", text(doubt)));
    let _ = write!(page, "<td class=\"{class}\"{doubt}>{words}{mark}{rate}</td>");
}

fn cost(page: &mut String, standings: &[Standing]) {
    *page += "<section><h2>What it costs</h2>";
    heading(page, standings, "");
    let mut row = |name: &str, figure: &dyn Fn(&Standing) -> String| {
        let _ = write!(page, "<tr><td>{name}</td>");
        for standing in standings {
            let _ = write!(page, "<td>{}</td>", figure(standing));
        }
        *page += "</tr>";
    };
    for (name, of) in SHARES {
        row(name, &|standing| answered(of(&standing.cost)));
    }
    for (name, of) in SHARES {
        let name = name.replace("Answered", "Latency");
        row(&name, &|standing| quantiles(of(&standing.cost).latency));
    }
    row("Answers a second", &|it| format!("{:.0}", it.cost.answers_per_s));
    row("Never made, the client still waiting", &|it| {
        let Cost { before, during, after, .. } = &it.cost;
        count((before.left_out + during.left_out + after.left_out) as usize)
    });
    row("Answered again after a fault, at most", &|it| {
        worst(it.cost.recovery, it.cost.not_recovered)
    });
    row("All agreed in the end, at most", &|it| worst(it.cost.convergence, it.cost.not_converged));
    row("Stale reads", &|it| {
        format!("{} of {}", count(it.age.stale as usize), count(it.age.reads as usize))
    });
    row("Behind, p50 / p99 / at most", &|it| quantiles(Some(it.age.behind)));
    row("Writes behind, p50 / p99 / at most", &|it| {
        let [half, most, all] = it.age.versions;
        format!("{half} / {most} / {all}")
    });
    row("k-atomic: reads return one of the last k writes", &|it| writes(it.age.k));
    row("Δ-atomic: reads are right for so long ago", &|it| {
        it.age.delta_ns.map_or("–".into(), span)
    });
    row("Under partition it chose", &|it| choice(it.reading.partition).to_owned());
    row("Else it chose", &|it| choice(it.reading.calm).to_owned());
    *page += "</tbody></table></div><p class=\"note\">Latencies are p50 / p99 / slowest. A client stands beside its \
              home node: when links are cut, it reaches the nodes that this one reaches. What was due while its \
              client still waited for an answer counts as not answered. What a store chose is \
              read from these figures, not from its name.</p></section>";
}

type OfCost = fn(&Cost) -> &Share;

const SHARES: [(&str, OfCost); 5] = [
    ("Answered before faults", |cost| &cost.before),
    ("Answered while they stood", |cost| &cost.during),
    ("Answered after", |cost| &cost.after),
    ("Answered beside a majority", |cost| &cost.majority),
    ("Answered beside a minority", |cost| &cost.minority),
];

fn answered(share: &Share) -> String {
    let counts = format!("{} of {}", count(share.answered as usize), count(share.due as usize));
    format!("{} <small>{counts}</small>", percent(share))
}

fn quantiles(latency: Option<Latency>) -> String {
    let figures = |it: Latency| [it.p50_ns, it.p99_ns, it.max_ns].map(span).join(" / ");
    latency.map_or("–".into(), figures)
}

fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Consistency => "consistency",
        Choice::Availability => "availability",
        Choice::Latency => "latency",
        Choice::Both => "no price seen",
        Choice::Neither => "neither",
        Choice::Untested => "not put to the test",
    }
}

fn examples(page: &mut String, comparison: &Comparison) {
    for (column, standing) in comparison.standings.iter().enumerate() {
        for (row, rung) in standing.ladder.0.iter().enumerate() {
            if let Some(example) = &rung.example {
                self::example(page, (column, row), standing, rung, example);
            }
        }
    }
}

fn example(
    page: &mut String,
    (column, row): (usize, usize),
    standing: &Standing,
    rung: &Rung,
    example: &Example,
) {
    let plain = |line| Shown { line, role: None, culprit: false, completion: None };
    let shown: Vec<Shown<'_>> = match &example.finding {
        Some(finding) => shown::shown(finding),
        None => example.operations.iter().map(plain).collect(),
    };
    let promised = if rung.promised { "which it promises" } else { "which it does not promise" };
    let _ = write!(
        page,
        "<section id=\"example-{column}-{row}\"><h2>{} is not {}, {promised}</h2><p>{} <small>{}seed {}</small></p>\
         <figure class=\"wide\"><div class=\"scroll\">{}</div></figure>{}\
         <details><summary>The operations in a table</summary><div class=\"scroll\">{}</div></details></section>",
        text(standing.name),
        adjective(rung.name),
        text(&example.why),
        example.anomaly.map_or(String::new(), |name| format!("{}, ", name.as_str())),
        example.seed,
        picture::draw(&shown, &example.coverage),
        tables::cycle(&example.cycle),
        tables::operations(&shown),
    );
}

/// What a store is that keeps a promise.
fn adjective(name: &str) -> String {
    match name {
        "linearizable" | "sequential" | "regular" | "safe" | "causal" => name.to_owned(),
        other => format!("keeping {other}"),
    }
}

fn plan(page: &mut String, comparison: &Comparison, place: &Path) {
    let plan = &comparison.plan;
    let _ = write!(
        page,
        "<section><h2>The same for all</h2><p>Operations and faults have the digest <code>{}</code>. \
         Again: <code>{}</code></p>",
        comparison.digest,
        text(&comparison.reproduce),
    );
    let schedule = plan.scenario(plan.seed).schedule;
    let _ = write!(page, "<pre>{}</pre>", text(schedule));
    *page += "<div class=\"scroll\"><table><thead><tr><th>Run</th><th>Verdict</th><th>In a sentence</th></tr></thead><tbody>";
    for standing in &comparison.standings {
        for run in standing
            .runs
            .iter()
            .filter(|run| run.directory.is_some() || run.verdict != VerdictWord::Valid)
        {
            let name = format!("{}, seed {}", standing.name, run.seed);
            let below = run.directory.as_deref().and_then(|path| path.strip_prefix(place).ok());
            let name = match below {
                Some(path) => {
                    let report = path.join("report.html");
                    format!("<a href=\"{}\">{}</a>", text(href(&report)), text(name))
                }
                None => text(name).to_string(),
            };
            let _ = write!(
                page,
                "<tr><td>{name}</td><td>{}</td><td>{}</td></tr>",
                run.verdict.as_str(),
                text(&run.why),
            );
        }
    }
    *page += "</tbody></table></div><p>Beside this page: <a href=\"comparison.json\">comparison.json</a>.</p></section>";
}

/// A relative path as a link: a colon in its first part would make a scheme of that.
fn href(path: &Path) -> String {
    format!(
        "./{}",
        path.display().to_string().replace('%', "%25").replace('#', "%23").replace('?', "%3F")
    )
}
