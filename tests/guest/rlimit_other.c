/* SPDX-License-Identifier: Apache-2.0 */
/* rlimit_other.c - a limit of another user's process is that user's affair */
#include <grp.h>
#include <sys/resource.h>

#include "t.h"

int main(void)
{
	struct rlimit r;
	pid_t child;

	if (other_id() < 0)
		skip("the guest has one id");
	child = need("fork", fork());
	if (child == 0) {
		pause();
		_exit(0);
	}
	need("setgroups", setgroups(0, NULL));
	need("setresgid", setresgid(1000, 1000, 1000));
	need("setresuid", setresuid(1000, 1000, 1000));
	say("read root's limits", prlimit(child, RLIMIT_NOFILE, NULL, &r));
	say("set root's limits", prlimit(child, RLIMIT_NOFILE, &(struct rlimit){ 9, 9 }, NULL));
	say("read pid 1's limits", prlimit(1, RLIMIT_NOFILE, NULL, &r));
	say("own limits", prlimit(0, RLIMIT_NOFILE, &(struct rlimit){ 50, 50 }, NULL));
	say("own hard limit up", prlimit(0, RLIMIT_NOFILE, &(struct rlimit){ 50, 60 }, NULL));
	say("sethostname", sethostname("x", 1));
	return t_failed;
}
