"""What silc promises on any device: the same bits after a kill, two cells at once, an out-of-memory that says what to do."""

import os
import signal
import subprocess
import time

from machine import HERE, Failure, checkpoint, events, metrics

ROW = "SILC"


def settings(machine, tiny):
    return [
        f'engine.device="{machine.device}"',
        f"budget.examples={1024 if tiny else 8192}",
    ]


def same_bits(machine, tiny):
    """Twice in one go, and once killed again and again: the same checkpoint."""
    experiment = HERE / "promises.toml"
    sets = settings(machine, tiny)
    for name in ["bits-once", "bits-again"]:
        machine.run(experiment, name, "--rows", ROW, sets=sets)
    command = machine.run_command(experiment, "bits-killed", "--rows", ROW, sets=sets)
    kills = 0
    for attempt in range(4):
        process = subprocess.Popen(
            list(map(str, command)), env=machine.environment, start_new_session=True, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            cells = machine.cells("bits-killed").values()
            written = [event for cell in cells for event in events(cell, "checkpointed")]
            if len(written) > attempt:
                break
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        time.sleep(0.5)  # the engine dies of its parent's death
    machine.run(experiment, "bits-killed", "--rows", ROW, sets=sets)
    contents = {}
    for name in ["bits-once", "bits-again", "bits-killed"]:
        (cell,) = machine.cells(name).values()
        contents[name] = checkpoint(cell).read_bytes()
    print(f"killed {kills} times")
    if contents["bits-once"] != contents["bits-again"]:
        raise Failure("two runs of the same cell gave other checkpoints")
    if contents["bits-once"] != contents["bits-killed"]:
        raise Failure("a run that was killed and went on gave another checkpoint")
    return {"kills": kills, "bytes": len(contents["bits-once"])}


def together(machine, tiny):
    """Two cells at once on one device: the same values as one after the other."""
    experiment = HERE / "promises.toml"
    sets = settings(machine, tiny)
    seconds = {}
    for name, jobs in [("one-by-one", 1), ("side-by-side", 2)]:
        start = time.monotonic()
        machine.run(experiment, name, "--rows", "CLIP,SigLIP", "--jobs", jobs, "--threads", jobs, sets=sets)
        seconds[name] = time.monotonic() - start
    for key, cell in machine.cells("one-by-one").items():
        other = machine.cells("side-by-side")[key]
        if checkpoint(cell).read_bytes() != checkpoint(other).read_bytes():
            raise Failure(f"{key[0]} beside another cell gave another checkpoint than alone")
    print(f"one by one {seconds['one-by-one']:.1f} s, side by side {seconds['side-by-side']:.1f} s")
    return {"seconds": seconds}


def out_of_memory(machine, tiny):
    """A batch that does not fit ends with what to do about it, and leaves other rows alone. On a device only: memory of
    the CPU is the machine's."""
    if machine.device == "cpu":
        return {"skipped": "for devices with memory of their own"}
    experiment = HERE / "promises.toml"
    sets = [
        f'engine.device="{machine.device}"',
        'model.image={ backbone = "vit", image_size = 512, patch = 8, width = 1024, layers = 24, heads = 16 }',
        "optimizer.batch=1024",
        "budget.examples=1024",
        "data.train={ dataset = \"shapes\", size = 16 }",
    ]
    done = machine.run(experiment, "memory", "--rows", "CLIP", sets=sets, check=False)
    print(done.stderr[-1500:])
    if done.returncode == 0:
        raise Failure("a batch of 1024 pictures of 512 pixels fitted a ViT-L: take a larger one")
    if "use a smaller optimizer.batch" not in done.stderr:
        raise Failure(f"the message does not say what to do:\n{done.stderr[-1500:]}")
    return {"message": done.stderr.strip().splitlines()[-1]}


def costs(machine, tiny):
    """Memory, time and energy of the device are in the costs of a cell."""
    (cell,) = machine.cells("bits-once").values()
    cost = metrics(cell)["cost"]
    print({key: cost.get(key) for key in ["device", "device_seconds", "device_peak_memory", "energy"]})
    if machine.device != "cpu" and not cost.get("device_peak_memory"):
        raise Failure(f"the device's memory is missing in {cost}")
    return cost
