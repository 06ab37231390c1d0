#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# python.sh - python3 started again and again, each time with the imports of an ordinary tool
. "${0%/*}/lib.sh"

program='
import argparse, decimal, email.message, http.client, json, logging, re, subprocess, tempfile
print(json.dumps({"sum": str(decimal.Decimal("0.1") + decimal.Decimal("0.2"))}))
'
i=0
begin
while [ $i -lt "$BENCH_N" ]; do
	/usr/bin/python3 -I -B -c "$program" >>printed
	i=$((i + 1))
done
end
right=$(grep -c -x '{"sum": "0.3"}' printed)
[ "$right" = "$BENCH_N" ] || fail "$right of $BENCH_N runs printed the sum: $(tail -n 1 printed)"
report python
