"""Builds every fault that cargo-mutants names into one copy of the workspace, each behind a switch (MUTANT=<n>), and
runs for each the tests that reach it, the fastest first, until one fails. Run by .ci/mutants.

A fault that does not compile is unviable, and taken out again. One whose place is needed while compiling (a `const`)
can't be behind a switch; neither can another type behind `impl Trait`: such faults are counted, and not tried.
"""

import bisect
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import tree_sitter
import tree_sitter_rust

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPIED = [".cargo", "Cargo.lock", "Cargo.toml", "benches", "functions", "fuzz", "server", "shared", "tests", "template.yaml", "docs"]
WORKERS = os.cpu_count()
# Worlds and events enough to reach everything, in seconds.
AMOUNTS = {"SEEDS": "400", "POISON": "3000", "BACKLOG": "2000", "SCHEDULED": "300"}
# Seconds of tests that each fault gets before any gets more.
QUICK = 20
# Of these each call takes minutes, or looks at other sabotages, or at this machine rather than at the product.
LEFT_OUT = ("crash", "outage", "overload")
NOT_RUN = ("the_oracle_sees_every_sabotage", "every_fault_strikes_and_every_row")

SWITCH = """//! Which fault is switched on: made by .ci/mutants.
static mut ACTIVE: usize = 0;
static mut RECORDING: bool = false;
static SEEN: [std::sync::atomic::AtomicBool; COUNT] = [const { std::sync::atomic::AtomicBool::new(false) }; COUNT];

#[used]
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = init;

extern "C" fn init() {
    let active = std::env::var("MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    unsafe {
        ACTIVE = active;
        RECORDING = std::env::var_os("MUTANTS_SEEN").is_some();
    }
}

pub fn on(n: usize) -> bool {
    if unsafe { RECORDING } && !SEEN[n].swap(true, std::sync::atomic::Ordering::Relaxed) {
        use std::io::Write;
        let path = std::env::var_os("MUTANTS_SEEN").unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{n}\\n").as_bytes()).unwrap();
    }
    unsafe { ACTIVE == n }
}

pub const fn on_in_const(n: usize) -> bool {
    unsafe { ACTIVE == n }
}
"""


# --- What cargo-mutants names ---


class Mutant:
    def __init__(self, number, named):
        self.number, self.file, self.genre = number, named["file"], named["genre"]
        self.name = named["name"]
        self.replacement, self.span = named["replacement"], named["span"]
        self.in_const = False
        self.state = "switched"  # or unviable, alone


def offset(lines, place):
    """Of a line and a column (both from 1, in characters) in the bytes of a file."""
    line, column = place["line"] - 1, place["column"] - 1
    return sum(len(text.encode()) for text in lines[:line]) + len(lines[line][:column].encode())


# --- Switches ---


class Site:
    """A place of a file with the faults that it may have."""

    def __init__(self, kind, start, end):
        self.kind, self.start, self.end, self.faults = kind, start, end, []


def node_of(tree, start, end, kinds):
    node = tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
    while node is not None and node.type not in kinds:
        node = node.parent
    return node


def in_const_fn(tree, at):
    node = tree.root_node.descendant_for_byte_range(at, at)
    while node is not None:
        if node.type == "function_item":
            return any(c.type == "function_modifiers" and b"const" in c.text for c in node.children)
        if node.type in ("const_item", "static_item"):
            return True
        node = node.parent
    return False


