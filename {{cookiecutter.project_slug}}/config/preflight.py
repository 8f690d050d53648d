"""Check once, before the first fork, for workers that load the application by themselves.

Without it each worker would wait and print the same table, and a worker that is replaced
during an outage would end the whole service. A child checks, so that nothing which a
reload should renew is loaded here.
"""

import signal
import subprocess
import sys
from pathlib import Path

from config import process

# Inside a server, sys.executable may not be the one of the virtual environment.
python = str(Path(sys.prefix) / "bin/python")
command = [python, "manage.py", "check_dependencies", "--startup"]
with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as child:  # noqa: S603
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    status = child.wait()
if status:
    sys.exit(status)
process.checked = True
