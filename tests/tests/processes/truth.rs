//! What an operator reads while something is wrong: `/readyz`, `allod status`, one line of the log, the metrics. And that
//! all of it ends when that ends.

use super::{account, model, text_of, turn};
use allod_tests::processes::{Processes, allod, get, text, wait_until};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::FileExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The sentence for which a peer is not ready, if it is not for this reason.
fn reason(net: &Processes, peer: usize, code: &str) -> Option<String> {
    let (status, body) = get(net.api_port(peer), "/readyz")?;
    let problem: Value = serde_json::from_str(&body).ok()?;
    let reasons = problem["reasons"].as_array()?;
    assert_eq!(status, 503, "{body}");
    let reason = reasons.iter().find(|reason| reason["code"] == code)?;
    Some(text_of(reason, "detail").to_owned())
}

/// The lines of a log with which a state begins, and those with which it ends.
fn lines(net: &Processes, peer: usize, code: &str) -> (usize, usize) {
    let log = net.log(peer);
    let of = |words: &str| {
        let field = format!("reason=\"{code}\"");
        log.lines().filter(|line| line.contains(words) && line.contains(&field)).count()
    };
    (of("WARN allod::health: not ready: "), of(&format!("INFO allod::health: no longer {code}")))
}

/// Waits until a peer is not ready for a reason, and reads all that an operator would; gives the sentence.
fn begins(net: &Processes, peer: usize, code: &str) -> String {
    begins_after(net, peer, code, lines(net, peer, code))
}

/// The same, if the log had so many lines of it before.
fn begins_after(net: &Processes, peer: usize, code: &str, before: (usize, usize)) -> String {
    assert_eq!(before.0, before.1, "{code} is told of already");
    let detail = wait_until(code, || reason(net, peer, code));
    wait_until("the log to tell", || (lines(net, peer, code) == (before.0 + 1, before.1)).then_some(()));
    let status = net.status(peer).expect("the status");
    assert_eq!(status["ready"], false, "{status}");
    assert!(status["not_ready"].as_array().is_some_and(|all| all.iter().any(|one| one["code"] == code)), "{status}");
    let told = net.told(peer, &["status"]);
    assert!(told.contains("NO") && told.contains(&format!("{code}: ")), "{told}");
    assert!(net.metric(peer, "allod_ready") < 0.5);
    assert!(net.metric(peer, &format!("allod_not_ready{{reason=\"{code}\"}}")) > 0.5);
    detail
}

/// Waits until it is over, and reads that too.
fn ends(net: &Processes, peer: usize, code: &str) {
    wait_until("its end", || {
        let (status, _) = get(net.api_port(peer), "/readyz")?;
        (status == 200).then_some(())
    });
    wait_until("the log to tell the end", || {
        let (began, ended) = lines(net, peer, code);
        (began == ended).then_some(())
    });
    assert_eq!(net.status(peer).expect("the status")["ready"], true);
    assert!(net.told(peer, &["status"]).contains("yes"));
    assert!(net.metric(peer, "allod_ready") > 0.5);
    assert!(net.metric(peer, &format!("allod_not_ready{{reason=\"{code}\"}}")) < 0.5);
}

/// Debian's prometheus, with the alert rules, where it is installed.
struct Prometheus(Option<Child>);

impl Prometheus {
    const PORT: u16 = 18_898;

