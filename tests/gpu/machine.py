"""What the parts of tests/gpu/run have in common: where silc is on this machine, and how to run it and read its runs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
EXPERIMENTS = HERE.parent.parent / "experiments"


class Failure(Exception):
    """A check that did not hold; its text says what was expected and what came."""


def torch_library_folder():
    """Of the LibTorch on this machine that silc is run with: that of its Python's torch, without importing it."""
    import importlib.util

    spec = importlib.util.find_spec("torch")
    return None if spec is None else pathlib.Path(spec.origin).parent / "lib"


def unpacked(prefix):
    """The folder that holds bin/silc: that of a pack is made beside its archive, anew where the archive is another."""
    prefix = pathlib.Path(prefix).resolve()
    archive = prefix / "silc.tar.xz"
    if not archive.exists():
        return prefix
    made_of = archive.stat()
    folder = prefix / f"unpacked-{made_of.st_size}-{made_of.st_mtime_ns}"
    if not folder.exists():
        part = prefix / "part"  # of which a run that was killed may have left something
        for old in [part, *prefix.glob("unpacked-*")]:
            shutil.rmtree(old, ignore_errors=True)
        with tarfile.open(archive) as file:
            file.extractall(part)
        part.rename(folder)
    return folder


class Machine:
    """silc's programs with the libraries that they need, and a folder for what runs leave."""

    def __init__(self, prefix, output, device):
        self.prefix = pathlib.Path(prefix).resolve()
        self.output = pathlib.Path(output).resolve()
        self.device = device
        self.silc = self.prefix / "bin/silc"
        self.engine = self.prefix / "bin/silc-engine"
        if not self.silc.exists():
            sys.exit(f"{self.prefix} holds no bin/silc: tests/gpu/pack makes a folder that does, or name a build folder")
        folders = [self.prefix / "libraries"]
        if (self.prefix / "libraries").exists() and (folder := torch_library_folder()):
            folders.append(folder)
        earlier = os.environ.get("LD_LIBRARY_PATH", "")
        self.environment = {**os.environ, "NO_COLOR": "1"}
        self.environment["LD_LIBRARY_PATH"] = ":".join([*map(str, folders), *([earlier] if earlier else [])])
        if (self.prefix / "data").exists():
            self.environment["SILC_DATA"] = str(self.prefix / "data")

    def call(self, program, *arguments, check=True, environment=None):
        done = subprocess.run(
            [program, *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**self.environment, **(environment or {})},
        )
        if check and done.returncode != 0:
            raise Failure(f"{' '.join(map(str, [program, *arguments]))}\nexit code {done.returncode}\n{done.stderr}")
        return done

    def run(self, experiment, name, *arguments, sets=(), check=True):
        """silc run, in a runs folder of that name. Returns the finished process."""
        return self.call(*self.run_command(experiment, name, *arguments, sets=sets), check=check)

    def run_command(self, experiment, name, *arguments, sets=()):
        return [self.silc, "run", experiment, "--runs", self.runs(name), "-q", *set_flags(sets), *arguments]

    def runs(self, name):
        return self.output / "runs" / name

    def report(self, experiment, name, form="terminal"):
        return self.call(self.silc, "report", experiment, "--runs", self.runs(name), "--format", form).stdout

    def cells(self, name):
        """Run folders by (row, seed)."""
        return {
            (cell.parent.name, cell.name.split("-")[1]): cell for cell in sorted(self.runs(name).glob("*/*/seed-*-*"))
        }


def set_flags(settings):
    return [part for each in settings for part in ("--set", each)]


def events(cell, kind):
    """Those so far; of a cell that is running, the last line may not be whole."""
    file = cell / "events.jsonl"
    text = file.read_text() if file.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    return [event for event in map(json.loads, whole.splitlines()) if event["event"] == kind]


def metrics(cell):
    return json.loads((cell / "metrics.json").read_text())


def checkpoint(cell):
    return max((cell / "checkpoints").glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
