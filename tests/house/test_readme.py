"""What the READMEs tell a reader to type is what the checks run, and what is there."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = ["README.md", "README.zh-CN.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands(name):
    """The shell commands of a README's code blocks, one by one; comments and prompts dropped."""
    found = []
    for language, block in FENCE.findall(read(name)):
        if language in ("", "sh", "bash", "console"):
            for line in block.splitlines():
                line = line.split("  #")[0].removeprefix("$ ").strip()
                found += [part.strip() for part in line.split("&&") if part.strip()]
    return found


def headings(name):
    return [line for line in read(name).splitlines() if re.match(r"#{1,3} ", line)]


def python_blocks(name):
    return [block for language, block in FENCE.findall(read(name)) if language == "python"]


@pytest.mark.parametrize("name", READMES)
def test_the_test_command_is_what_ci_runs(name):
    assert {'pip install -e ".[test]"', "pytest"} <= set(commands(name))
    ci = [line.strip() for line in read(".ci/run").splitlines()]
    installs = [line for line in ci if line.startswith("pip install")]
    assert [shlex.split(line)[-2:] for line in installs] == [["-e", ".[test]"]]
    assert any(line.startswith("pytest") for line in ci)


@pytest.mark.parametrize("name", READMES)
def test_scripts_in_commands_exist(name):
    named = [
        word
        for command in commands(name)
        for word in shlex.split(command)
        if re.fullmatch(r"[\w/.-]+\.py", word) and "/" in word
    ]
    assert named, "no command runs a program of this repository"
    missing = [word for word in named if not (ROOT / word).is_file()]
    assert not missing


@pytest.mark.parametrize("name", READMES)
def test_extras_in_commands_exist(name):
    project = tomllib.loads(read("pyproject.toml"))["project"]
    asked = re.findall(r'"\.\[([\w,]+)\]"', "\n".join(commands(name)))
    extras = {extra for group in asked for extra in group.split(",")}
    assert {"all", "test"} <= extras <= set(project["optional-dependencies"])


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md"])
def test_links_inside_the_repository_lead_somewhere(name):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", read(name))
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_both_languages_say_the_same():
    assert commands(READMES[0]) == commands(READMES[1])
    assert python_blocks(READMES[0]) == python_blocks(READMES[1])
    levels = [[heading.split()[0] for heading in headings(name)] for name in READMES]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("number", range(len(python_blocks("README.md"))))
def test_python_blocks_run_and_print_what_they_say(number, capsys):
    """A comment `# -> text` at the end of a line that prints is what it prints."""
    block = python_blocks("README.md")[number]
    expected = re.findall(r"# -> (.*)$", block, re.MULTILINE)
    exec(compile(block, f"README.md, block {number}", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.splitlines()
    assert printed == expected


def test_every_extra_is_part_of_all_or_for_developers():
    extras = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    listed = set(re.findall(r"\[(.*)\]", everything)[0].split(","))
    # Ray is large, made for clusters, and not there for every Python.
    assert listed == set(extras) - {"all", "test", "bench", "ray"}
