//! Measures everything, or the groups that are named, and prints the table. A goal that is missed is marked
//! and is no failure; neither is a figure that could not be had, which says why.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people: a table, and what it is at")]

use std::process::ExitCode;

use benches::binaries::Binaries;
use benches::measure::{GROUPS, Size};
use benches::table::{self, Row};
use benches::{bare, service};

const USAGE: &str = "usage: benches [--quick] [create] [delivery] [redrive] [answer] [start] [zip]";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // This program again, as a child: the parties of the group `create`.
        [service::COMMAND] => ended(service::run().await),
        [bare::COMMAND, id] => ended(bare::run(id).await),
        options => {
            measure(options).await;
            ExitCode::SUCCESS
        }
    }
}

fn ended(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("{error:#}");
    ExitCode::FAILURE
}

async fn measure(options: &[&str]) {
    let size = if options.contains(&"--quick") { Size::QUICK } else { Size::FULL };
    let named: Vec<&str> = options.iter().copied().filter(|option| *option != "--quick").collect();
    if let Some(unknown) = named.iter().find(|name| GROUPS.iter().all(|group| group.name != **name)) {
        eprintln!("{unknown}: no such group\n{USAGE}");
        return;
    }
    eprintln!("building");
    let binaries = match Binaries::build().await {
        Ok(binaries) => binaries,
        Err(error) => {
            eprintln!("nothing could be measured: {error:#}");
            return;
        }
    };
    let mut rows = Vec::new();
    for group in GROUPS.iter().filter(|group| named.is_empty() || named.contains(&group.name)) {
        eprintln!("measuring: {}", group.name);
        match (group.measure)(&binaries, &size).await {
            Ok(figures) => rows.extend(figures.into_iter().map(Row::Measured)),
            Err(error) => rows.push(Row::NotMeasured { what: group.name.to_owned(), why: format!("{error:#}") }),
        }
    }
    println!("{}\n", table::machine());
    print!("{}", table::markdown(&rows));
}
