"""For a server that is to be found short of connections: its pool gives up after 2 s instead of 30 s."""

from sqlalchemy.pool import QueuePool

SIZE, OVERFLOW, SECONDS, LIFO = 5, 10, 2.0, False
assert QueuePool.__init__.__defaults__ == (SIZE, OVERFLOW, 30.0, LIFO)
QueuePool.__init__.__defaults__ = (SIZE, OVERFLOW, SECONDS, LIFO)
