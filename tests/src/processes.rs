//! Real peers: processes of the `allod` binary in a directory of their own, on ports of their own, ended when the
//! test ends.

use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long a test waits for a condition before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The directory of the binaries that the build made: tests run from its `deps`.
fn binaries() -> PathBuf {
    let mut path = std::env::current_exe().expect("the test knows its own path");
    path.pop();
    path.pop();
    path
}

/// The `allod` binary, which the whole workspace's build makes.
pub fn allod() -> PathBuf {
    let path = binaries().join("allod");
    assert!(path.exists(), "{} is not built; run: cargo build --release --workspace", path.display());
    path
}

/// A network of real peers.
#[derive(Debug)]
pub struct Processes {
    /// Its directory, removed at the end.
    pub directory: tempfile::TempDir,
    base_port: u16,
    peers: Vec<Option<Child>>,
}

impl Processes {
    /// Makes a network of `count` validators; none runs yet.
    pub fn init(count: usize, base_port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let this = Self { directory, base_port, peers: (0..count).map(|_| None).collect() };
        let (count, port) = (count.to_string(), base_port.to_string());
        let root = this.root();
        let output = run(&["testnet", "init", "--nodes", &count, "--base-port", &port, "--output"], Some(&root));
        assert!(output.status.success(), "{}", text(&output));
        this
    }

    /// Makes and starts one.
    pub fn start(count: usize, base_port: u16) -> Self {
        let mut this = Self::init(count, base_port);
        for peer in 0..count {
            this.spawn(peer);
        }
        for peer in 0..count {
            this.wait_ready(peer);
        }
        this
    }

