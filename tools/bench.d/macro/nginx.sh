#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 nginx.sh - wrk against nginx over the loopback of the runner,
# for a fixed time; what is reported is nanoseconds a request
#
# One nginx process, no master, and as root no other user: a runner with a single id cannot change
# it.
. "${0%/*}/lib.sh"

mkdir www
head -c 1024 /dev/zero | tr '\0' 'x' >www/index.html
user=
[ "$(id -u)" != 0 ] || user='user root root;'
cat >nginx.conf <<END
$user
daemon off;
master_process off;
pid $scratch/pid;
error_log $scratch/server.log;
events { worker_connections 128; }
http {
	access_log off;
	client_body_temp_path $scratch/t1;
	proxy_temp_path $scratch/t2;
	fastcgi_temp_path $scratch/t3;
	uwsgi_temp_path $scratch/t4;
	scgi_temp_path $scratch/t5;
	keepalive_requests 1000000;
	server {
		listen 127.0.0.1:$BENCH_PORT;
		root $scratch/www;
	}
}
END
nginx -p "$scratch" -e "$scratch/server.log" -c "$scratch/nginx.conf" 2>>server.err &
server=$!
"$BENCH_MICRO" connect "$BENCH_PORT" || fail "no server: $(cat server.err server.log | tail -n 1)"
wrk -t1 -c10 -d"${BENCH_N}s" "http://127.0.0.1:$BENCH_PORT/index.html" >printed
! grep -e 'Non-2xx' -e 'Socket errors' printed >wrong || fail "$(cat wrong)"
ns=$(awk '/^Requests\/sec:/ && $2 > 0 { printf "%d", 1000000000 / $2 }' printed)
[ -n "$ns" ] || fail "no request was answered"
report nginx "$ns"
