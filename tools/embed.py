#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py SYMBOL OUTPUT FILE... - files as a C array of struct embedded_file

Writes a C source that defines SYMBOL[], one element a file and one with a NULL
name behind the last. Declare it: extern const struct embedded_file SYMBOL[];
"""
import os
import sys


def c_bytes(data):
    lines = []
    for i in range(0, len(data), 20):
        lines.append("\t" + "".join(f"{b}," for b in data[i:i + 20]))
    return "\n".join(lines + ["\t0"])


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: embed.py SYMBOL OUTPUT FILE...")
    symbol, output, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    out = ["/* Made by tools/embed.py: change the files, not this. */",
           '#include "passthrough/embedded.h"', "",
           f"extern const struct embedded_file {symbol}[];", ""]
    table = []
    for i, name in enumerate(files):
        with open(name, "rb") as f:
            data = f.read()
        out.append(f"static const unsigned char file_{i}[] = {{\n{c_bytes(data)}\n}};")
        table.append(f'\t{{ "{os.path.basename(name)}", file_{i}, {len(data)} }},')
    out.append(f"\nconst struct embedded_file {symbol}[] = {{")
    out += table + ["\t{ NULL, NULL, 0 },", "};", ""]
    with open(output, "w") as f:
        f.write("\n".join(out))


if __name__ == "__main__":
    main()
