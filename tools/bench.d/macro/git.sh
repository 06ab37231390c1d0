#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 git.sh - a repository of several commits, made here, is cloned
# through a pack, asked for its status and for its log
. "${0%/*}/lib.sh"

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=bench GIT_AUTHOR_EMAIL=bench@localhost
export GIT_COMMITTER_NAME=bench GIT_COMMITTER_EMAIL=bench@localhost
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'

cp -r "$BENCH_INPUTS/tree" repo
git -c init.defaultBranch=main init -q repo
git -C repo add .
git -C repo commit -q -m 'commit 0'
for i in 1 2 3 4 5; do
	echo "change $i" >>"repo/dir$i/file$i.txt"
	git -C repo commit -q -a -m "commit $i"
done

i=0
begin
while [ $i -lt "$BENCH_N" ]; do
	git clone -q "file://$scratch/repo" "copy$i"
	git -C "copy$i" status --porcelain >status
	git -C "copy$i" log --stat >log
	i=$((i + 1))
done
end
[ ! -s status ] || fail "the clone has changes"
[ "$(grep -c '^commit ' log)" = 6 ] || fail "the log has $(grep -c '^commit ' log) commits, not 6"
[ "$(git -C copy0 rev-parse HEAD)" = "$(git -C repo rev-parse HEAD)" ] || fail "the heads differ"
report git