    /// Where the network lives.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("net")
    }

    /// The data directory of a peer.
    pub fn data(&self, peer: usize) -> PathBuf {
        self.root().join(format!("node-{peer}"))
    }

    /// The port of a peer's API.
    pub fn api_port(&self, peer: usize) -> u16 {
        self.base_port + 10 * u16::try_from(peer).expect("few peers")
    }

    /// The URL of a peer's API.
    pub fn api(&self, peer: usize) -> String {
        format!("http://127.0.0.1:{}", self.api_port(peer))
    }

    /// Adds the place of a further peer, whose data directory the test has made.
    pub fn add(&mut self) -> usize {
        self.peers.push(None);
        self.peers.len() - 1
    }

    /// Starts a peer; its output goes to a file beside its data.
    pub fn spawn(&mut self, peer: usize) {
        self.spawn_by(peer, Command::new(allod()));
    }

    /// Starts a peer that may open so many files.
    pub fn spawn_with_files(&mut self, peer: usize, files: u32) {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]).arg(allod());
        self.spawn_by(peer, shell);
    }

    /// Starts a peer by a command of the test's own, to which `run` and its data directory are added.
    pub fn spawn_by(&mut self, peer: usize, mut command: Command) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path(peer)).expect("a log file");
        let child = command
            .args(["run", "--data"])
            .arg(self.data(peer))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the peer starts");
        self.peers[peer] = Some(child);
    }

    /// Ends a peer as a crash would.
    pub fn kill(&mut self, peer: usize) {
        if let Some(mut child) = self.peers[peer].take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("the end of the peer");
        }
    }

    /// Sends a signal to a running peer: `STOP`, `CONT`.
    pub fn signal(&self, peer: usize, signal: &str) {
        let pid = self.peers[peer].as_ref().expect("a running peer").id().to_string();
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(pid).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal}");
    }

    /// How many files a running peer has open.
    pub fn open_files(&self, peer: usize) -> usize {
        let pid = self.peers[peer].as_ref().expect("a running peer").id();
        std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the files of a process").count()
    }

    /// Whether a peer has ended by itself.
    pub fn has_ended(&mut self, peer: usize) -> bool {
        self.peers[peer].as_mut().is_none_or(|child| child.try_wait().expect("a child").is_some())
    }

    /// The most memory that a running peer ever had, in bytes.
    pub fn peak_memory_bytes(&self, peer: usize) -> u64 {
        let pid = self.peers[peer].as_ref().expect("a running peer").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        1_024 * peak.trim_end_matches("kB").trim().parse::<u64>().expect("a number")
    }

    /// A metric of a peer: the sum of all lines whose names and labels begin so.
    pub fn metric(&self, peer: usize, name: &str) -> f64 {
        let (_, text) = get(self.api_port(peer), "/metrics").expect("metrics");
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Waits for a peer to end by itself; gives its log.
    pub fn wait_end(&mut self, peer: usize) -> String {
        // A peer that does not end stays here, to be killed with the others.
        wait_until("the peer to end", || self.has_ended(peer).then_some(()));
        self.peers[peer] = None;
        self.log(peer)
    }

    /// What a peer wrote.
    pub fn log(&self, peer: usize) -> String {
        std::fs::read_to_string(self.log_path(peer)).unwrap_or_default()
    }

    /// Beside the data directory, which a test may fill.
    fn log_path(&self, peer: usize) -> PathBuf {
        self.root().join(format!("node-{peer}.log"))
    }

    /// Waits until a peer answers and is not behind.
    pub fn wait_ready(&mut self, peer: usize) {
        let port = self.api_port(peer);
        let log = self.log_path(peer);
        let child = self.peers[peer].as_mut().expect("a running peer");
        wait_until(&format!("peer {peer}"), || {
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("peer {peer} ended ({status}): {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            get(port, "/readyz").filter(|(status, _)| *status == 200).map(|_| ())
        });
    }

    /// A peer's status, if it answers.
    pub fn status(&self, peer: usize) -> Option<Value> {
        let (status, body) = get(self.api_port(peer), "/v1/status")?;
        if status == 200 { serde_json::from_str(&body).ok() } else { None }
    }

    /// A peer's height, if it answers.
    pub fn height(&self, peer: usize) -> Option<u64> {
        self.status(peer)?.get("height")?.as_u64()
    }

    /// Waits until the peers given are at one height with one state root; gives the height.
    pub fn wait_agreement(&self, peers: &[usize]) -> u64 {
        wait_until("the peers to agree", || {
            let of = |peer: &usize| {
                let status = self.status(*peer)?;
                Some((status.get("height")?.as_u64()?, status.get("state_root")?.as_str()?.to_owned()))
            };
            let all: Option<Vec<(u64, String)>> = peers.iter().map(of).collect();
            let all = all?;
            let first = all.first()?.clone();
            all.iter().all(|one| *one == first).then_some(first.0)
        })
    }

    /// Runs a client command against a peer, with the network's keys.
    pub fn client(&self, peer: usize, arguments: &[&str]) -> Output {
        self.begin_client(peer, arguments).wait_with_output().expect("the client runs")
    }

    /// The same, without waiting for its end.
    pub fn begin_client(&self, peer: usize, arguments: &[&str]) -> Child {
        Command::new(allod())
            .env("ALLOD_KEYS", self.root().join("keys"))
            .args(["--json", "--api", &self.api(peer)])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client runs")
    }

    /// What a command that must succeed answers to people.
    pub fn told(&self, peer: usize, arguments: &[&str]) -> String {
        let mut command = Command::new(allod());
        command.env("ALLOD_KEYS", self.root().join("keys")).args(["--api", &self.api(peer)]).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("the client runs");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same, for a command that must succeed; gives its answer.
    pub fn must(&self, peer: usize, arguments: &[&str]) -> Value {
        let output = self.client(peer, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for peer in 0..self.peers.len() {
            self.kill(peer);
        }
    }
}

/// Runs the binary; `last` is its last argument.
pub fn run(arguments: &[&str], last: Option<&Path>) -> Output {
    let mut command = Command::new(allod());
    command.args(arguments).stdin(Stdio::null());
    if let Some(last) = last {
        command.arg(last);
    }
    command.output().expect("the binary runs")
}

/// Both outputs of a process, for a message.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits for a condition, with a bound.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s for {what}, in vain", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A plain GET on loopback: status and body.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    ask(port, &format!("GET {path}"), "", "")
}

/// A POST of JSON on loopback, by the holder of a token: status and body.
pub fn post(port: u16, path: &str, token: &str, body: &Value) -> Option<(u16, String)> {
    let body = body.to_string();
    let head = format!(
        "Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    ask(port, &format!("POST {path}"), &head, &body)
}

fn ask(port: u16, what: &str, head: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{what} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{head}\r\n{body}").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    // Bodies of unknown length come in chunks; small JSON answers do not.
    Some((status, body.to_owned()))
}
