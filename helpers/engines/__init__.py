"""The real thing, started on demand as a child process.

    from helpers.engines.postgres import database
    from helpers.engines.node import Node

Nothing is imported here: each engine needs packages of its own, and the doctor, who
reads `sources`, has none.
"""