def sites(source, mutants):
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language())).parse(source)
    lines = source.decode().splitlines(keepends=True)
    found = {}
    for mutant in mutants:
        start, end = offset(lines, mutant.span["start"]), offset(lines, mutant.span["end"])
        mutant.in_const = in_const_fn(tree, start)
        replacement = (mutant.replacement or "").encode()
        if mutant.genre == "FnValue":
            # The span may be the block or what is in it.
            if source[start:start + 1] == b"{":
                block = node_of(tree, start, end, ("block",))
                if block is not None and (block.start_byte, block.end_byte) == (start, end):
                    start, end = start + 1, end - 1
            key, text = ("body", start, end), replacement
        elif mutant.genre in ("BinaryOperator", "UnaryOperator"):
            kinds = ("binary_expression", "compound_assignment_expr") if mutant.genre == "BinaryOperator" else ("unary_expression",)
            node = node_of(tree, start, end, kinds)
            if node is None or node.start_byte > start:
                mutant.state = "alone"
                continue
            key = ("expression", node.start_byte, node.end_byte)
            text = source[node.start_byte:start] + replacement + source[end:node.end_byte]
        elif mutant.genre == "MatchArmGuard":
            key, text = ("expression", start, end), replacement
        elif mutant.genre == "MatchArm":
            node = node_of(tree, start, end, ("match_arm",))
            pattern = node.child_by_field_name("pattern")
            condition = pattern.child_by_field_name("condition")
            if condition is None:
                key, text = ("arm", pattern.end_byte, pattern.end_byte), b""
            else:
                key, text = ("guard", condition.start_byte, condition.end_byte), b""
        else:
            mutant.state = "alone"
            continue
        found.setdefault(key, Site(*key)).faults.append((mutant, text))
    return sorted(found.values(), key=lambda site: (site.start, -site.end, site.kind != "body"))


def switched(source, sites):
    """The file with all of its faults, and which part of it is whose."""
    out, owned = bytearray(), []

    def on(mutant):
        return b"crate::mutants::%s(%d)" % (b"on_in_const" if mutant.in_const else b"on", mutant.number)

    def own(mutant, text):
        owned.append((len(out), len(out) + len(text), mutant))
        out.extend(text)

    def copy(start, end, inner):
        """From `start` to `end`, with the sites in between."""
        at = start
        while inner:
            site = inner[0]
            within = [other for other in inner[1:] if other.start < site.end or (other.start, other.end) == (site.start, site.end)]
            inner = inner[1 + len(within):]
            out.extend(source[at:site.start])
            write(site, within)
            at = site.end
        out.extend(source[at:end])

    def write(site, within):
        live = [(m, text) for m, text in site.faults if m.state == "switched"]
        if not live:
            copy(site.start, site.end, within)
        elif site.kind == "body":
            for mutant, text in live:
                own(mutant, b" if %s { return %s; } " % (on(mutant), text))
            copy(site.start, site.end, within)
        elif site.kind == "expression":
            out.extend(b"(")
            for mutant, text in live:
                own(mutant, b"if %s { %s } else " % (on(mutant), text))
            out.extend(b"{ ")
            copy(site.start, site.end, within)
            out.extend(b" })")
        elif site.kind == "arm":
            own(live[0][0], b" if !%s " % on(live[0][0]))
        else:
            own(live[0][0], b"!%s && (" % on(live[0][0]))
            copy(site.start, site.end, within)
            out.extend(b")")

    copy(0, len(source), sites)
    return bytes(out), owned


# --- The build ---


