"""`python3 -m bench`: see the package."""

import argparse
import contextlib
import os
import signal
import sys
import time

from . import (contest, durability, durability_report, hit_picture, hit_ratio, hit_ratio_report, locks, machine,
               picture, queues, readers, redis_server, report, rivals, sharing, side_by_side, timing, utilisation,
               utilisation_picture, workloads)

RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results")
LOOP_S = 0.5  # of one repeat of a single workload
LATENCY_SAMPLES = 50 * 1000
EXIT_OK, EXIT_SLOWER, EXIT_USAGE, EXIT_UNAVAILABLE = 0, 1, 2, 3


def build_parser():
    """The arguments."""
    explained = "; ".join("%s (%s)" % (name, workload.what) for name, workload in workloads.WORKLOADS.items())
    parser = argparse.ArgumentParser(prog="python3 -m bench", description="How fast nosqgrid is on this machine.",
                                     epilog="workloads: " + explained)
    parser.add_argument("what", nargs="?", default="mix",
                        help="nothing for the canonical mix, rivals, durability, hit-ratio, utilisation, sharing, "
                        "redis, locks, queues, compare, or the name of a workload")
    parser.add_argument("files", nargs="*", help="compare: the old and the new result file")
    parser.add_argument("--quick", action="store_true",
                        help="rivals, durability, hit-ratio, utilisation, sharing, redis, locks, queues: less of it, "
                        "some 90 s")
    parser.add_argument("--out", metavar="FILE",
                        help="rivals, durability, hit-ratio, utilisation, sharing, redis, locks, queues: where the "
                        "report goes instead of bench/results/DATE-PYTHON.txt; - for none")
    parser.add_argument("--picture", metavar="FILE.svg", help="durability: draw how long sets take during a "
                        "checkpoint; hit-ratio: draw the hit ratios; utilisation: draw what cleaning costs")
    parser.add_argument("--traces", metavar="DIR", help="hit-ratio: a folder of public traces, NAME.trace.gz with a "
                        "key a line, instead of $%s" % hit_ratio.TRACES_VARIABLE)
    parser.add_argument("--keys", type=int, default=workloads.SMALL.key_count, help="workloads: how many keys")
    parser.add_argument("--value-size", type=int, default=workloads.SMALL.value_size_bytes,
                        help="workloads: bytes of a value")
    parser.add_argument("--no-near-cache", action="store_true", help="workloads: read the arena each time")
    return parser


def main(argv=None, out=None, err=None):
    """Run; returns the exit code: 0, 1 compare found something slower, 2 wrong usage, 3 nosqgrid cannot be started."""
    out, err = out or sys.stdout, err or sys.stderr
    parser = build_parser()
    arguments = parser.parse_args(argv)
    known = ["mix", "rivals", "durability", "hit-ratio", "utilisation", "sharing", "redis", "locks", "queues",
             "compare"]
    known += list(workloads.WORKLOADS)
    if arguments.what not in known:
        parser.error("no workload is called %r; there are: %s" % (arguments.what, " ".join(known)))
    if len(arguments.files) != (2 if arguments.what == "compare" else 0):
        parser.error("compare takes two result files, everything else none")
    if arguments.keys < 1 or arguments.value_size < 0:
        parser.error("--keys must be at least 1 and --value-size at least 0")
    try:
        if arguments.what == "compare":
            return run_compare(arguments.files, out, err)
        if arguments.what == "rivals":
            return run_rivals(arguments, out, err)
        if arguments.what == "durability":
            return run_durability(arguments, out, err)
        if arguments.what == "hit-ratio":
            return run_hit_ratio(arguments, out, err)
        if arguments.what == "utilisation":
            return run_utilisation(arguments, out, err)
        if arguments.what == "sharing":
            return run_sharing(arguments, out, err)
        if arguments.what == "redis":
            return run_redis(arguments, out, err)
        if arguments.what in ("locks", "queues"):
            return run_side_by_side(arguments, out, err)
        return run_workload(arguments, out)
    except rivals.Absent as absent:
        err.write("bench: nosqgrid cannot be measured: %s\n" % absent)
        return EXIT_UNAVAILABLE


