"""A stub of modules.call_queue: one job at a time."""

import threading

queue_lock = threading.Lock()
