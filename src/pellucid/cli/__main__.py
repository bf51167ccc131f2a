"""`python -m pellucid.cli` is `pellucid`."""

from pellucid.cli.entry import main

if __name__ == "__main__":
    main()
