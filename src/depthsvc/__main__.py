"""`python -m depthsvc` is the command `depthsvc`."""

from depthsvc.cli import run

if __name__ == "__main__":
    run()
