//! A program under measurement, as a child with nothing in its environment but its settings. It is killed
//! when this value is dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub type Settings = Vec<(String, String)>;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where it serves HTTP.
    pub address: SocketAddr,
    /// Its working folder: data, and what it logged.
    _folder: TempDir,
}

impl Process {
    /// Starts it, and waits until it says where it listens.
    pub async fn start(program: &Path, arguments: &[&str], settings: &Settings) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        // As if a log driver took it: thrown away, the log would cost less than it does.
        let log = folder.path().join("log");
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(settings.iter().cloned()).current_dir(folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
        let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let line = timeout(PATIENCE, BufReader::new(stdout).lines().next_line()).await;
        let line = line.context("it does not say where it listens")??;
        let Some(address) = line.as_deref().and_then(|line| line.strip_prefix("listening on http://")) else {
            bail!("{} does not serve: {}", program.display(), std::fs::read_to_string(log).unwrap_or_default());
        };
        Ok(Self { address: address.parse()?, child, _folder: folder })
    }

    /// This program again, as another party.
    pub async fn start_own(arguments: &[&str], settings: &Settings) -> anyhow::Result<Self> {
        Self::start(&std::env::current_exe()?, arguments, settings).await
    }

    /// The most memory that it ever held (`VmHWM`), in MB.
    pub fn peak_megabytes(&self) -> anyhow::Result<f64> {
        let id = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("only Linux tells the peak of its memory")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kibibytes: u32 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(f64::from(kibibytes) * 1024.0 / 1e6)
    }

    /// SIGKILL, and the end of it: what comes next has the machine to itself.
    pub async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
