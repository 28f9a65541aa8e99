"""Benchmarks: how fast nosqgrid is on this machine, beside what people use today.

    python3 -m bench                            the canonical mix, two lines
    python3 -m bench rivals [--quick]           against dict, py-lmdb, redis, Manager, diskcache, UltraDict, in one run
    python3 -m bench durability [--quick]       what log, checkpoints and a start cost, beside redis-server
    python3 -m bench hit-ratio [--traces DIR]   what a full cache still answers, beside LRU, ARC and the optimum
    python3 -m bench utilisation [--quick]      how full a grid may be, and what cleaning costs then
    python3 -m bench sharing [--quick]          arrays and large values, beside shared_memory, joblib and redis
    python3 -m bench redis [--quick]            as a Redis server, beside redis-server, by redis-benchmark
    python3 -m bench compare OLD NEW            two result files; exit code 1 where NEW is more than 10 % slower
    python3 -m bench NAME                       one workload: fillseq fillrandom overwrite readrandom readmissing ...

Nothing here is needed to use nosqgrid, and no test depends on a time.  A rival that is not installed is skipped with
the reason; the standard library alone gives dict, Manager and nosqgrid.
"""
