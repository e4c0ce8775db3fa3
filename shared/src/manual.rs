//! The tables in `docs/` that the code writes: each page is held to its table by a test, and written anew by hand.

const BEGIN: &str = "<!-- the table is generated: begin -->\n";
const END: &str = "<!-- the table is generated: end -->";

fn path(page: &str) -> String {
    format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(path(page)).unwrap()
}

fn parts(manual: &str) -> (&str, &str, &str) {
    let (before, rest) = manual.split_once(BEGIN).expect("the begin marker");
    let (table, after) = rest.split_once(END).expect("the end marker");
    (before, table, after)
}

/// `writer` is the test that calls [`write`] for this page.
pub(crate) fn assert_current(page: &str, table: &str, writer: &str) {
    let command = format!("cargo test --workspace --lib -p shared -- --ignored {writer}");
    assert!(parts(&read(page)).1 == table, "docs/{page} is stale; write it anew by\n    {command}");
}

pub(crate) fn write(page: &str, table: &str) {
    let manual = read(page);
    let (before, _, after) = parts(&manual);
    std::fs::write(path(page), format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    assert_eq!(parts(&read(page)).1, table);
}
