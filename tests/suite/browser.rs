//! A headless Chromium, driven over two pipes with the Chrome DevTools Protocol: JSON messages,
//! each ended by a zero byte. It needs no port and no crate.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long an answer may take. Far beyond what it needs: reaching it is a hang.
const DEADLINE: Duration = Duration::from_secs(60);
/// The window.
pub(crate) const SIZE: (u32, u32) = (1280, 800);

/// A browser with one page, closed when it is dropped.
pub(crate) struct Browser {
    child: Child,
    to_browser: File,
    messages: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    /// What the page has complained about, and what it has asked a network for.
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The Chromium of this machine: `RASHOMON_CHROMIUM`, or the first known name on the `PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("RASHOMON_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

impl Browser {
    /// Starts a browser that is cut off from every network.
    pub(crate) fn start(program: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let [to_browser, from_browser] = ["to", "from"].map(|name| profile.path().join(name));
        let made = Command::new("mkfifo").args([&to_browser, &from_browser]).status();
        assert!(made.expect("there is a mkfifo command").success());
        // A shell, because file descriptors 3 and 4 are what the browser reads and writes.
        let child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<"$TO_BROWSER" 4>"$FROM_BROWSER""#])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .env("TO_BROWSER", &to_browser)
            .env("FROM_BROWSER", &from_browser)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        // Open for both, so that opening does not wait for the other end.
        let to_browser = OpenOptions::new().read(true).write(true).open(to_browser);
        let mut browser = Browser {
            child,
            to_browser: to_browser.expect("the pipe is there"),
            messages: read_messages(from_browser),
            session: None,
            sent: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", &attached);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime", "Log", "Network", "Page"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
        let (width, height) = SIZE;
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &screen);
        let off =
            json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0});
        self.call("Network.emulateNetworkConditions", &off);
    }

    /// Opens a file and waits until scripts have drawn the timeline.
    pub(crate) fn open(&mut self, page: &Path) {
        self.show(page);
        self.wait_for("document.querySelector('.situation')?.textContent");
    }

    /// Opens a file.
    pub(crate) fn show(&mut self, page: &Path) {
        let url = format!("file://{}", page.display());
        let answer = self.call("Page.navigate", &json!({"url": url}));
        assert!(answer.get("errorText").is_none(), "{answer}");
        self.wait_for("document.readyState === 'complete'");
    }

    /// Shows pages as in a dark room, or not.
    pub(crate) fn set_dark(&mut self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// The value of an expression on the page; of a promise, what it comes to.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters =
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", &parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is neither false nor empty.
    pub(crate) fn wait_for(&mut self, expression: &str) -> Value {
        let began = Instant::now();
        loop {
            let value = self.evaluate(expression);
            if !matches!(&value, Value::Null | Value::Bool(false)) && value != "" {
                return value;
            }
            let complaints = &self.complaints;
            assert!(began.elapsed() < DEADLINE, "never: {expression}; complaints: {complaints:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key that is known by its name.
    pub(crate) fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", &json!({"type": kind, "key": key, "code": key}));
        }
    }

    /// Turns the wheel at a point of the window; upwards is negative.
    pub(crate) fn wheel(&mut self, x: f64, y: f64, pixels: f64) {
        let turn = json!({"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": pixels});
        self.call("Input.dispatchMouseEvent", &turn);
    }

    /// Errors and messages on the console, and requests to anywhere but the disk, so far.
    pub(crate) fn complaints(&mut self) -> &[String] {
        while let Ok(message) = self.messages.try_recv() {
            self.note(&message);
        }
        &self.complaints
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let bytes = [message.to_string().as_bytes(), &[0]].concat();
        self.to_browser.write_all(&bytes).expect("the browser listens");
        loop {
            let message = self.messages.recv_timeout(DEADLINE);
            let mut message = message.unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == json!(self.sent) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => &parameters["exceptionDetails"],
            Some("Runtime.consoleAPICalled") => &parameters["args"],
            Some("Log.entryAdded") => &parameters["entry"],
            Some("Network.requestWillBeSent") => &parameters["request"]["url"],
            _ => return,
        };
        let local = ["file:", "data:", "about:"];
        let is_local = |url: &str| local.iter().any(|scheme| url.starts_with(scheme));
        if !complaint.as_str().is_some_and(is_local) {
            self.complaints.push(complaint.to_string());
        }
    }
}

/// Whether all of an element is in the window, without scrolling.
pub(crate) fn is_in_sight(browser: &mut Browser, selector: &str) -> bool {
    let visible = browser.evaluate(&format!(
        "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
         return box.width > 0 && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight; }})()"
    ));
    visible == true
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_messages(pipe: PathBuf) -> Receiver<Value> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let Ok(pipe) = File::open(pipe) else { return };
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
            bytes.pop();
            let message = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            if send.send(message).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    receive
}
