"""The command line: `pellucid run`, `check`, `env`."""

from pellucid.cli.entry import main as main
