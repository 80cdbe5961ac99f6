"""Write the golden vectors anew, or with --check compare them and print what differs.

Exit code 1 means that a vector differs: the canonical forms changed, which breaks every recorded hash.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from golden.vectors import differences, write_all


def main() -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only, and exit 1 on a difference")
    if not parser.parse_args().check:
        write_all()
        return 0
    lines = differences()
    sys.stdout.writelines(lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
