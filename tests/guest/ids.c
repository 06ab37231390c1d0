/* SPDX-License-Identifier: Apache-2.0 */
/* ids.c - users and groups inside: change, check, and give files away */
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#include "t.h"

static void become(void)
{
	gid_t groups[3] = { 1000, 100, 50 }, got[8];
	uid_t r, e, s;

	say("setgroups", setgroups(3, groups));
	say_number("getgroups", getgroups(8, got));
	say("setresgid", setresgid(1000, 1000, 1000));
	say("setresuid, keeping root", setresuid(1000, 1000, 0));
	getresuid(&r, &e, &s);
	fact("ids", "%d %d %d", (int)r, (int)e, (int)s);
	say("a file of root's", open("private", O_RDONLY));
	say("back to root", seteuid(0));
	say("the file again", open("private", O_RDONLY));
	say("give it away", chown("private", 1000, 1000));
	say("for good", setresuid(1000, 1000, 1000));
	say("back", setresuid(0, 0, 0));
	say("setgroups", setgroups(0, NULL));
	say("give a file away as 1000", chown("private", 0, 0));
	fact("setfsuid tells", "%d", setfsuid(-1));
	say("kill pid 1", kill(1, 0));
}

static void threads_differ(void)
{
	/* A raw call changes this thread only; here there is one. */
	say("raw setresuid", syscall(SYS_setresuid, 1000, 1000, 1000));
	say("sethostname after it", sethostname("x", 1));
}

int main(void)
{
	char caps[4096];

	fact("uid gid", "%d %d", (int)getuid(), (int)getgid());
	check("there is a CapEff line", read_file("/proc/self/status", caps, sizeof(caps)) > 0 &&
						strstr(caps, "\nCapEff:"));
	say("to an id that is not mapped", setresuid(3000000000u, -1, -1));
	enter_dir();
	chmod(".", 0777);
	write_file("private", "x");
	chmod("private", 0600);
	say("chown to an id that is not mapped", chown("private", 3000000000u, -1));
	if (other_id() < 0)
		skip("the guest has one id");
	say_status("become", child_status(become));
	say_status("threads", child_status(threads_differ));
	return t_failed;
}
