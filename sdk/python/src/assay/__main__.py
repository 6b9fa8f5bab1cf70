"""`python -m assay` is the command `assay`."""

from assay.command import run

if __name__ == "__main__":
    run()
