"""The server of ``find_warm_python()``, which imports the SDKs, and forks for each command."""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import types
import warnings
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from client import CRASHED, NAMESPACES

# `multitrack` and the plugins of pytest are not among them, because pytest has to import these itself to rewrite their
# assertions.
MODULES = (
    *("_pytest.config", "_pytest.pytester", "httpx", "pydantic", "yaml", "vcr", "rich.console", "typer", "trustme"),
    *("openai", "openai.resources.chat.completions", "openai.resources.responses", "anthropic", "botocore.session"),
    *("grpc", "google.auth", "google.genai", "vertexai.generative_models", "instructor"),
)


def serve(address: str) -> None:
    """Import the SDKs, and fork for each command until the standard input ends, which it does with the tests."""
    del sys.path[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in MODULES:
            # some sessions of nox have only a few of the SDKs
            with suppress(ImportError):
                importlib.import_module(name)
    # Without this, pytest warns that it cannot rewrite the assertions of a plugin that an SDK has imported (anyio).
    for plugin in metadata.entry_points(group="pytest11"):
        if module := sys.modules.get(plugin.module.partition(".")[0]):
            module.__doc__ = "PYTEST_DONT_REWRITE"
    gc.collect()
    gc.freeze()
    # the forks need not be waited for
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(20)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            if os.fork() == 0:
                selector.close()
                listener.close()
                run_job(connection)
            connection.close()


def run_job(connection: socket.socket) -> None:
    """Run what a command sent, and exit."""
    code = CRASHED
    try:
        size, descriptors, _, _ = socket.recv_fds(connection, 8, 3 + len(NAMESPACES))
        with connection.makefile("rb") as stream:
            job = json.loads(stream.read(int.from_bytes(size, "big")))
        become_command(job, descriptors)
        code = run_python(job["arguments"])
        threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        connection.sendall(bytes([code & 0xFF]))
        os._exit(0)


def become_command(job: dict, descriptors: list[int]) -> None:
    """Replace the folder, environment, streams and namespaces of the server by those of the command."""
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
    enter_namespaces(descriptors[3:])
    for descriptor in descriptors:
        os.close(descriptor)
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(
        2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def enter_namespaces(descriptors: list[int]) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    for name, descriptor in zip(NAMESPACES, descriptors, strict=True):
        is_other = os.fstat(descriptor).st_ino != os.stat(f"/proc/self/ns/{name}").st_ino
        if is_other and library.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"the namespace {name} cannot be entered")


def run_python(arguments: list[str]) -> int:
    """Run ``[-W FILTER] (-m MODULE | -c PROGRAM | FILE) ARGUMENTS``, and return the exit code."""
    filters = [text for text in os.environ.get("PYTHONWARNINGS", "").split(",") if text]
    while arguments[0] == "-W":
        filters.append(arguments[1])
        del arguments[:2]
    sys.warnoptions[:] = filters
    warnings._processoptions(filters)
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            run_program(arguments)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return int(end.code or 0)
        sys.stderr.write(f"{end.code}\n")
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def run_program(arguments: list[str]) -> None:
    # pydantic looks names up in sys.modules["__main__"]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path.insert(0, "")
        code = compile(arguments[1], "<string>", "exec")
    else:
        sys.argv = arguments
        path = Path(arguments[0]).absolute()
        vars(main)["__file__"] = str(path)
        sys.path.insert(0, str(path.parent))
        code = compile(path.read_bytes(), str(path), "exec")
    exec(code, vars(main))


if __name__ == "__main__":
    serve(sys.argv[1])