def cargo(tree, target, *arguments):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "1"}
    command = ["cargo", *arguments, "--workspace", "--message-format=json"]
    done = subprocess.run(command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def spans(message):
    yield from message["spans"]
    for child in message["children"]:
        yield from spans(child)


def take_out(messages, owned, whole):
    """Takes the faults out that the compiler names; of what it says otherwise, those of the whole function."""
    gone = 0
    for message in messages:
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        hit = set()
        for span in spans(message["message"]):
            for start, end, mutant in owned.get(span["file_name"], []):
                if start <= span["byte_start"] < end:
                    hit.add(mutant)
        alone = bool(message["message"].get("code")) and message["message"]["code"]["code"] == "E0080"
        if not hit:
            for span in spans(message["message"]):
                for start, end, mutants in whole.get(span["file_name"], []):
                    if start <= span["byte_start"] <= end:
                        hit.update(mutants)
                        alone = True
        for mutant in hit:
            if mutant.state == "switched":
                mutant.state = "alone" if alone else "unviable"
                gone += 1
    return gone


def write_tree(tree, files):
    owned, whole = {}, {}
    for file, (source, found) in files.items():
        text, of = switched(source, found)
        (tree / file).write_bytes(text)
        owned[file] = of
        # Whatever stands from one body's first switch to the next body's.
        bodies = sorted((start, mutant) for start, _, mutant in of)
        whole[file] = [
            (bodies[i][0], bodies[i + 1][0] if i + 1 < len(bodies) else len(text), [bodies[i][1]]) for i in range(len(bodies))
        ]
    return owned, whole


def build(work, mutants):
    tree, target = work / "tree", work / "target"
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, dirs_exist_ok=True)
        else:
            shutil.copy2(ROOT / name, tree / name)
    manifest = tree / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('= "deny"', '= "allow"'))
    # What a test starts is the same product, and is to have the same fault.
    for test in [*(tree / "tests").rglob("*.rs"), *(tree / "server/tests").rglob("*.rs")]:
        passed_on = '.env_clear().envs(std::env::vars().filter(|(name, _)| name.starts_with("MUTANT")))'
        test.write_text(test.read_text().replace(".env_clear()", passed_on))
    lib = tree / "shared/src/lib.rs"
    lib.write_text(lib.read_text().replace("pub mod access;", "pub mod access;\npub mod mutants;", 1))
    (tree / "shared/src/mutants.rs").write_text(SWITCH.replace("COUNT", str(len(mutants) + 1)))
    files = {}
    for file in sorted({mutant.file for mutant in mutants}):
        source = (ROOT / file).read_bytes()
        files[file] = (source, sites(source, [mutant for mutant in mutants if mutant.file == file]))
    while True:
        owned, whole = write_tree(tree, files)
        status, messages, stderr = cargo(tree, target, "test", "--no-run")
        if status == 0:
            return messages
        gone = take_out(messages, owned, whole)
        print(f"does not compile: {gone} taken out", flush=True)
        if not gone:
            for message in messages:
                if message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
                    print(message["message"]["rendered"])
            sys.exit(stderr[-2000:])


def built_before(work, mutants):
    """As the last run has left it: a fault whose switch is in the tree is built."""
    tree = work / "tree"
    for mutant in mutants:
        switch = re.compile(rf"mutants::on(_in_const)?\({mutant.number}\)")
        found = switch.search((tree / mutant.file).read_text())
        mutant.state = "switched" if found else "not built"
        mutant.in_const = bool(found and found[1])
    status, messages, stderr = cargo(tree, work / "target", "test", "--no-run")
    return messages if status == 0 else sys.exit(stderr[-2000:])


# --- The tests ---


