#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""classes.py - has every class of attack a test that exists, or a line in the caveats?

Reads the table "Classes of attack" of doc/security.md. In its last column are tests,
as SUITE: NAME NAME ... with * for any words: suites of tests/run, "unit" and "policy"
of meson, "fuzz" of tests/fuzz, "tools"; or caveats: "WORDS of doc/caveats.md". Output: TAP.
"""
import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLASSES = 43


def read(*path):
    with open(os.path.join(TOP, *path)) as f:
        return f.read()


def names():
    """Of all tests, by suite."""
    listed = subprocess.run([sys.executable, os.path.join(TOP, "tests", "run"), "--list"], check=True,
                            capture_output=True, text=True).stdout.split()
    found = {}
    for label in listed:
        suite, name = label.split("/")[:2]
        found.setdefault(suite, set()).add(name)
    for suite, folder, pattern in (("unit", "tests/unit", r"test_(\w+)\.c$"), ("fuzz", "tests/fuzz", r"fuzz_(\w+)\.c$"),
                                   ("tools", "tools", r"([\w-]+)$"), ("policy", "tests/policy/invalid", r"(.+)\.policy$")):
        entries = os.listdir(os.path.join(TOP, folder)) if os.path.isdir(os.path.join(TOP, folder)) else []
        found[suite] = {m[1] for m in (re.match(pattern, e) for e in entries) if m}
    return found


def rows():
    section = read("doc", "security.md").split("## Classes of attack", 1)[-1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if re.match(r"\| *\d", line)]


def problems(cell, tests):
    """What is wrong with the last column of a row."""
    wrong, parts = [], [p.strip() for p in cell.split(";") if p.strip()]
    if not parts:
        return ["no test and no caveat"]
    for part in parts:
        kind, _, rest = part.partition(":")
        if kind == "caveats":
            words = rest.strip().strip('"')
            if words not in re.sub(r"\s+", " ", read("doc", "caveats.md")):
                wrong.append(f"doc/caveats.md does not say {words!r}")
            continue
        if kind not in tests:
            wrong.append(f"no suite {kind!r}")
            continue
        for pattern in rest.split():
            if not fnmatch.filter(tests[kind], pattern.strip("`,")):
                wrong.append(f"no test {kind}: {pattern}")
    return wrong


def main():
    tests, failed = names(), 0
    got = {int(row[0]): row for row in rows()}
    print(f"1..{CLASSES}")
    for number in range(1, CLASSES + 1):
        row = got.get(number)
        wrong = problems(row[-1], tests) if row else ["it is not in the table of doc/security.md"]
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {number} - class {number}{': ' + row[1] if row else ''}")
        for line in wrong:
            print(f"#   {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
