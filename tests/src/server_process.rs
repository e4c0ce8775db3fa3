//! The real `server` binary as a child process, with nothing in its environment but what a test gives it.

use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::surroundings::Surroundings;

/// Long enough for a busy machine; nothing waits this long unless it is wrong.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    pub url: String,
    output: Arc<Mutex<String>>,
    /// Ends once all of stderr was read.
    collecting: Option<JoinHandle<()>>,
    settings: Vec<(String, String)>,
    data: Arc<TempDir>,
    client: Client,
}

/// The workspace's own binary: cargo puts it beside the folder of the test that runs.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test has a path");
    let path = test.ancestors().nth(2).expect("target/<profile>/deps").join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace`", path.display());
    path
}

/// A command in an environment of its own, and in a folder of its own.
#[must_use]
pub fn command(data: &TempDir, settings: &[(String, String)]) -> Command {
    prepare(Command::new(binary("server")), data, settings)
}

/// As [`command`], where no file can grow beyond so many KiB: the disk is full there.
#[must_use]
pub fn command_on_small_disk(kib: u32, data: &TempDir, settings: &[(String, String)]) -> Command {
    // The unit of `ulimit -f` is 512 bytes. Without the trap the signal would end the process.
    let blocks = kib * 2;
    command_after(&format!("trap '' XFSZ; ulimit -f {blocks}"), data, settings)
}

/// As [`command`], after what a shell does first.
fn command_after(first: &str, data: &TempDir, settings: &[(String, String)]) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{first}; exec \"$0\"")).arg(binary("server"));
    prepare(shell, data, settings)
}

/// Runs a server that is expected to end by itself: what it said, and how it ended.
pub async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    run_on(&TempDir::new().expect("a temporary folder"), arguments, settings).await
}

/// As [`run`], on a folder that is there; the data are in its subfolder `data`.
pub async fn run_on(data: &TempDir, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let ended = command(data, &owned(settings)).args(arguments).output();
    timeout(PATIENCE, ended).await.expect("it ends in time").expect("it starts")
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn prepare(mut command: Command, data: &TempDir, settings: &[(String, String)]) -> Command {
    command.env_clear().kill_on_drop(true).current_dir(data.path());
    command.env("DATA_DIR", data.path().join("data")).env("LISTEN_ADDR", "127.0.0.1:0");
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl ServerProcess {
    /// Starts a server on its own data and waits until it is ready to serve. It is patient with store and broker, unless
    /// the settings say otherwise: for a machine that builds beside.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let surroundings = Surroundings::new().await;
        let data = Arc::new(TempDir::new().expect("a temporary folder"));
        let mut all = surroundings.settings;
        all.extend(owned(&[("STORE_TIMEOUT", "15s"), ("KAFKA_PRODUCE_TIMEOUT", "20s")]));
        all.extend(owned(settings));
        if surroundings.real {
            let made = command(&data, &all).arg("create-table").output().await.expect("create-table runs");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        Self::start_on(all, data).await
    }

    /// Another server with the same settings on the same data, after this one has ended.
    pub async fn restart(&self) -> Self {
        Self::start_on(self.settings.clone(), Arc::clone(&self.data)).await
    }

    /// On exactly these settings, wherever the tests run.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(owned(settings), Arc::new(TempDir::new().expect("a temporary folder"))).await
    }

    /// As [`Self::start_with`], on a disk that is soon full.
    pub async fn start_on_small_disk(kib: u32, settings: &[(&str, &str)]) -> Self {
        let (settings, data) = (owned(settings), Arc::new(TempDir::new().expect("a temporary folder")));
        let command = command_on_small_disk(kib, &data, &settings);
        Self::start_as(command, settings, data).await
    }

    /// As [`Self::start_with`], where the process may have so many files open and no more.
    pub async fn start_with_few_files(files: u32, settings: &[(&str, &str)]) -> Self {
        let (settings, data) = (owned(settings), Arc::new(TempDir::new().expect("a temporary folder")));
        let command = command_after(&format!("ulimit -n {files}"), &data, &settings);
        Self::start_as(command, settings, data).await
    }

    /// On exactly these settings and this folder.
    pub async fn start_on(settings: Vec<(String, String)>, data: Arc<TempDir>) -> Self {
        Self::start_as(command(&data, &settings), settings, data).await
    }

    async fn start_as(mut command: Command, settings: Vec<(String, String)>, data: Arc<TempDir>) -> Self {
        let mut child = command.spawn().expect("the server starts");
        let output = Arc::new(Mutex::new(String::new()));
        let collecting = collect(child.stderr.take().expect("stderr is piped"), Arc::clone(&output));
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("the server says that it is ready in time")
            .expect("stdout is text");
        let Some(url) = line.as_deref().and_then(|line| line.strip_prefix("listening on ")) else {
            let status = child.wait().await;
            panic!("the server said {line:?} and ended with {status:?}:\n{}", output.lock().unwrap());
        };
        Self { url: url.to_owned(), child, output, collecting: Some(collecting), settings, data, client: Client::new() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    pub async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.expect("JSON")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.expect("an answer")
    }

    /// Creates a notification that must be accepted; its id.
    pub async fn create(&self, body: &Value) -> String {
        let answer = self.post("/api/notifications", body).await;
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["id"].as_str().expect("an id").to_owned()
    }

    /// One by its id, whatever its status.
    pub async fn notification(&self, id: &str) -> Value {
        self.json(&format!("/api/notifications/{id}")).await
    }

    /// Asks for readiness until it is as wanted; the answer.
    pub async fn wait_until_ready_says(&self, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.get("/health/ready").await;
            let (status, body) = (answer.status().as_u16(), answer.json().await.expect("JSON"));
            if wanted(status, &body) {
                return body;
            }
            assert!(Instant::now() < until, "not as wanted: {status} {body}\n{}", self.recent());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the notification has the status; the notification.
    pub async fn wait_for(&self, id: &str, status: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let n = self.json(&format!("/api/notifications/{id}")).await;
            if n["status"] == status {
                return n;
            }
            assert!(Instant::now() < until, "{id} is not {status}: {n}\n{}", self.recent());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many attempts of it have ended; the notification.
    pub async fn wait_for_attempts(&self, id: &str, attempts: usize) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let n = self.notification(id).await;
            if n["attempts"].as_array().is_some_and(|made| made.len() >= attempts) {
                return n;
            }
            assert!(Instant::now() < until, "{id} has too few attempts: {n}\n{}", self.recent());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the dev provider took for one user, newest first.
    pub async fn inbox(&self, user: &str) -> Vec<Value> {
        let answer = self.json(&format!("/dev/inbox?userId={user}")).await;
        answer["data"].as_array().expect("a list").clone()
    }

    #[must_use]
    pub fn logs(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// The end of the log for a failure's message, without the lines of each request.
    fn recent(&self) -> String {
        let logs = self.logs();
        let lines: Vec<&str> = logs.lines().filter(|line| !line.contains("http.status")).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Waits until the log says so. Longer than for anything else: the embedded broker lets each rebalance wait
    /// for nearly a session, and members that join one by one take three of them and more.
    pub async fn wait_for_log(&self, text: &str) {
        let until = Instant::now() + 4 * PATIENCE;
        while !self.logs().contains(text) {
            assert!(Instant::now() < until, "{text:?} is not in the log:\n{}", self.logs());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL: nothing of the process runs any more.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the server was there to be killed");
    }

    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Stopped wherever it is, until [`Self::thaw`]; its sockets stay open.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, which: &str) {
        let pid = self.pid().to_string();
        let sent = std::process::Command::new("kill").args([which, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// SIGTERM, then the end of the process.
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    /// Whether it is still there after that time.
    pub async fn runs_for(&mut self, time: Duration) -> bool {
        timeout(time, self.child.wait()).await.is_err()
    }

    /// Waits for the end of a process that was told to stop; then its logs are complete.
    pub async fn ended(&mut self) -> ExitStatus {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else { panic!("the server does not end:\n{}", self.logs()) };
        let status = status.expect("a status");
        if let Some(collecting) = self.collecting.take() {
            collecting.await.expect("stderr is read to its end");
        }
        status
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data(&self) -> Arc<TempDir> {
        Arc::clone(&self.data)
    }

    /// Its address, for a test that speaks to the socket itself.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("the server runs")
    }

    /// The most memory that it ever held, in MB (Linux's `VmHWM`).
    pub fn peak_megabytes(&self) -> u32 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("Linux tells it");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u32>().expect("a number") / 1000
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("Linux tells it").count()
    }
}

/// Keeps what is said, line by line, until its end.
pub(crate) fn collect(from: impl AsyncRead + Send + Unpin + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = into.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    })
}
