"""`python -m pellucid.cli` is `pellucid`."""

from pellucid.cli.app import main

if __name__ == "__main__":
    main()
