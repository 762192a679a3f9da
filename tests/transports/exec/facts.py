"""
A program that tells all that it can know of how it was started.
"""

from __future__ import annotations

FACTS = """
import gc, json, os, resource, signal, sys, threading
UNLIKE = ["REMORA_REQUEST_ID", "PWD", "OLDPWD", "SHLVL", "_"]  # shells set the latter
def is_own(path):  # neither that of the listing, nor one that a library of the interpreter keeps open
    return os.path.lexists(path) and "/libffi" not in os.readlink(path)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
json.dump({
    "name": __name__, "module": sys.modules["__main__"].__dict__ is globals(), "file": __file__,
    "package": __package__ or None,
    "argv": sys.argv, "path": sys.path, "flags": repr(sys.flags), "prefix": sys.prefix, "executable": sys.executable,
    "xoptions": sys._xoptions, "warnings": sys.warnoptions, "directory": os.getcwd(), "umask": os.umask(0o22),
    "environ": {name: value for name, value in os.environ.items() if name not in UNLIKE},
    "comm": open("/proc/self/comm").read(), "gc": gc.isenabled(),
    "descriptors": [each for each in os.listdir("/proc/self/fd") if is_own(f"/proc/self/fd/{each}")],
    "signals": [status[each] for each in ("SigBlk", "SigIgn", "SigCgt", "NoNewPrivs")],
    "interrupt": repr(signal.getsignal(signal.SIGINT)), "limit": resource.getrlimit(resource.RLIMIT_NPROC)[0],
    "session": os.getsid(0) == os.getpid() == os.getpgrp(), "input": sys.stdin.read(),
    "thread": [threading.current_thread() is threading.main_thread(), threading.main_thread().native_id == os.getpid()],
    "globals": {name: type(value).__name__ for name, value in [*globals().items()]},
    "seekable": [each.seekable() for each in (sys.stdin, sys.stdout, sys.stderr)],
    "streams": [sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.encoding, sys.stdin.encoding],
    "orig_argv": sys.orig_argv[1:],
    "command": open("/proc/self/cmdline").read().replace("\\0", " ").strip().partition(" ")[2],
}, sys.stdout)
"""
