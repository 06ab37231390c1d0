/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setuid.c - a set-user-id program runs with its owner's id inside
 *
 * The program copies itself, gives the copy to uid 1000 with the set-uid bit,
 * and runs the copy; the other way round, a root-owned copy run by uid 1000.
 */
#include <grp.h>
#include <sys/prctl.h>

#include "t.h"

static void copy_self(const char *to, uid_t owner, mode_t mode)
{
	char buf[65536];
	int in = need("open self", open("/proc/self/exe", O_RDONLY));
	int out = need("create copy", open(to, O_WRONLY | O_CREAT, 0700));
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		need("write", write(out, buf, n));
	close(in);
	close(out);
	need("chown", chown(to, owner, owner));
	need("chmod", chmod(to, mode));
}

static void to_1000(void)
{
	execl("./as-1000", "as-1000", "report", NULL);
	failed("exec: %s", t_errno(errno));
}

static void to_root(void)
{
	need("setgroups", setgroups(0, NULL));
	need("setresgid", setresgid(1000, 1000, 1000));
	need("setresuid", setresuid(1000, 1000, 1000));
	execl("./as-root", "as-root", "report", NULL);
	failed("exec: %s", t_errno(errno));
}

static void with_nnp(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	to_root();
}

int main(int argc, char **argv)
{
	uid_t r, e, s;

	if (argc > 1) {
		getresuid(&r, &e, &s);
		fact("ids", "%d %d %d", (int)r, (int)e, (int)s);
		say("sethostname", sethostname("by-setuid", 9));
		return 0;
	}
	fact("no_new_privs", "%d", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	if (other_id() < 0)
		skip("the guest has one id");
	enter_dir();
	copy_self("as-1000", 1000, 04755);
	copy_self("as-root", 0, 04755);
	say_status("root runs 1000's", child_status(to_1000));
	say_status("1000 runs root's", child_status(to_root));
	say_status("1000 runs root's with no_new_privs", child_status(with_nnp));
	return t_failed;
}
