"""Watches the processes that tests start; Python imports this by itself from a folder of PYTHONPATH."""

import os
import sys
from pathlib import Path

if "TEST_SECRECY_DIR" in os.environ:
    sys.path.append(str(Path(__file__).parents[2]))
    from support.secrecy import watch

    watch(Path(os.environ["TEST_SECRECY_DIR"]))