    fn start(net: &Processes, peers: usize) -> Self {
        if Command::new("prometheus").arg("--version").output().is_err() {
            println!("SKIPPED: prometheus is not installed here: no alert was seen to fire");
            return Self(None);
        }
        let targets: Vec<String> = (0..peers).map(|peer| format!("'127.0.0.1:{}'", net.api_port(peer))).collect();
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../testnet/observe/alerts.yml");
        let config = net.root().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: ['{rules}']\nscrape_configs:\n\
             - job_name: allod\n  static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        );
        fs::write(&config, text).expect("written");
        let server = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", net.root().join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{}", Self::PORT))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus");
        Self(Some(server))
    }

    /// Waits until an alert fires, or until it does not.
    fn wait(&self, alert: &str, fires: bool) {
        if self.0.is_some() {
            wait_until(alert, || {
                let query =
                    format!("/api/v1/query?query=ALERTS%7Balertname%3D%22{alert}%22%2Calertstate%3D%22firing%22%7D");
                let (status, body) = get(Self::PORT, &query)?;
                (status == 200 && body.contains("\"instance\"") == fires).then_some(())
            });
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(server) = &mut self.0 {
            // It may have ended by itself.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

#[test]
fn what_is_wrong_is_said_and_so_is_its_end() {
    let _turn = turn();
    let mut net = Processes::start(4, 18_900);
    let prometheus = Prometheus::start(&net, 4);
    let owner = account(&net, 0, "northfield");
    let model = model(&net, &owner);
    net.wait_agreement(&[0, 1, 2, 3]);

    // Two of four stand still: whoever submits hears by whom it waits.
    net.signal(2, "STOP");
    net.signal(3, "STOP");
    let waiting = net.begin_client(0, &["contribute", &model, "--as", &owner, "--kind", "data", "--amount", "1"]);
    let detail = begins(&net, 0, "no_quorum");
    for word in ["operator-2", "operator-3", "missing", "1 transaction waits"] {
        assert!(detail.contains(word), "{word} is missing in: {detail}");
    }
    assert!(!detail.contains("operator-1"), "who votes is not missing: {detail}");
    prometheus.wait("AllodNoQuorum", true);
    let missing = |handle: &str| {
        let metrics = get(net.api_port(0), "/metrics").expect("metrics").1;
        let named = format!("operator=\"{handle}\"");
        let line = metrics.lines().find(|line| line.starts_with("allod_validator_absent{") && line.contains(&named));
        line.expect("a line for each validator").ends_with(" 1")
    };
    assert_eq!(["operator-1", "operator-2", "operator-3"].map(missing), [false, true, true]);
    net.signal(2, "CONT");
    net.signal(3, "CONT");
    let output = waiting.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "{}", text(&output));
    let told = String::from_utf8_lossy(&output.stderr);
    // Once for each set of reasons: that two are gone is noticed later.
    assert!((1..=3).contains(&told.matches("has stood still").count()), "{told}");
    assert!(told.contains("operator-2") && told.contains("blocks are decided again"), "{told}");
    ends(&net, 0, "no_quorum");
    prometheus.wait("AllodNoQuorum", false);

    // Two of four are gone: the others know whom they cannot reach.
    let before = lines(&net, 1, "cut_off");
    net.kill(2);
    net.kill(3);
    let detail = begins(&net, 1, "cut_off");
    for word in ["2 of 4", "operator-2", "operator-3", "more than two thirds"] {
        assert!(detail.contains(word), "{word} is missing in: {detail}");
    }
    net.spawn(2);
    net.spawn(3);
    ends(&net, 1, "cut_off");
    net.wait_ready(2);
    net.wait_ready(3);
    assert_eq!(lines(&net, 1, "cut_off"), (before.0 + 1, before.1 + 1), "told once, however long it lasts");
    drop(prometheus);

    few_files(&mut net);
    clock(&mut net, (&owner, &model));
}

/// Shifts the wall clock of the process that loads it by the milliseconds in a file, which may change.
const SHIFT: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static const volatile long long *shift_ms;
__attribute__((constructor)) static void find(void) {
    int file = open(getenv("SHIFT_FILE"), O_RDONLY);
    void *page = mmap(0, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) shift_ms = page;
}
int clock_gettime(clockid_t clock, struct timespec *at) {
    int done = (int)syscall(SYS_clock_gettime, clock, at);
    if (clock == CLOCK_REALTIME && shift_ms) at->tv_sec += (time_t)(*shift_ms / 1000);
    return done;
}
"#;

/// A validator whose clock is an hour ahead knows it, from what the others say; and they know that theirs are right.
fn clock(net: &mut Processes, (owner, model): (&str, &str)) {
    let [source, library, shift] = ["shift.c", "shift.so", "shift"].map(|name| net.root().join(name));
    fs::write(&source, SHIFT).expect("written");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status();
    assert!(built.is_ok_and(|status| status.success()), "a C compiler, which RocksDB takes anyway");
    // Never shorter than what a process has mapped.
    let shift_file = fs::File::create(&shift).expect("a file");
    let set = |ms: i64| FileExt::write_all_at(&shift_file, &ms.to_ne_bytes(), 0).expect("written");
    set(0);
    net.kill(3);
    let mut command = Command::new(allod());
    command.env("LD_PRELOAD", &library).env("SHIFT_FILE", &shift);
    net.spawn_by(3, command);
    net.wait_ready(3);
    let ahead = |net: &Processes, peer| net.metric(peer, "allod_clock_ahead_seconds");
    let before = lines(net, 3, "clock_off");
    set(3_600_000);
    wait_until("each validator to propose", || {
        net.must(0, &["contribute", model, "--as", owner, "--kind", "data", "--amount", "1"]);
        reason(net, 3, "clock_off")
    });
    let detail = begins_after(net, 3, "clock_off", before);
    assert!(detail.contains("1 h ahead of"), "{detail}");
    assert!((3_590.0..3_610.0).contains(&ahead(net, 3)), "{}", ahead(net, 3));
    for peer in 0..3 {
        assert_eq!(reason(net, peer, "clock_off"), None);
        assert!(ahead(net, peer).abs() < 10.0, "{}", ahead(net, peer));
    }
    set(0);
    ends(net, 3, "clock_off");
    assert!(ahead(net, 3).abs() < 10.0, "{}", ahead(net, 3));
}

/// A process that may open few files says so at its start, and when they are nearly used up; and what fails for it is not
/// told again and again.
fn few_files(net: &mut Processes) {
    net.kill(3);
    net.spawn_with_files(3, 300);
    net.wait_ready(3);
    assert_eq!(net.log(3).matches("may open 300 files and connections, and may need").count(), 1);
    let connect = || TcpStream::connect(("127.0.0.1", net.api_port(3))).expect("a connection, or a place in the queue");
    let mut held: Vec<TcpStream> = (net.open_files(3)..280).map(|_| connect()).collect();
    wait_until("the peer to take them", || (net.open_files(3) >= 275).then_some(()));
    let detail = begins(net, 3, "files_low");
    assert!(detail.contains("of 300 files"), "{detail}");
    // Beyond the limit nothing is taken any more. That is told once, however often it fails; who is there is still answered.
    let mut probe = BufReader::new(held.pop().expect("a connection"));
    probe.get_ref().set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    // Fewer than wait in the queue of a listener.
    let more: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
    wait_until("many failures", || {
        let metrics = ask(&mut probe, "/metrics");
        let failures = metrics.lines().find_map(|line| line.strip_prefix("allod_http_accept_failures_total "))?;
        (failures.parse::<u64>().ok()? >= 10).then_some(())
    });
    assert_eq!(net.log(3).matches("the API takes no connections").count(), 1);
    drop((held, more));
    ends(net, 3, "files_low");
}

/// Asks on a connection that is open, and leaves it open.
fn ask(stream: &mut BufReader<TcpStream>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.get_mut().write_all(request.as_bytes()).expect("asked");
    let mut length = 0;
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).expect("an answer") > 0, "the connection was closed");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body");
    String::from_utf8(body).expect("text")
}

