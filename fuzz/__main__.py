"""Run the fuzzer: ``python -m fuzz --seconds 600 [--seed N] [TARGET...]``.

atheris guides the mutations by coverage. If it is not installed, the mutations are random.
An input that fails is written to ``fuzz/findings/<target>/`` before its error is printed, together with the command
that tries it again. tests/project/test_fuzzing.py tries it in every run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from fuzz.failing_inputs import CURRENT_INPUT, digest, format_command, keep_inputs, read_current_input, save_finding
from fuzz.mutations import mutate
from fuzz.seeds import FINDINGS, find_seeds
from fuzz.time_limit import SECONDS_OF_WAITING, run_limited

_LARGEST_INPUT = 30_000
_MOST_MEGABYTES = 2048
_ONE_TARGET = "--one-target"


def main() -> int:
    """Fuzz each target for its share of the time. Return the number of targets with an input that failed."""
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz everything that reads untrusted bytes.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--seconds", type=int, default=600, help="the time for all targets together (default: 600)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the random number generator (default: a random seed)"
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="only try this input, on the one TARGET")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown target {', '.join(sorted(unknown))}: use one of {', '.join(TARGETS)}")
    names = options.targets or list(TARGETS)
    if options.input is not None:
        if len(options.targets) != 1:
            parser.error("--input requires exactly one target")
        run_limited(TARGETS[names[0]], options.input.read_bytes())
        print(f"{names[0]}: no failure on {options.input}")
        return 0
    seed = options.seed or Random().randrange(1, 2**31)
    failed = 0
    for name in names:
        failed += _fuzz_in_process(name, options.seconds // len(names), seed)
    return failed


def _fuzz_in_process(name: str, seconds: int, seed: int) -> bool:
    """Fuzz one target in its own process, because atheris ends its process. Return whether an input failed."""
    artifacts = FINDINGS / name
    artifacts.mkdir(parents=True, exist_ok=True)
    known = set(artifacts.iterdir())
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        arguments = [_ONE_TARGET, name, str(seconds), str(seed), str(seeds)]
        process = subprocess.run([sys.executable, "-m", "fuzz", *arguments], check=False)
        current = Path(folder) / CURRENT_INPUT
        if process.returncode and current.exists() and set(artifacts.iterdir()) == known:
            # the process was killed, or ended by itself, before it could write the input
            print(f"{name}: the process ended with {process.returncode}", flush=True)
            save_finding(name, read_current_input(current))
    for path in sorted(set(artifacts.iterdir()) - known):
        print(f"{name}: failed; try again: {format_command(name, path)}", flush=True)
    with suppress(OSError):  # the folder is not empty: an input failed
        artifacts.rmdir()
    return bool(process.returncode)


def fuzz_target(name: str, seconds: int, seed: int, folder: Path) -> int:
    """Fuzz one target. Return 1 if an input failed. Does not return if atheris is installed."""
    seeds = list(dict.fromkeys(find_seeds(name)))
    print(f"{name}: {seconds} s from {len(seeds)} seeds, seed {seed}", flush=True)
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed, so the mutations are random and not guided by coverage")
        return _fuzz_blindly(name, seconds, seed, seeds, folder)
    return _fuzz_with_atheris(atheris, name, seconds, seed, seeds, folder)


def _fuzz_with_atheris(atheris: Any, name: str, seconds: int, seed: int, seeds: list[bytes], folder: Path) -> int:
    for content in seeds:
        (folder / digest(content)).write_bytes(content)
    with atheris.instrument_imports(include=["multitrack"]):
        from fuzz.targets import TARGETS
    run_target = keep_inputs(name, TARGETS[name], folder.parent / CURRENT_INPUT)

    def mutate_input(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))
        return mutate(data, random, seeds)[:max_size]

    arguments = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={SECONDS_OF_WAITING}",
        f"-max_len={_LARGEST_INPUT}",
        f"-rss_limit_mb={_MOST_MEGABYTES}",
        f"-artifact_prefix={FINDINGS / name}{os.sep}",
        "-print_final_stats=1",
        "-verbosity=0",
        str(folder),
    ]
    atheris.Setup([sys.argv[0], *arguments], run_target, custom_mutator=mutate_input)
    atheris.Fuzz()
    return 0


def _fuzz_blindly(name: str, seconds: int, seed: int, seeds: list[bytes], folder: Path) -> int:
    from fuzz.targets import TARGETS

    run_target = keep_inputs(name, TARGETS[name], folder.parent / CURRENT_INPUT)
    random, count, end = Random(seed), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutate(random.choice(seeds), random, seeds)[:_LARGEST_INPUT]
        count += 1
        try:
            run_target(data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            traceback.print_exc()
            return 1
    print(f"{name}: {count} inputs, nothing found")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == [_ONE_TARGET]:
        sys.exit(fuzz_target(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])))
    sys.exit(main())
