"""What test_companions.py starts as a process of its own: it does what its work says."""

import os
import subprocess
import sys
import time

from fixtures.processes.companions import wait_for_start


def main(line):
    work = line.recv()
    if work == "fail":
        sys.exit("it fails before the start")
    start = wait_for_start(line)
    if work == "environment":
        line.send((dict(os.environ), sys.argv, sys.stdin.read()))
    elif work == "sleep":
        subprocess.run(["sleep", "60"])
    elif work == "end badly":
        print("first words\nlast words\n")
        os._exit(3)
    elif work == "end silently":
        os._exit(3)
    else:
        line.send((start, time.monotonic()))
