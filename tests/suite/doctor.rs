//! `rashomon doctor` tries what it says, and says what is missing.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Bench, Finished};

fn findings(finished: &Finished) -> Vec<Value> {
    assert_eq!(finished.code(), Some(0), "{}", finished.everything());
    let diagnosis: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(diagnosis["schema"], 1);
    diagnosis["findings"].as_array().expect("findings").clone()
}

fn of<'a>(findings: &'a [Value], area: &str, faults: &str) -> &'a Value {
    let ours = |finding: &&Value| finding["area"] == area && finding["faults"] == faults;
    findings.iter().find(ours).unwrap_or_else(|| panic!("no {faults} of {area} in {findings:#?}"))
}

#[test]
fn what_can_be_done_was_seen_and_what_cannot_is_explained() {
    let finished = Bench::new().rashomon(&["doctor", "--json"]);
    let findings = findings(&finished);
    for (area, faults) in [
        ("links", "cut, hold, slow, lose, limit, reset, strand"),
        ("processes", "kill, stop, pause, throttle"),
    ] {
        assert_eq!(of(&findings, area, faults)["can"], true, "{}", finished.everything());
    }
    for finding in &findings {
        let said = finding["said"].as_str().expect("words");
        assert!(!said.is_empty(), "{finding}");
        // Who cannot is told what it takes.
        let needs = ["needs", "install", "only"].iter().any(|word| said.contains(word));
        assert!(finding["can"] == true || needs, "{finding}");
    }
    let told = Bench::new().rashomon(&["doctor"]);
    assert_eq!(told.code(), Some(0), "{}", told.everything());
    assert!(told.stdout.contains("links between nodes of ours"), "{}", told.stdout);
}

/// Where there can be a sandbox, its files are hidden as if they were not installed.
#[cfg(target_os = "linux")]
#[test]
fn a_program_that_is_missing_is_named_with_its_package() {
    use std::io::Write;

    // The programs of administrators are not on everybody's path.
    let hide = "for program in $(PATH=$PATH:/usr/sbin:/sbin; command -v nft); do \
                mount --bind /dev/null \"$(readlink -f \"$program\")\" || exit 42; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", hide, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_rashomon")).args(["doctor", "--json"]).stdin(Stdio::null());
    let output = match command.output() {
        Ok(output) if output.status.code() == Some(0) => output,
        // Past what captures the output of tests.
        refused => {
            let why = format!("NOT TESTED: a missing program: no namespaces here: {refused:?}\n");
            let _ = std::io::stderr().write_all(why.as_bytes());
            return;
        }
    };
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (words(&output.stdout), words(&output.stderr));
    let finished = Finished { status: output.status, stdout, stderr };
    let findings = findings(&finished);
    let hosts: Vec<&Value> = findings.iter().filter(|f| f["area"] == "hosts").collect();
    assert_eq!(hosts.len(), 1, "without it there is no network at all: {hosts:#?}");
    assert_eq!(hosts[0]["can"], false);
    let said = hosts[0]["said"].as_str().expect("words");
    let missing = said.contains("`nft` is not installed") && said.contains("nftables");
    // Some other thing may be missing before it.
    let other = ["no sandbox", "`ip` is not installed"].iter().any(|words| said.contains(words));
    assert!(missing || other, "{said}");
}