#[test]
fn a_peer_with_another_networks_genesis_says_so_until_one_of_its_own_comes() {
    let _turn = turn();
    let other = Processes::start(1, 18_950);
    let stranger = other.status(0).expect("status");
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", other.api_port(0) + 1, text_of(&stranger, "peer_id"));
    let mut net = Processes::init(2, 18_970);
    let config = net.data(0).join("config.toml");
    let lines = fs::read_to_string(&config).expect("the configuration");
    let kept: Vec<&str> = lines.lines().filter(|line| !line.starts_with("peers")).collect();
    assert!(kept.len() < lines.lines().count(), "{lines}");
    fs::write(&config, format!("{}\npeers = [\"{address}\"]\n", kept.join("\n"))).expect("written");
    net.spawn(0);
    let detail = begins(&net, 0, "other_network");
    assert!(detail.contains(text_of(&stranger, "peer_id")) && detail.contains("genesis"), "{detail}");
    assert!(reason(&net, 0, "alone").is_some());
    net.spawn(1);
    ends(&net, 0, "other_network");
}

#[test]
fn a_directory_that_another_user_owns_is_not_called_no_nodes() {
    let _turn = turn();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !is_root || Command::new("setpriv").arg("--version").output().is_err() {
        println!("SKIPPED: only root can run a process as somebody else, with setpriv");
        return;
    }
    let net = Processes::init(1, 18_990);
    let data = net.data(0);
    // The binary is copied to where everybody can reach it.
    let open = tempfile::tempdir().expect("a directory");
    let binary = open.path().join("allod");
    fs::copy(allod(), &binary).expect("copied");
    let everybody = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(open.path(), everybody).expect("opened");
    for command in [&["run", "--data"][..], &["token", "list", "--data"]] {
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args(command)
            .arg(&data)
            .output()
            .expect("setpriv");
        let said = text(&output);
        assert!(!output.status.success(), "{said}");
        for word in ["permission denied", "uid 65534", "chown"] {
            assert!(said.contains(word), "{word} is missing in: {said}");
        }
        assert!(!said.contains("node's directory; make it"), "{said}");
    }
}
