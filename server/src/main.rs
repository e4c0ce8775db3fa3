//! Reads the command and its settings, runs it until a signal comes, and says why when it can't.
#![expect(clippy::print_stderr, reason = "whoever starts it reads why it does not start")]

use std::process::ExitCode;

use server::fatal::Fatal;
use server::{create_key, health, serve, stack, table, topics};
use shared::config::table::Command;
use shared::config::{
    CreateTableSettings, CreateTopicsSettings, HealthSettings, ServerSettings, StackSettings, SystemEnvironment, secrets,
};
use shared::random::SystemRandom;
use shared::telemetry;

fn main() -> ExitCode {
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(run());
            // A look-up of a name that hangs in a thread of its own must not keep the process from ending.
            runtime.shutdown_background();
            ended
        }
        Err(source) => Err(Fatal::Runtime { source }),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            eprintln!("{}", fatal.explain());
            fatal.exit_code()
        }
    }
}

async fn run() -> Result<(), Fatal> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            let settings = ServerSettings::read(&secrets::fetch(Command::Server, SystemEnvironment).await)?;
            telemetry::init(&settings.log).map_err(|source| Fatal::Telemetry { source })?;
            Box::pin(serve::run(settings)).await
        }
        ["stack"] => {
            let settings = StackSettings::read(&secrets::fetch(Command::Stack, SystemEnvironment).await)?;
            telemetry::init(&settings.log).map_err(|source| Fatal::Telemetry { source })?;
            Box::pin(stack::run(settings)).await
        }
        ["create-table"] => {
            let settings = CreateTableSettings::read(&SystemEnvironment)?;
            telemetry::init(&settings.log).map_err(|source| Fatal::Telemetry { source })?;
            table::create(&settings).await
        }
        ["create-topics"] => {
            let settings = CreateTopicsSettings::read(&secrets::fetch(Command::CreateTopics, SystemEnvironment).await)?;
            telemetry::init(&settings.log).map_err(|source| Fatal::Telemetry { source })?;
            topics::create(&settings).await
        }
        ["create-key", name] => create_key::create(name, None, &SystemRandom),
        ["create-key", name, tenant] => create_key::create(name, Some(tenant), &SystemRandom),
        ["health"] => {
            let settings = HealthSettings::read(&SystemEnvironment)?;
            health::check(&settings).await.map_err(|source| Fatal::NotHealthy { source })
        }
        _ => Err(Fatal::Usage),
    }
}
