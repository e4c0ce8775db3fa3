//! How large a function is when it is deployed: its binary as the one file `bootstrap` of a zip.

use std::path::Path;

use anyhow::Context;

use crate::binaries::{Binaries, FUNCTIONS};
use crate::table::{Figure, Goal};

/// A local header, a central one and the end, with the file's name twice (APPNOTE 4.3).
const CONTAINER: usize = 30 + 46 + 22 + 2 * "bootstrap".len();
/// What zip programs do unless told otherwise.
const LEVEL: u8 = 6;

pub(super) fn measure(binaries: &Binaries) -> anyhow::Result<Vec<Figure>> {
    let floor = megabytes(&binaries.bare_function())?;
    let mut sizes = Vec::new();
    for function in FUNCTIONS {
        sizes.push((function, megabytes(&binaries.of(function))?));
    }
    let largest = sizes.first().map_or(f64::NAN, |(_create, size)| *size);
    let figure = |(function, size): (&str, f64)| {
        let goal = if function == "create" { Goal::AtMost(5.0) } else { Goal::Below(largest) };
        Figure::new(format!("zip of {function} (floor: of a bare function)"), "MB", size, floor, goal)
    };
    Ok(sizes.into_iter().map(figure).collect())
}

fn megabytes(program: &Path) -> anyhow::Result<f64> {
    let binary = std::fs::read(program).with_context(|| format!("{} can't be read", program.display()))?;
    let zip = miniz_oxide::deflate::compress_to_vec(&binary, LEVEL).len() + CONTAINER;
    Ok(f64::from(u32::try_from(zip)?) / 1e6)
}
