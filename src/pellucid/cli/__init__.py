"""The command line: `pellucid run`, `check`, `env`."""

from pellucid.cli.app import main as main
