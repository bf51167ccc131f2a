"""`python -m pellucid` is the command `pellucid`."""

from pellucid.cli.entry import main

if __name__ == "__main__":
    main()
