"""`python -m alexnet`: the command `alexnet` where the package is not installed."""

from alexnet.cli.main import main

if __name__ == "__main__":
    main()
