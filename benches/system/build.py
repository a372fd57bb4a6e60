"""Target 12: the processor time of a clean build of the README's first command, beside the first edition."""

import os
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# The last commit of the first edition.
FIRST_EDITION = "4e392714f87ac6c8b011646dff13f8f20739ee6f"


def target_12(bench):
    bench.log("12: a clean build of the README's first command, beside the first edition")
    known = subprocess.run(["git", "cat-file", "-e", f"{FIRST_EDITION}^{{commit}}"], cwd=ROOT, capture_output=True)
    if known.returncode:
        bench.log("  not run: the first edition is not in this clone")
        return
    found = {}
    with tempfile.TemporaryDirectory(prefix="voelgoed-scan-bench.") as folder:
        for name, commit in (("now", "HEAD"), ("first edition", FIRST_EDITION)):
            tree = Path(folder, name.replace(" ", "-"))
            subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
            try:
                found[name] = build(tree)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
            bench.log(f"  {name}: {found[name]['seconds']:.0f} processor seconds: {found[name]['command']}")
    bench.rows[12] = found


def build(tree):
    """Builds what the first command of a tree's README runs. The crates are fetched before."""
    command = re.search(r"^cargo run (.*?) -- ", (tree / "README.md").read_text(), re.M)[1]
    target = tree / "target"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "fetch", "--locked"], cwd=tree, check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["cargo", "build", "--locked", *command.split()], cwd=tree, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(target)
    return {"command": f"cargo build {command}",
            "seconds": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime}