class Test:
    def __init__(self, executable, folder, name):
        self.executable, self.folder, self.name = executable, folder, name
        self.took, self.reaches = 0.0, set()

    def run(self, mutant, within, seen=None):
        """Whether it passes; None where it doesn't end."""
        environment = {**os.environ, **AMOUNTS, "MUTANT": str(mutant)}
        if seen is not None:
            environment["MUTANTS_SEEN"] = str(seen)
        run = subprocess.Popen(
            [self.executable, "--exact", self.name, "--quiet"], cwd=self.folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            return run.wait(within) == 0
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(run.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            run.wait()


def tests_of(messages, tree):
    found = []
    for message in messages:
        if message.get("reason") != "compiler-artifact" or not message["profile"]["test"] or not message["executable"]:
            continue
        if message["target"]["name"] in LEFT_OUT:
            continue
        folder = pathlib.Path(message["manifest_path"]).parent
        listed = subprocess.run([message["executable"], "--list", "--format", "terse"], cwd=folder, capture_output=True, text=True)
        ignored = subprocess.run(
            [message["executable"], "--list", "--format", "terse", "--ignored"], cwd=folder, capture_output=True, text=True
        )
        skipped = set(ignored.stdout.splitlines())
        for line in listed.stdout.splitlines():
            name, _, kind = line.rpartition(": ")
            if kind == "test" and line not in skipped and not any(part in name for part in NOT_RUN):
                found.append(Test(message["executable"], folder, name))
    return found


def baseline(tests, work):
    """How long each takes, and what it reaches. One that fails by itself says nothing."""
    good = []

    def one(numbered):
        number, test = numbered
        seen = work / "seen" / str(number)
        seen.unlink(missing_ok=True)
        began = time.monotonic()
        if not test.run(0, 300, seen):
            return test, False
        test.took = time.monotonic() - began
        if seen.exists():
            test.reaches = {int(line) for line in seen.read_text().split()}
        return test, True

    (work / "seen").mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for test, passed in pool.map(one, enumerate(tests)):
            if passed:
                good.append(test)
            else:
                print(f"left out, it fails without a fault: {test.name}", flush=True)
    return good


def verdict(mutant, tests, within):
    """`caught by …`, or `missed`; tests that take longer than `within` together are left for later."""
    for test in tests:
        within -= test.took
        if within < 0:
            return "not yet caught"
        passed = test.run(mutant.number, 15 + 6 * test.took)
        if passed:
            continue
        # A test of real time may fail by itself on a busy machine.
        if test.took > 0.5 and not test.run(0, 15 + 6 * test.took):
            continue
        return f"caught by {test.name}" + (" (it does not end)" if passed is None else "")
    return "missed" if tests else "missed: no test reaches it"


def main():
    work = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:]
    again, only_left = "--again" in wanted, "--left" in wanted
    wanted = [word for word in wanted if not word.startswith("--")]
    mutants = [Mutant(number, named) for number, named in enumerate(json.loads((work / "named.json").read_text()), start=1)]
    began = time.monotonic()
    messages = built_before(work, mutants) if again else build(work, mutants)
    print(f"built in {time.monotonic() - began:.0f} s", flush=True)
    tests = baseline(tests_of(messages, work / "tree"), work)
    print(f"{len(tests)} tests, {sum(test.took for test in tests):.0f} s of them", flush=True)

    by_file = collections.defaultdict(set)
    for mutant in mutants:
        by_file[mutant.file].add(mutant.number)

    def reaching(mutant):
        # Who comes by a const function is not seen. Whoever comes by its file may, its module's own tests may, and where
        # nobody is seen to come by, anybody may.
        module = mutant.file.removeprefix("shared/src/").removesuffix(".rs").removesuffix("/mod").replace("/", "::") + "::"
        places = by_file[mutant.file] if mutant.in_const else {mutant.number}
        near = [test for test in tests if test.reaches & places or mutant.in_const and test.name.startswith(module)]
        return sorted(near or (tests if mutant.in_const else []), key=lambda test: (not test.name.startswith(module), test.took))

    known = work / "caught.txt"
    caught = set(known.read_text().splitlines()) if only_left and known.exists() else set()
    report = {m: "caught before" if m.name in caught else "not yet caught" for m in mutants if m.state == "switched" and all(word in m.name for word in wanted)}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool, (work / "progress.txt").open("w") as progress:
        # The quick tests first, for all; then the rest for what is left.
        for within in (QUICK, float("inf")):
            left = [mutant for mutant, said in report.items() if said == "not yet caught"]
            for mutant, said in zip(left, pool.map(lambda m: verdict(m, reaching(m), within), left)):
                report[mutant] = said
                print(f"{mutant.number} {mutant.name}: {said}", file=progress, flush=True)
    with (work / "report.txt").open("w") as out:
        for mutant in mutants:
            out.write(f"{mutant.name}: {report.get(mutant, mutant.state)}\n")
    known.write_text("".join(f"{m.name}\n" for m, said in report.items() if said.startswith("caught")))
    caught = sum(said.startswith("caught") for said in report.values())
    for mutant, said in report.items():
        if said.startswith("missed"):
            print(f"{mutant.name}: {said}")
    states = collections.Counter(mutant.state for mutant in mutants)
    print(f"{caught} of {len(report)} caught; {states['unviable']} unviable; {states['alone']} to be built alone; {time.monotonic() - began:.0f} s")


main()
