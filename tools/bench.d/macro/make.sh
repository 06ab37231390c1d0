#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 make.sh - a C program of many small files, built with make
# -j2; the program must print what was worked out without it
. "${0%/*}/lib.sh"

cp -r "$BENCH_INPUTS/src" src
begin
make -s -C src -j2
end
./src/program >printed
cmp -s printed src/expected || fail "the program prints $(head -c 60 printed)"
report make
