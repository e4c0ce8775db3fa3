//! Builds what ships, as it ships: one package after the other, because together their features would unify
//! and each binary would carry what only another one needs.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use shared::config::{Environment, SystemEnvironment};
use tokio::process::Command;

pub const FUNCTIONS: [&str; 4] = ["create", "get", "process", "redrive"];
pub const SERVER: &str = "server";
/// The example beside: the least that is a Lambda function.
const BARE_FUNCTION: &str = "bare_function";

const SAID_BY_CARGO: [&str; 17] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

#[derive(Clone, Debug)]
pub struct Binaries {
    /// Where cargo put this program, and puts the others.
    folder: PathBuf,
}

impl Binaries {
    pub async fn build() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("this program has no path")?;
        let folder = own.parent().context("this program lies in no folder")?.to_owned();
        if cfg!(debug_assertions) {
            // For trying the benchmark itself: the features don't matter, the time to build does.
            cargo(&["build", "--workspace", "--bins", "--examples"]).await?;
        } else {
            for package in FUNCTIONS.into_iter().chain([SERVER]) {
                cargo(&["build", "--release", "--package", package, "--bin", package]).await?;
            }
            cargo(&["build", "--release", "--package", "benches", "--example", BARE_FUNCTION]).await?;
        }
        Ok(Self { folder })
    }

    #[must_use]
    pub fn of(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    #[must_use]
    pub fn bare_function(&self) -> PathBuf {
        self.folder.join("examples").join(BARE_FUNCTION)
    }
}

async fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    // `cargo run` says which cargo it is.
    let cargo = SystemEnvironment.get("CARGO").ok().flatten().unwrap_or_else(|| "cargo".to_owned());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the package lies in a workspace")?;
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(workspace);
    // What the outer cargo says of this package would have some build scripts run again, and all that needs them.
    SAID_BY_CARGO.iter().for_each(|name| {
        command.env_remove(name);
    });
    let status = command.status().await.context("cargo can't be run")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    Ok(())
}
