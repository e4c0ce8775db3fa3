//! How long a function takes from its exec until it asks for its first invocation, set up as it is deployed (a
//! store and a broker that it greets in time, a webhook over TLS), against one that does nothing at all.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::{Size, median};
use crate::binaries::{Binaries, FUNCTIONS};
use crate::process::Settings;
use crate::runtime_api::RuntimeApi;
use crate::stores::Stores;
use crate::table::{Figure, Goal};

/// A bundle, as Amazon Linux has it. Left to themselves, the libraries would read Debian's folder with one file for
/// each certificate as well.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(binaries: &Binaries, size: &Size) -> anyhow::Result<Vec<Figure>> {
    let stores = Stores::start().await?;
    let mut settings = stores.settings();
    settings.retain(|(name, _)| name != "EMAIL_PROVIDER");
    // Nobody is called at a start.
    settings.push(("EMAIL_PROVIDER".to_owned(), "webhook+https://mail.example/send".to_owned()));
    settings.push(("WEBHOOK_SECRET".to_owned(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned()));
    if Path::new(CERTIFICATES).exists() {
        settings.push(("SSL_CERT_FILE".to_owned(), CERTIFICATES.to_owned()));
    }
    let bare = binaries.bare_function();
    let mut floor = Vec::new();
    let mut ours = FUNCTIONS.map(|function| (function, binaries.of(function), Vec::new()));
    // The first round brings the files into memory.
    for round in 0..=size.starts {
        let took = start("bare", &bare, &settings).await?;
        floor.extend((round > 0).then_some(took));
        for (function, program, times) in &mut ours {
            let took = start(function, program, &settings).await?;
            times.extend((round > 0).then_some(took));
        }
    }
    stores.end().await;
    let floor = median(floor);
    let figure = |(function, _, times)| {
        Figure::new(format!("start of {function}, to its first /next"), "ms", median(times), floor, Goal::RatioAtMost(2.0))
    };
    Ok(ours.map(figure).into())
}

/// In milliseconds.
async fn start(function: &str, program: &Path, settings: &Settings) -> anyhow::Result<f64> {
    let api = RuntimeApi::start().await?;
    let mut command = Command::new(program);
    command.env_clear().envs(settings.iter().cloned()).envs(api.settings(function)).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{} can't be started", program.display()))?;
    let ready = tokio::select! {
        ready = timeout(PATIENCE, api.first_next()) => ready.with_context(|| format!("{function} never became ready"))??,
        status = child.wait() => anyhow::bail!("{function} ended: {}", status?),
    };
    child.kill().await?;
    Ok((ready - begun).as_secs_f64() * 1e3)
}
