"""The command line: `pellucid run`, `check`, `env`, `bench`."""

from pellucid.cli.entry import main as main
