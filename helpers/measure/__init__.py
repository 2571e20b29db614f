"""Load on a server, what it showed, and what theory expects.

Nothing here needs a notebook:

    units.py      seconds and bytes as a person reads them
    result.py     Result: latencies, errors, throughput, percentiles
    load.py       closed_loop and open_loop
    progress.py   how far a run of load is
    stopwatch.py  timed: how long one thing took
    models.py     what theory expects of an upload over a line that breaks
"""
