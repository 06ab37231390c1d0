# SPDX-License-Identifier: Apache-2.0
"""database.py - a database on a guest's disk, whose kernel is killed"""

import os
import re
import signal

from disk_ext import check, have
from disk_guests import disk
from harness import need, test

AS_NOBODY = "setpriv --reuid nobody --regid nogroup --clear-groups"
SERVER = f"""export LC_ALL=C; cd /srv
mkdir -p /tmp/run; chmod 777 /tmp/run
server() {{ {AS_NOBODY} pg_ctl -w -t 300 -D /srv/pg/data -l /srv/pg/log -o "-k /tmp/run -h ''" "$1" >/dev/null; }}
sql() {{ {AS_NOBODY} psql -h /tmp/run -U nobody -qAt postgres -c "$1"; }}
"""
NEW = SERVER + f"""mkdir -m 777 /srv/pg
{AS_NOBODY} initdb -A trust -D /srv/pg/data >/tmp/log 2>&1 || {{ cat /tmp/log >&2; exit 1; }}
server start
{AS_NOBODY} pgbench -h /tmp/run -U nobody -q -i -s 2 postgres >/dev/null 2>&1
{AS_NOBODY} pgbench -h /tmp/run -U nobody -c 2 -t 100000 -P 1 postgres >/tmp/bench 2>&1 &
until [ "$(sql 'select count(*) from pgbench_history')" -ge 200 ]; do sleep 0.1; done
"""
# TPC-B: what is added to an account is added to its teller and branch, and in the history.
SUMS = ("select (select sum(abalance) from pgbench_accounts) = h.s and (select sum(tbalance) from pgbench_tellers) = h.s "
        "and (select sum(bbalance) from pgbench_branches) = h.s and n >= 200 "
        "from (select sum(delta) as s, count(*) as n from pgbench_history) as h")


@test("disks", users=("root", "user"))
def postgres_recovers(case):
    """Killed while pgbench runs: the next guest has every transaction whole."""
    need("initdb", "postgres", "pg_ctl", "pgbench", "psql", "setpriv")
    guests = have(case)
    path = os.path.join(case.directory(), "image")
    disk(case, "create", "--size", "512M", "--fs", "ext4", path)
    disks = {"0.image": path, "0.mount": "/srv"}
    p = guests.start(disks, NEW + "echo ready; wait")
    os.kill(case.kernel_pid(p.guest), signal.SIGKILL)
    p.wait(60)
    r = guests.run(disks, SERVER + f"server start; sql '{SUMS}'; server stop; grep -c 'redo done' /srv/pg/log",
                   timeout=300)
    case.true(f"the sums: {r.out}", re.fullmatch(r"t\n[1-9]\d*\n", r.out))
    check(case, path)