def run_compare(paths, out, err):
    """`compare OLD NEW`."""
    found = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                found.append(report.read_measurements(file.read()))
        except (OSError, ValueError) as error:
            err.write("bench: %s is no result file: %s\n" % (path, error))
            return EXIT_USAGE
    if not any(key in found[1] for key in found[0]):
        err.write("bench: the two files have no case in common\n")
        return EXIT_USAGE
    text, slower = report.compare(*found)
    out.write(text + "\n")
    return EXIT_SLOWER if slower else EXIT_OK


def run_rivals(arguments, out, err):
    """`rivals`: measure, print, and keep the report."""
    result = contest.run(contest.QUICK if arguments.quick else contest.FULL, _progress(err))
    _keep(report.write(result), arguments, "", out, err)
    return EXIT_OK


def run_durability(arguments, out, err):
    """`durability`: measure, print, keep the report, and draw."""
    result = durability.run(durability.QUICK if arguments.quick else durability.FULL, _progress(err))
    _keep(durability_report.write(result), arguments, "-durability", out, err)
    if arguments.picture:
        dataset = next(iter(result.busy))
        with open(arguments.picture, "w", encoding="utf-8") as file:
            file.write(picture.draw(result.still[dataset], result.busy[dataset], durability.name_of(dataset)))
        err.write("drawn in %s\n" % arguments.picture)
    return EXIT_OK


def run_hit_ratio(arguments, out, err):
    """`hit-ratio`: replay, print, keep the report, and draw."""
    result = hit_ratio.run(arguments.traces, arguments.quick, _progress(err))
    if result.absent:
        err.write("bench: %s\n" % result.absent)
    _keep(hit_ratio_report.write(result), arguments, "-hit-ratio", out, err)
    if arguments.picture:
        with open(arguments.picture, "w", encoding="utf-8") as file:
            file.write(hit_picture.draw(result))
        err.write("drawn in %s\n" % arguments.picture)
    return EXIT_OK


def run_utilisation(arguments, out, err):
    """`utilisation`: measure, print, keep the report, and draw."""
    plan, facts = utilisation.QUICK if arguments.quick else utilisation.FULL, machine.describe()
    found = utilisation.run(plan, _progress(err))
    _keep(utilisation.write(found, plan, facts), arguments, "-utilisation", out, err)
    if arguments.picture:
        with open(arguments.picture, "w", encoding="utf-8") as file:
            file.write(utilisation_picture.draw(found))
        err.write("drawn in %s\n" % arguments.picture)
    return EXIT_OK


def run_sharing(arguments, out, err):
    """`sharing`: measure, print, and keep the report."""
    result = sharing.run(sharing.QUICK if arguments.quick else sharing.FULL, _progress(err))
    _keep(sharing.write(result), arguments, "-sharing", out, err)
    return EXIT_OK


def run_redis(arguments, out, err):
    """`redis`: measure, print, and keep the report."""
    result = redis_server.run(redis_server.QUICK if arguments.quick else redis_server.FULL, _progress(err))
    if not result.timings:
        err.write("bench: %s\n" % "; ".join("%s is not measured: %s" % item for item in result.skipped.items()))
        return EXIT_UNAVAILABLE
    _keep(redis_server.write(result), arguments, "-redis", out, err)
    return EXIT_OK


def run_side_by_side(arguments, out, err):
    """`locks`, `queues`: measure, print, and keep the report."""
    bench = {"locks": locks, "queues": queues}[arguments.what]
    result = bench.run(side_by_side.QUICK if arguments.quick else side_by_side.FULL, _progress(err))
    _keep(side_by_side.write(result), arguments, "-" + arguments.what, out, err)
    return EXIT_OK


def _keep(text, arguments, kind, out, err):
    """Print a report and write it to its file."""
    out.write(text)
    path = arguments.out or os.path.join(RESULTS, "%s-%s%s%s.txt" % (
        time.strftime("%Y-%m-%d", time.gmtime()), machine.python_name(), kind, "-quick" if arguments.quick else ""))
    if path != "-":
        if path.startswith(RESULTS) and not os.path.isdir(RESULTS):
            os.mkdir(RESULTS)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        err.write("written to %s\n" % path)


