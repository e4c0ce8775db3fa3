"""What the workflows of a folder mean, where no linter asks: does what was built arrive as it was, is nothing released
that the gate has not seen, and does nobody keep a key to AWS? Prints one line for each fault, and ends with 1 if there
are any. Run by .ci/workflows, in a virtual environment that has PyYAML and SAM's translator.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml
from samtranslator.yaml_helper import yaml_parse

FOLDER = pathlib.Path(sys.argv[1]) / ".github/workflows"
ROLE = pathlib.Path(sys.argv[1]) / "docs/deploy-role.yaml"
# Which workflow may know which secret: the token of a stage whose Authorizer is jwt, for the smoke test.
SECRETS = {("stage.yml", "SMOKE_TOKEN")}
# Who says in a token which job asks, and for whom that token has to be.
ISSUER, AUDIENCE = "token.actions.githubusercontent.com", "sts.amazonaws.com"
# Each architecture's own runner: what is built or tried on it is emulated by nobody.
RUNNERS = {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
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
    built_on = {one["architecture"]: one["runner"] for one in images}
    rule(built_on.keys() == RUNNERS.keys(), "the image is not built for both architectures")
    rule(built_on.items() <= RUNNERS.items() and release["image"]["runs-on"] == "${{ matrix.runner }}", "the image is built on another architecture than its own")
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


def the_image_is_tried_on_both_architectures():
    """Before a release, which waits for all of ci.yml: built from this commit, healthy, and asked what it does."""
    tried = jobs("ci.yml")["containers"]
    rule(tried["strategy"]["matrix"]["runner"] == list(RUNNERS.values()), "the image is not tried on both architectures")
    rule(tried["runs-on"] == "${{ matrix.runner }}", "the image is tried on one architecture twice")
    said = "\n".join(step.get("run", "") for step in tried["steps"])
    rule("docker compose up --build" in said, "another image is tried than this commit's")
    for word, what in {"/health/ready": "whether it starts", "tests/smoke": "whether it works", ".State.Health": "its health check"}.items():
        rule(word in said, f"of the image nobody tries {what}")


def words(value):
    """All keys and values, however deep; a comment is neither."""
    if isinstance(value, dict):
        return [word for pair in value.items() for one in pair for word in words(one)]
    return [word for one in value for word in words(one)] if isinstance(value, list) else [str(value)]


def asks_aws(job):
    """By itself, or by a workflow that it calls, which gets no right that its caller does not have."""
    called = job.get("uses", "")
    if called.startswith("./"):
        return any(asks_aws(one) for one in jobs(pathlib.Path(called).name).values())
    return any("configure-aws-credentials" in step.get("uses", "") for step in job.get("steps", []))


def no_key_lasts():
    for file in sorted(FOLDER.glob("*.yml")):
        said = "\n".join(words(yaml.safe_load(file.read_text())))
        key = re.search(r"aws[-_](access[-_]key[-_]id|secret[-_]access[-_]key)", said, re.IGNORECASE)
        rule(not key, f"{file.name} has a key to AWS that lasts: {key and key[0]}")
        for expression in re.findall(r"\$\{\{(.*?)\}\}", said, re.DOTALL):
            # Without a name behind it, it is all of them, or one whose name can't be read here.
            for name in re.findall(r"\bsecrets\b(?:\.([\w-]+))?", expression, re.IGNORECASE):
                rule((file.name, name) in SECRETS, f"{file.name} may not know the secret {name or expression.strip()}")
        for name, job in jobs(file.name).items():
            proves = job.get("permissions", {}).get("id-token") == "write"
            rule(proves or not asks_aws(job), f"{file.name}: {name} may not prove to AWS who asks")


def the_role_is_for_one_environment():
    """No token opens it but GitHub's for AWS, of a job in that environment of that repository."""
    template = yaml_parse(ROLE.read_text())
    provider, parameters = template["Resources"]["Provider"]["Properties"], template["Parameters"]
    ours = {"Federated": {"Fn::If": ["MakesProvider", {"Fn::GetAtt": ["Provider", "Arn"]}, {"Ref": "ProviderArn"}]}}
    for one in template["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
        rule(one["Action"] == "sts:AssumeRoleWithWebIdentity", "the role is assumed otherwise than by a token")
        rule(one["Principal"] == ours, "the role believes somebody else than GitHub")
        condition = one.get("Condition", {})
        # Another operator would compare by pattern, or hold where the token does not say it at all.
        rule(list(condition) == ["StringEquals"], "the role does not compare what a token says, word for word")
        wanted = condition.get("StringEquals", {})
        rule(wanted.get(f"{ISSUER}:aud") == AUDIENCE, "the role takes a token that is for somebody else")
        job = {"Fn::Sub": "repo:${Repository}:environment:${Stage}"}
        rule(wanted.get(f"{ISSUER}:sub") == job, "the role is there for jobs outside its environment")
    rule(provider["Url"] == f"https://{ISSUER}" and provider["ClientIdList"] == [AUDIENCE], "the provider is not GitHub's, for AWS")
    other = "arn:aws:iam::000000000000:oidc-provider/tokens.example"
    rule(not re.fullmatch(parameters["ProviderArn"]["AllowedPattern"], other), "the provider may be anybody's")
    stages = [job["with"]["stage"] for job in jobs("deploy.yml").values() if job.get("uses", "").endswith("/stage.yml")]
    rule(parameters["Stage"].get("AllowedValues") == stages, f"the role is not for the stages {stages}")


def what_is_known_is_asked_for_every_day():
    # YAML takes the word `on` for true.
    when = yaml.safe_load((FOLDER / "security.yml").read_text())[True]
    rule("schedule" in when and bool(scripts("security.yml", "deny", "advisories")), "nobody asks every day what is known of our dependencies")


a_release_is_whole()
the_image_is_tried_on_both_architectures()
no_key_lasts()
the_role_is_for_one_environment()
a_stage_is_asked_and_asks()
what_is_known_is_asked_for_every_day()
functions_arrive_executable()
an_sbom_is_of_what_ships()
nothing_is_released_without_the_gate()
print(*faults, sep="\n", end="\n" if faults else "")
sys.exit(1 if faults else 0)
