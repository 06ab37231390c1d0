# SPDX-License-Identifier: Apache-2.0
"""inputs.py - what the macro-benchmarks work on: a C program, SQL and text, always the same.

Everything comes from a fixed seed. Where a result can be worked out here (what the C program
prints, what the SQL sums to), it is written beside the input, and the script in the runner
compares.
"""
import random
from pathlib import Path

FULL = {
    "sources": 40,
    "functions": 30,
    "rows": 40000,
    "small": 2000,
    "lookups": 5000,
    "dirs": 16,
    "files": 20,
}
QUICK = {
    "sources": 12,
    "functions": 15,
    "rows": 5000,
    "small": 100,
    "lookups": 500,
    "dirs": 8,
    "files": 10,
}
MASK = 0xFFFFFFFF


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_sources(top, size, rng):
    """A program of chained 32-bit hashes, and the number it prints."""
    value = 1
    calls = []
    for unit in range(size["sources"]):
        text = [
            "#include <inttypes.h>",
            "#include <stdio.h>",
            "#include <stdlib.h>",
            "#include <string.h>",
            '#include "all.h"',
            "",
        ]
        for func in range(size["functions"]):
            mul, add, shift, loops = (
                rng.randrange(3, 9999, 2),
                rng.randrange(9999),
                rng.randrange(3, 13),
                rng.randrange(2, 9),
            )
            text += [
                f"static uint32_t step_{func}(uint32_t x)",
                "{",
                f"\tfor (int i = 0; i < {loops}; i++) {{",
                f"\t\tx = x * {mul}u + {add}u;",
                f"\t\tx ^= x >> {shift};",
                "\t}",
                "\treturn x;",
                "}",
                "",
            ]
            for _ in range(loops):
                value = (value * mul + add) & MASK
                value ^= value >> shift
        text += [f"uint32_t unit_{unit}(uint32_t x)", "{"]
        text += [f"\tx = step_{func}(x);" for func in range(size["functions"])]
        text += ["\treturn x;", "}", ""]
        write(top / f"unit_{unit}.c", "\n".join(text))
        calls.append(f"\tx = unit_{unit}(x);")
    protos = [f"uint32_t unit_{unit}(uint32_t x);" for unit in range(size["sources"])]
    write(top / "all.h", "\n".join(["#include <stdint.h>", *protos, ""]))
    write(
        top / "main.c",
        "\n".join(
            [
                "#include <inttypes.h>",
                "#include <stdio.h>",
                '#include "all.h"',
                "",
                "int main(void)",
                "{",
                "\tuint32_t x = 1;",
                "",
                *calls,
                '\tprintf("%" PRIu32 "\\n", x);',
                "\treturn 0;",
                "}",
                "",
            ]
        ),
    )
    objects = " ".join(["main.o"] + [f"unit_{unit}.o" for unit in range(size["sources"])])
    write(
        top / "Makefile",
        f"CFLAGS = -O1 -Wall\nOBJECTS = {objects}\n\n"
        "program: $(OBJECTS)\n\t$(CC) -o $@ $(OBJECTS)\n\n"
        "$(OBJECTS): all.h\n",
    )
    write(top / "expected", f"{value}\n")


def make_sql(top, size, rng):
    rows = [(n, rng.randrange(1000), rng.randrange(1000000)) for n in range(size["rows"])]
    insert = [
        "PRAGMA journal_mode = DELETE;",
        "CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, price INTEGER, name TEXT);",
    ]
    line = "INSERT INTO item VALUES ({0}, {1}, {2}, 'item number {0}');".format
    insert += [line(*row) for row in rows[: size["small"]]]
    insert += [
        "BEGIN;",
        *(line(*row) for row in rows[size["small"] :]),
        "COMMIT;",
        "CREATE INDEX by_kind ON item (kind);",
    ]
    wanted = [rng.randrange(size["rows"]) for _ in range(size["lookups"])]
    select = ["CREATE TEMP TABLE found (price INTEGER);"]
    select += [f"INSERT INTO found SELECT price FROM item WHERE id = {n};" for n in wanted]
    select += [
        "SELECT sum(price) FROM found;",
        "SELECT count(*), sum(price) FROM item;",
        "SELECT sum(most) FROM (SELECT max(price) AS most FROM item GROUP BY kind);",
    ]
    most = {}
    for _, kind, price in rows:
        most[kind] = max(price, most.get(kind, 0))
    write(top / "insert.sql", "\n".join(insert) + "\n")
    write(top / "select.sql", "\n".join(select) + "\n")
    write(
        top / "expected",
        f"{sum(rows[n][2] for n in wanted)}\n"
        f"{len(rows)}|{sum(row[2] for row in rows)}\n"
        f"{sum(most.values())}\n",
    )


def make_tree(top, size, rng):
    words = [
        "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(2, 10)))
        for _ in range(800)
    ]
    for d in range(size["dirs"]):
        for f in range(size["files"]):
            lines = (" ".join(rng.choices(words, k=12)) for _ in range(rng.randrange(20, 240)))
            write(top / f"dir{d}" / f"file{f}.txt", "\n".join(lines) + "\n")


def make_inputs(top, quick):
    """Fills the directory top unless that is done already."""
    top = Path(top)
    if (top / "complete").exists():
        return
    size, rng = (QUICK if quick else FULL), random.Random(20060718)
    make_sources(top / "src", size, rng)
    make_sql(top / "sql", size, rng)
    make_tree(top / "tree", size, rng)
    write(top / "tree.count", f"{size['dirs'] * size['files']}\n")
    write(top / "complete", "")
