#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tally.py - count what a test program printed

    tally.py 0 build/check/guest.log
    tally.py 1 --meson build/meson-logs/testlog.json build/check/meson.log
    tally.py --failed build/meson-logs/testlog.json

A run that failed, or did not come to its plan's end, without a test that says so
counts as one failure more. Prints failures, what was unsteady and how much that was, then
each reason for a skip with how often it came, and last "N passed, N failed, N skipped";
what is unsteady has passed. Exit status 1 on failures.
"""
import argparse
import collections
import json
import re
import sys

LINE = re.compile(r"^\s*(not ok|ok)\b\s*(\d+)?\s*-?\s*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:# SKIP\s*(.*))?$", re.I)


class Tally:
    def __init__(self):
        self.passed, self.failures, self.skips = 0, [], collections.Counter()
        self.unsteady = []

    def skip(self, reason):
        self.skips[reason.strip() or "no reason given"] += 1

    def tap(self, text, prefix=""):
        """Count the TAP in a text. Return: did it keep to its plan?"""
        plan, seen, detail = None, 0, None
        for line in text.splitlines():
            if m := PLAN.match(line):
                plan = int(m[1])
                if plan == 0 and m[2] is not None:
                    self.skip(m[2])
            elif m := LINE.match(line):
                seen += 1
                name, _, directive = m[3].partition("# ")
                word = directive[:4].upper()
                detail = None
                if word == "SKIP":
                    self.skip(directive[4:].lstrip(":ped "))
                elif m[1] == "ok" or word == "TODO":
                    self.passed += 1
                else:
                    detail = [prefix + name.strip()]
                    self.failures.append(detail)
            elif line.startswith("# unsteady: "):
                detail = [prefix + line[len("# unsteady: "):]]
                self.unsteady.append(detail)
            elif line.startswith(("# failed: ", "# failed once: ", "# slow: ")):
                detail = None	# tests/run's own lists, and what it will try again
            elif line.startswith("#") and detail is not None and len(detail) < 16:
                detail.append(line)
        return plan is not None and plan == seen

    def fail(self, what, detail=()):
        self.failures.append([what, *detail])


def meson(tally, path):
    with open(path) as f:
        for line in f:
            entry = json.loads(line)
            name, result, out = entry["name"], entry["result"], entry.get("stdout", "")
            before = len(tally.failures)
            if PLAN.search(out) or re.search(r"^1\.\.\d+", out, re.M):
                whole = tally.tap(out, name + ": ")
            elif result == "SKIP":
                tally.skip(out.strip().splitlines()[-1] if out.strip() else name)
                continue
            else:
                whole = True
                tally.passed += result in ("OK", "EXPECTEDFAIL")
            bad = result not in ("OK", "EXPECTEDFAIL", "SKIP")
            if (bad or not whole) and len(tally.failures) == before:
                err = (entry.get("stderr") or out).splitlines()[-30:]
                tally.fail(f"{name}: {result.lower()}, status {entry.get('returncode')}", ["# " + x for x in err])


def failed(path):
    with open(path) as f:
        return [e["name"].rpartition(" / ")[2] for e in map(json.loads, f) if e["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--meson", metavar="TESTLOG", help="the TAP of each program is in Meson's log of the run; a "
                   "program without TAP counts as one test")
    p.add_argument("--unsteady", action="store_true", help="what failed there has passed since")
    p.add_argument("--failed", metavar="TESTLOG", help="print the names of the programs that failed, for meson test, "
                   "and stop")
    p.add_argument("status", nargs="?", type=int, help="how the run ended")
    p.add_argument("file", nargs="?", help="what it printed, TAP")
    options = p.parse_intermixed_args()
    if options.failed is None and options.file is None:
        p.error("write a status and a file, or --failed TESTLOG")
    return options


def main():
    options = parse()
    if options.failed is not None:
        print(*failed(options.failed))
        return 0
    status, log, tally = options.status, options.file, Tally()
    with open(log, errors="replace") as f:
        text = f.read()
    whole = True
    if options.meson:
        try:
            meson(tally, options.meson)
        except (OSError, ValueError, KeyError) as e:
            tally.fail(f"{options.meson}: {e}")
    else:
        whole = tally.tap(text)
    if (status != 0 or not whole) and not tally.failures:
        why = "took too long" if status in (124, 137) else f"ended with status {status}"
        tally.fail(f"{log}: {why}, no test said so", ["# " + x for x in text.splitlines()[-20:]])
    if options.unsteady:
        tally.passed += len(tally.failures)
        tally.unsteady, tally.failures = tally.failures, []
    for what, *detail in tally.failures:
        print(f"FAILED  {what}")
        for line in detail:
            print(f"        {line}")
    for what, *detail in tally.unsteady:
        print(f"unsteady, passed when run again: {what}")
        for line in detail:
            print(f"        {line}")
    if tally.unsteady:
        print(f"{len(tally.unsteady)} unsteady")
    for reason, n in sorted(tally.skips.items()):
        print(f"skipped {n:4}: {reason}")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {sum(tally.skips.values())} skipped")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
