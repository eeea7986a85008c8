"""Clock- and queue-driven callers: a job asks the outside world, then a flow records the answer."""
