"""`python -m depthsvc` is the command `depthsvc`."""

from depthsvc.cli import main

if __name__ == "__main__":
    main()
