"""
Take pictures of the command line for the documentation: docs/images/*.svg.

    python tools/screenshots.py

Commands run in a terminal, so that they print as they do for people, in colour. Nothing checks that the pictures are up
to date: take them again when a command's output changes.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
COLUMNS = 92
COMMANDS = {"demo": "remora demo", "check": "remora check remora.toml"}
FILES = {
    "remora.toml": """\
[plugins.words]
endpoint = "unix:///run/words.sock"
conection = { request_timeout = "10 s" }
instances = 0

[plugins.search]
endpoints = ["grpcs://search-1.example.com:443", "grpcs://search-2.example.com:443"]
balancer = "least-conections"
retry = { multiplier = 0.5 }
"""
}
_OVERWRITTEN = re.compile(
    r"[^\n]*\n[^\n]*\x1b\[1A\x1b\[2K|[^\n]*(\r|\x1b\[2K)(?!\n)"
)  # moving the cursor up, or back within a line
_FONTS = re.compile(r"(?s)@font-face \{\{.*?\}\}\s*")  # a picture must not load anything from elsewhere


def main() -> None:
    """
    Take all pictures.
    """
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            Path(folder, name).write_text(text)
        for name, command in COMMANDS.items():
            (FOLDER / f"{name}.svg").write_text(picture(command, printed(command, folder)))


def printed(command: str, folder: str) -> str:
    """
    The output of a command in a terminal.
    """
    here, there = pty.openpty()
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "50"}
    process = subprocess.Popen(command.split(), cwd=folder, env=environment, stdout=there, stderr=there, stdin=there)
    os.close(there)
    text = b""
    with suppress(OSError):  # raised at the terminal's end
        while part := os.read(here, 65536):
            text += part
    os.close(here)
    process.wait(60)
    return text.decode()


def picture(command: str, text: str) -> str:
    """
    A terminal with a command and its output, as SVG. Lines that were overwritten are shown in their last state.
    """
    left = _OVERWRITTEN.sub("", text.replace("\r\n", "\n"))
    seen = Text.from_ansi(f"$ {command}\n{left.rstrip()}\n")
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(seen)
    return console.export_svg(title=command, code_format=_FONTS.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, ", ""))


if __name__ == "__main__":
    main()
