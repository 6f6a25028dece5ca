"""The tests. They run side by side, a process a core: each computes on one thread, and so do the stages it starts."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
