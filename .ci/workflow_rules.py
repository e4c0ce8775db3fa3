"""What the workflows of a folder mean, where no linter asks: does what was built arrive as it was, and is nothing
released that the gate has not seen? Prints one line for each fault, and ends with 1 if there are any. Run by
.ci/workflows, in a virtual environment that has PyYAML.
"""

import pathlib
import subprocess
import sys
import tempfile

import yaml

FOLDER = pathlib.Path(sys.argv[1]) / ".github/workflows"
faults = []


def rule(holds, wanted):
    if not holds:
        faults.append(wanted)


def jobs(name):
    return yaml.safe_load((FOLDER / name).read_text())["jobs"]


def steps(name, job, action):
    return [step["with"] for step in jobs(name)[job]["steps"] if action in step.get("uses", "")]


def scripts(name, job, word):
    return [step["run"] for step in jobs(name)[job]["steps"] if word in step.get("run", "")]


def functions_arrive_executable():
    """Lambda runs `bootstrap`, and SAM zips it with the mode that it finds. An artifact keeps the bytes of a file and
    not its mode. So the workflows' own commands are run here, with a copy that is like an artifact in between.
    """
    [sent], [fetched] = steps("deploy.yml", "build", "upload-artifact"), steps("stage.yml", "deploy", "download-artifact")
    rule(sent["name"] == fetched["name"], "another artifact is fetched than the one that was sent")
    with tempfile.TemporaryDirectory() as folder:
        there, here = pathlib.Path(folder, "build"), pathlib.Path(folder, "stage")
        function = there / ".aws-sam/build/CreateFunction/bootstrap"
        function.parent.mkdir(parents=True)
        function.touch(0o755)
        for script in scripts("deploy.yml", "build", "tar "):
            subprocess.run(["bash", "-euc", script], cwd=there, check=True)
        target = here / fetched.get("path", ".")
        target.mkdir(parents=True)
        source = there / sent["path"]
        # A folder is sent as what is in it.
        subprocess.run(["cp", "-r", f"{source}/." if source.is_dir() else source, target], check=True)
        subprocess.run(["find", target, "-type", "f", "-exec", "chmod", "644", "{}", "+"], check=True)
        for script in scripts("stage.yml", "deploy", "tar "):
            unpacked = subprocess.run(["bash", "-euc", script], cwd=here, capture_output=True, text=True)
            rule(unpacked.returncode == 0, f"what was fetched can't be unpacked: {unpacked.stderr.strip()}")
        arrived = here / ".aws-sam/build/CreateFunction/bootstrap"
        rule(arrived.exists(), "the functions do not arrive at the stage")
        rule(not arrived.exists() or arrived.stat().st_mode & 0o111, "a function arrives that nobody may execute")


def before(jobs, name):
    """All jobs that must have succeeded before this one begins."""
    needs = jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(before(jobs, one) for one in direct))


def nothing_is_released_without_the_gate():
    gates = {name for name, job in jobs("release.yml").items() if job.get("uses") == "./.github/workflows/ci.yml"}
    for name in ("publish", "deploy"):
        rule(gates & before(jobs("release.yml"), name), f"{name} does not wait for the gate")
    rule(".ci/run" in [step.get("run") for step in jobs("ci.yml")["gate"]["steps"]], "the gate does not run .ci/run")


def an_sbom_is_of_what_ships():
    [build] = [line for line in (FOLDER / "../../Dockerfile").read_text().splitlines() if "cargo build" in line]
    features = [word for word in build.split() if "features" in word]
    [made] = scripts("release.yml", "publish", ".ci/sbom")
    said = [word for line in made.splitlines() if "server.cdx.json" in line for word in line.split() if "features" in word]
    rule(said == features, "server.cdx.json is not of what the Dockerfile builds")


def a_release_is_whole():
    release = jobs("release.yml")
    zips, images = release["functions"]["strategy"]["matrix"]["architecture"], release["image"]["strategy"]["matrix"]["include"]
    rule(zips == ["x86-64", "arm64"], "the functions are not built for both architectures")
    rule([one["architecture"] for one in images] == ["amd64", "arm64"], "the image is not built for both architectures")
    [built] = scripts("release.yml", "functions", "cargo lambda build")
    rule(".ci/check-shipped target/" in built, "nobody looks into the functions for crash points")
    steps = release["publish"]["steps"]
    said = "\n".join(step.get("run", "") for step in steps)
    for word, what in {"SHA256SUMS": "its checksums", "--generate-notes": "its notes", ".ci/sbom": "what is in it"}.items():
        rule(word in said, f"a release does not say {what}")
    proven = [step["with"] for step in steps if "actions/attest@" in step.get("uses", "")]
    rule(any(one.get("subject-path") == "release/*" for one in proven), "nobody can tell where the zips were built")
    rule(any("digest" in one.get("subject-digest", "") for one in proven), "nobody can tell where the image was built")


def a_stage_is_asked_and_asks():
    """A stage's own reviewers and role, no key that lasts, and a test at its end; production after staging."""
    stage, [role] = jobs("stage.yml")["deploy"], steps("stage.yml", "deploy", "configure-aws-credentials")
    rule(stage.get("environment") == "${{ inputs.stage }}", "a stage is not the environment that people guard")
    rule("role-to-assume" in role and "aws-access-key-id" not in role, "AWS is not asked by a role")
    done = [step.get("run", "") for step in stage["steps"]]
    deployed, asked = ([n for n, run in enumerate(done) if word in run] for word in ("sam deploy", "tests/smoke"))
    rule(bool(deployed and asked) and max(deployed) < min(asked), "nobody asks whether the stage works")
    rule("staging" in before(jobs("deploy.yml"), "prod"), "production does not wait for staging")


def what_is_known_is_asked_for_every_day():
    # YAML takes the word `on` for true.
    when = yaml.safe_load((FOLDER / "security.yml").read_text())[True]
    rule("schedule" in when and bool(scripts("security.yml", "deny", "advisories")), "nobody asks every day what is known of our dependencies")


a_release_is_whole()
a_stage_is_asked_and_asks()
what_is_known_is_asked_for_every_day()
functions_arrive_executable()
an_sbom_is_of_what_ships()
nothing_is_released_without_the_gate()
print(*faults, sep="\n", end="\n" if faults else "")
sys.exit(1 if faults else 0)
