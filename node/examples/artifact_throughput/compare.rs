//! The same file by other means: HTTPS followed by a check of its hash, and `sendme` (iroh-blobs).

use crate::usage::{Outcome, children_cpu_seconds, cpu_seconds_of};
use anyhow::{Context as _, Result, ensure};
use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends the process when the measurement ends, however it ends.
struct Running(Child);

impl Running {
    /// Ends it with a signal that lets it shut down cleanly, and waits, so that its CPU time is counted.
    fn end(&mut self) -> Result<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program is installed.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    let output =
        command.args(arguments).stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// `nginx` serves `file` from `directory` over TLS, `curl` writes it to disk, `sha256sum` reads it again.
pub(crate) fn https(directory: &Path, file: &str, size_bytes: u64) -> Result<Outcome> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
    let subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes", "-newkey", "rsa:2048"];
    let files = ["-keyout", text(&key)?, "-out", text(&certificate)?];
    run("openssl", &[&["req", "-x509"], &subject[..], &files[..]].concat())?;
    let configuration = directory.join("nginx.conf");
    std::fs::write(&configuration, nginx(text(directory)?, port))?;
    let server =
        Command::new("nginx").args(["-c", text(&configuration)?, "-e", "stderr"]).stderr(Stdio::null()).spawn();
    let mut server = Running(server.context("cannot run nginx")?);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(Instant::now() < deadline, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    let copy = directory.join("copy");
    let (used, started) = (children_cpu_seconds()?, Instant::now());
    run("curl", &["-fsSk", "-o", text(&copy)?, &format!("https://127.0.0.1:{port}/{file}")])?;
    run("sha256sum", &[text(&copy)?])?;
    let elapsed = started.elapsed();
    server.end()?;
    std::fs::remove_file(&copy)?;
    Ok(Outcome { size_bytes, elapsed, cpu_seconds: children_cpu_seconds()? - used })
}

/// A configuration with one process that serves the directory and nothing else.
fn nginx(directory: &str, port: u16) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.map(|kind| format!("{kind}_temp_path {directory}/nginx-{kind};")).concat();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; events {{}}\n\
         http {{ access_log off; sendfile on; {temporary}\n\
         server {{ listen 127.0.0.1:{port} ssl; root {directory};\n\
         ssl_certificate {directory}/certificate.pem; ssl_certificate_key {directory}/key.pem; }} }}\n"
    )
}

/// `sendme` sends and receives, without relays: the ticket has the addresses.
pub(crate) fn sendme(directory: &Path, file: &str, size_bytes: u64) -> Result<Outcome> {
    let offline = ["--relay", "disabled"];
    let mut sender = Command::new("sendme");
    sender.args(["send", "--ticket-type", "addresses"]).args(offline).arg(directory.join(file)).current_dir(directory);
    let mut sender = Running(sender.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let lines = BufReader::new(sender.0.stdout.take().context("a pipe")?).lines();
    let ticket =
        lines.map_while(Result::ok).find_map(|line| line.trim().strip_prefix("sendme receive ").map(str::to_owned));
    let ticket = ticket.context("sendme printed no ticket")?;
    let target = directory.join("received");
    std::fs::create_dir(&target)?;
    // What the sender has used so far was for hashing.
    let before = cpu_seconds_of(sender.0.id())?;
    let (used, started) = (children_cpu_seconds()?, Instant::now());
    let mut receiver = Command::new("sendme");
    receiver.args(["receive"]).args(offline).arg(&ticket).current_dir(&target);
    let output = receiver.stdin(Stdio::null()).output()?;
    let elapsed = started.elapsed();
    ensure!(output.status.success(), "sendme failed: {}", String::from_utf8_lossy(&output.stderr));
    let received = std::fs::metadata(target.join(file))?.len();
    ensure!(received == size_bytes, "sendme brought {received} bytes");
    sender.end()?;
    std::fs::remove_dir_all(&target)?;
    Ok(Outcome { size_bytes, elapsed, cpu_seconds: children_cpu_seconds()? - used - before })
}
