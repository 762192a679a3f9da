"""
Command lines of Python, which mean to a fork server what they mean to Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remora_exec._keeping._python_words import StartNeeded, python_words

FACTS = """
import json, sys
import _imp
print(json.dumps([sys.argv, repr(sys.flags), sys.warnoptions, repr(sys._xoptions), _imp.check_hash_based_pycs]))
"""

FLAGS = st.text("bBdEIOPqRsSuv", min_size=1, max_size=4)
VALUES = st.sampled_from([("W", "ignore"), ("W", "error::UserWarning"), ("X", "utf8"), ("X", "-m"), ("X", "a=b c")])
OPTIONS = st.lists(
    st.one_of(
        FLAGS.map(lambda flags: [f"-{flags}"]),
        VALUES.map(lambda value: [f"-{value[0]}", value[1]]),
        st.builds(lambda flags, value: [f"-{flags}{value[0]}{value[1]}"], FLAGS, VALUES),
        st.builds(lambda flags, value: [f"-{flags}{value[0]}", value[1]], FLAGS, VALUES),
        st.sampled_from(["always", "never"]).map(lambda value: ["--check-hash-based-pycs", value]),
    ),
    max_size=3,
)
MAINS = st.one_of(
    st.sampled_from([["facts.py"], ["--", "facts.py"], ["--", "-facts.py"], ["-m", "facts"], ["-mfacts"]]),
    FLAGS.map(lambda flags: [f"-{flags}m", "facts"]),
    FLAGS.map(lambda flags: [f"-{flags}mfacts"]),
)
ARGUMENTS = st.lists(st.sampled_from(["-m", "-c", "--", "-", "-x", "", "ä b", "facts.py"]), max_size=3)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory with a program that tells how it was started.
    """
    place = tmp_path_factory.mktemp("words")
    for name in ("facts.py", "-facts.py"):
        (place / name).write_text(FACTS)
    return place


def facts(place: Path, words: list[str]) -> list[object]:
    """
    What Python makes of some words; a module is not found where isolation hides it, which is all that is said then.
    """
    ran = subprocess.run([sys.executable, *words], cwd=place, capture_output=True, text=True, timeout=20)
    if ran.returncode:
        assert "No module named facts" in ran.stderr, ran.stderr
        return ["No module named facts"]
    return list(json.loads(ran.stdout))


@settings(max_examples=40)
@given(OPTIONS, MAINS, ARGUMENTS)
@pytest.mark.long
def test_what_is_read_is_what_python_reads(
    place: Path, options: list[list[str]], main: list[str], arguments: list[str]
):
    """
    The same options, the same file or module, the same arguments.
    """
    words = [*(word for each in options for word in each), *main, *arguments]
    read = python_words(words)
    named = ["-m", read.module] if read.module else ["--", words[read.count - 1]]

    assert words[read.count :] == arguments
    assert read.module == ("facts" if "facts" in "".join(main) and ".py" not in "".join(main) else "")
    assert facts(place, words) == facts(place, [*read.options, *named, *arguments])


@given(st.lists(st.one_of(st.text("-cmxiVWXIu?Jh ", max_size=4), st.sampled_from(["f.py", "--version", "é"]))))
def test_other_words_are_refused_or_name_what_is_run(words: list[str]):
    try:
        read = python_words(words)
    except ValueError:
        return

    assert read.module or words[read.count - 1] not in {"", "-"}
    options = {each for before, each in pairwise(("", *read.options)) if not before.endswith(("W", "X"))}  # no values
    assert {"-c", "-x", "-i", "-V", "-h", "-?", "-J", "--version"}.isdisjoint(options)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "neither a file nor a module"),
        ("-", "neither a file nor a module"),
        ("-u --", "neither a file nor a module"),
        ("-c 1", "neither a file nor a module"),
        ("-Ic 1", "neither a file nor a module"),
        ("-m", "neither a file nor a module"),
        ("-W", "neither a file nor a module"),
        ("-ux f.py", "cannot have the option x in -ux"),
        ("-i f.py", "cannot have the option i in -i"),
        ("--version", "cannot have the option - in --version"),
    ],
)
def test_what_only_a_start_can_do_is_refused(line: str, why: str):
    """
    With another error if an interpreter that is started so would run the program.
    """
    with pytest.raises(ValueError, match=why) as caught:
        python_words(line.split())

    assert isinstance(caught.value, StartNeeded) == ("option x" in why or "option i" in why)
