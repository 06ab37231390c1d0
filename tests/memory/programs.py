# SPDX-License-Identifier: Apache-2.0
"""Suite "memory", with programs that people run, under load while the guest's memory changes

Each is told from a run in which nothing changes by its own checks only: what it stored is
there, sums are right, it ends well. The host's group counts as root, weir as a user.
"""

import json
import os
import subprocess

import harness
from harness import need, need_java_compiler, test

MIB = 1 << 20
USERS = ("root", "user")


def under_load(case, size, change, command, stdin=""):
    """The command's output, run in a guest of so many MiB that loses and gets @change of them meanwhile."""
    name = case.detached("sleep", "600", options=["--set", f"guest.memory={size}M"])
    strict = json.loads(case.weir("mem", "--json", name).out)["budget"] == "strict"
    actions = [("unplug", f"{change}M"), ("plug", None)] + ([] if strict else [("release", f"{change}M")])
    rounds = got = 0
    p = subprocess.Popen([case.ctx.weir, "exec", name, "--", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, env=case.user.env(), cwd="/", start_new_session=True,
                         **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    p.stdin.write(stdin.encode())
    p.stdin.close()
    p.stdin = None
    while p.poll() is None:
        for action, amount in actions:
            if action == "plug":
                # No more than was taken: that is where the guest began.
                amount = str(json.loads(case.weir("mem", "--json", name).out)["unplugged_bytes"])
                if amount == "0":
                    continue
            r = case.weir("mem", "--json", name, action, amount, "--deadline", "300ms")
            case.true(f"{action} {amount}: {r.text()}", r.status in (0, 1) and r.out)
            got += json.loads(r.out)["work"]["got_bytes"]
        rounds += 1
    out = p.stdout.read().decode(errors="replace")
    if p.returncode:
        raise harness.Failed(f"status {p.returncode} of {command[0]}\n{harness.tail(out)}")
    memory = case.stats(name)["memory"]
    case.true(f"{rounds} rounds, {got >> 20} MiB moved", rounds >= 2 and got >= change * MIB)
    case.equal("kills", memory["oom_kills"], 0)
    case.note(f"{rounds} rounds, {got >> 20} MiB moved, {'strict' if strict else 'a group'}")
    return out


REDIS = """cd /tmp || exit 1
redis-server --port 0 --unixsocket /tmp/r.sock --dir /tmp --save '' --daemonize yes --pidfile /tmp/r.pid >/dev/null
cli='redis-cli -s /tmp/r.sock'
for i in $(seq 200); do $cli ping >/dev/null 2>&1 && break; sleep 0.05; done
for round in 1 2 3 4; do
	for part in 0 1 2 3 4 5 6 7 8 9; do
		$cli eval 'for i = 1, 4000 do local k = ARGV[1] .. ":" .. i; redis.call("set", k, k .. string.rep("x", 1000)) end' 0 $part >/dev/null
	done
	$cli bgsave >/dev/null
	for part in 0 1 2 3 4 5 6 7 8 9; do
		$cli eval 'local n = 0; for i = 1, 4000 do local k = ARGV[1] .. ":" .. i
			if redis.call("get", k) == k .. string.rep("x", 1000) then n = n + 1 end end; return n' 0 $part
	done
	while $cli info persistence | grep -q rdb_bgsave_in_progress:1; do sleep 0.05; done
	$cli info persistence | tr -d '\\r' | grep rdb_last_bgsave_status
	[ $round = 4 ] || $cli flushall >/dev/null
done
$cli shutdown nosave
"""


@test("memory", users=USERS)
def redis_under_load_while_memory_changes(case):
    need("redis-server", "redis-cli")
    out = under_load(case, 384, 96, ["/bin/sh", "-c", REDIS])
    case.equal("all is there", out.split(), (["4000"] * 10 + ["rdb_last_bgsave_status:ok"]) * 4)


POSTGRES = """mkdir -m 777 /tmp/pg && exec setpriv --reuid nobody --regid nogroup --clear-groups /bin/sh -c '
cd /tmp/pg; LC_ALL=C; export LC_ALL
{ initdb -N -A trust -D data && pg_ctl -D data -w -o "-k /tmp/pg -h \\"\\" -c shared_buffers=48MB" start; } >log 2>&1 || { cat log; exit 1; }
{ pgbench -h /tmp/pg -i -q -s 4 postgres && pgbench -h /tmp/pg -n -c 4 -t 400 postgres; } >log 2>&1 || { cat log data/log/*; exit 1; }
psql -h /tmp/pg -At postgres -c "select sum(abalance) = (select sum(tbalance) from pgbench_tellers)
	and sum(abalance) = (select sum(delta) from pgbench_history), count(*) from pgbench_accounts" \\
	-c "select count(*) from pgbench_history"
pg_ctl -D data -m fast -w stop >/dev/null'
"""


@test("memory", users=USERS)
def postgres_under_load_while_memory_changes(case):
    need("initdb", "pg_ctl", "postgres", "psql", "pgbench", "setpriv")
    # Its files are in a tmpfs: of a strict budget an eighth.
    out = under_load(case, 512 if case.user.kind == "root" else 1536, 128, ["/bin/sh", "-c", POSTGRES])
    case.equal("the sums agree, nothing is lost", out.split(), ["t|400000", "1600"])


# The compiler by its class: a runtime has that, but no javac.
JAVAC = ("-m", "jdk.compiler/com.sun.tools.javac.Main")
JAVA = """
import java.util.*;
import java.util.concurrent.*;

public class Load {
	static int work(int seed) {
		Random random = new Random(seed);
		byte[][] kept = new byte[24][];
		int right = 0;

		for (int i = 0; i < 3000; i++) {
			int at = random.nextInt(kept.length), size = 1 + random.nextInt(1 << 20);

			if (kept[at] != null && kept[at][kept[at].length / 2] == (byte)kept[at].length)
				right++;
			kept[at] = new byte[size];
			Arrays.fill(kept[at], (byte)size);
		}
		return right;
	}

	public static void main(String[] args) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(3);
		List<Future<Integer>> all = new ArrayList<>();

		for (int i = 0; i < 3; i++) {
			final int seed = i;
			all.add(pool.submit(() -> work(seed)));
		}
		for (Future<Integer> one : all)
			System.out.println(one.get());
		pool.shutdown();
	}
}
"""


@test("memory", users=USERS)
def java_under_load_while_memory_changes(case):
    need_java_compiler()
    where = case.directory()
    case.write(os.path.join(where, "Load.java"), JAVA)
    case.status(case.command(["java", *JAVAC, "-d", where, os.path.join(where, "Load.java")]), 0)
    # Where mappings are counted so are its reserves; it is told to have few.
    out = under_load(case, 640, 128, ["java", "-Xmx128m", "-Xss256k", "-XX:ReservedCodeCacheSize=24m", "-XX:+UseSerialGC",
                                      "-XX:CompressedClassSpaceSize=16m", "-Xshare:auto", "-cp", where, "Load"])
    case.equal("every block was as it was left", out.split(), ["2976"] * 3)