def _progress(err):
    if not err.isatty():
        return lambda text: None

    def show(text):
        err.write("\r\033[K%s ..." % text)
        err.flush()

    return show


# -- one workload on nosqgrid --------------------------------------------------------------------------------------


def run_workload(arguments, out):
    """The canonical mix, or a workload by name."""
    dataset = workloads.Dataset("%d B" % arguments.value_size, arguments.value_size, arguments.keys)
    rival = rivals.NosqgridArena() if arguments.no_near_cache else rivals.Nosqgrid()
    try:
        address = rival.start(None)
        rival.connect(address)
        if arguments.what == "mix":
            out.write(_run_mix(rival, dataset))
        else:
            out.write(_run_named(rival, address, arguments.what, dataset))
    finally:
        rival.close()
    return EXIT_OK


def _run_mix(rival, dataset):
    value = workloads.make_value(dataset.value_size_bytes)
    rival.fill(workloads.pairs_of(dataset))
    sequence = workloads.zipf(dataset.key_count)

    def prepare(count):
        operations = workloads.mix(sequence, count)
        return lambda: workloads.run_mix(rival.get, rival.set_, rival.delete, value, operations)

    measured = timing.time_alternating([("mix", prepare)], LOOP_S)["mix"]
    functions = {"g": lambda key: rival.get(key), "s": lambda key: rival.set_(key, value),
                 "d": lambda key: rival.delete(key)}
    operations = workloads.mix(workloads.zipf(dataset.key_count, seed=workloads.SEED + 1), LATENCY_SAMPLES)
    latency = timing.sample_latency(lambda kind, key: functions[kind](key), operations, 10 * LOOP_S)
    return ("throughput  %s operations/s  (%s; 90 %% get, 9 %% set, 1 %% delete; %s keys of 16 B, values of %s, Zipf)\n"
            "latency     %s\n") % (report.per_second(measured), _spread(measured), "{:,}".format(dataset.key_count),
                                   dataset.label, _latency_text(latency))


def _spread(measured):
    return "median of %d, %.0f - %.0f" % (timing.REPEATS, 1 / measured.high, 1 / measured.low)


def _latency_text(latency):
    return "p50 %s us  p99 %s us  max %s us" % tuple(report.microseconds(value) for value in latency)


def _run_named(rival, address, name, dataset):
    workload = workloads.WORKLOADS[name]
    value = workloads.make_value(dataset.value_size_bytes)
    if workload.filled:
        rival.fill(workloads.pairs_of(dataset))
    with contextlib.ExitStack() as stack:
        if workload.writer:
            _start_writer(stack, address, dataset)
        if workload.fixed:
            measured = _time_fixed(workload.prepare(rival.grid, dataset, value), dataset.key_count)
        else:
            measured = timing.time_alternating([(name, workload.prepare(rival.grid, dataset, value))], LOOP_S)[name]
        keys = workload.sequence(dataset.key_count).take(LATENCY_SAMPLES)
        latency = timing.sample_latency(workload.single(rival.grid, value), [(key,) for key in keys], 4 * LOOP_S)
    payload_bytes = workloads.KEY_SIZE_BYTES + dataset.value_size_bytes
    return "%-16s  %s us/op (%s - %s)  %s op/s  %.1f MB/s  %s\n" % (
        name, report.microseconds(measured.median), report.microseconds(measured.low),
        report.microseconds(measured.high), report.per_second(measured), payload_bytes / measured.median / 1e6,
        _latency_text(latency))


def _start_writer(stack, address, dataset):
    crew = stack.enter_context(readers.Crew("NosqgridArena", address, dataset, 0))
    crew.wait_until_ready()
    crew.start_writer()
    stack.callback(crew.stop_writer)  # fails where it did not write to the end


def _time_fixed(prepare, count):
    samples = [timing.time_body(prepare, count) / count for _ in range(timing.REPEATS + 1)]
    return timing.summary(samples[1:])


def _end_by_signal(number, _):
    sys.exit(128 + number)  # so that every `finally` runs


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end_by_signal)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
