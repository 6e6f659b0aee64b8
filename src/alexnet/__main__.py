"""`python -m alexnet`: the command `alexnet` from a source tree that is not installed."""

from alexnet.cli.main import main

if __name__ == "__main__":
    main()
