/* SPDX-License-Identifier: Apache-2.0 */
/* hostname.c - host and domain name: set, get, too long, bad pointer, not root */
#include <grp.h>
#include <sys/utsname.h>

#include "t.h"

static void not_root(void)
{
	need("setgroups", setgroups(0, NULL));
	need("setresgid", setresgid(1000, 1000, 1000));
	need("setresuid", setresuid(1000, 1000, 1000));
	say("sethostname as uid 1000", sethostname("evil", 4));
	say("setdomainname as uid 1000", setdomainname("evil", 4));
}

int main(void)
{
	char name[256], proc[256], longest[64];
	struct utsname u;

	say("sethostname", sethostname("weir-test", 9));
	say("gethostname", gethostname(name, sizeof(name)));
	check("the name is the one set", strcmp(name, "weir-test") == 0);
	check("uname knows it", uname(&u) == 0 && strcmp(u.nodename, "weir-test") == 0);
	check("/proc/sys/kernel/hostname knows it",
	      read_file("/proc/sys/kernel/hostname", proc, sizeof(proc)) > 0 &&
		      strcmp(proc, "weir-test\n") == 0);
	say("setdomainname", setdomainname("weir.example", 12));
	check("uname knows the domain",
	      uname(&u) == 0 && strcmp(u.domainname, "weir.example") == 0);

	memset(longest, 'a', sizeof(longest));
	say("sethostname of 64 bytes", sethostname(longest, 64));
	check("all 64 are kept", uname(&u) == 0 && strlen(u.nodename) == 64);
	say("sethostname of 65 bytes", syscall(SYS_sethostname, longest, 65));
	say("sethostname of -1 bytes", syscall(SYS_sethostname, longest, -1));
	say("sethostname of 0 bytes", sethostname("", 0));
	check("the name is empty", uname(&u) == 0 && u.nodename[0] == '\0');
	say("sethostname of a bad pointer", syscall(SYS_sethostname, 1L, 5));
	say("setdomainname of a bad pointer", syscall(SYS_setdomainname, 1L, 5));
	say("sethostname with a NUL inside", sethostname("a\0b", 3));
	check("the name ends at the NUL", uname(&u) == 0 && strcmp(u.nodename, "a") == 0);
	if (other_id() > 0)
		in_child(not_root);
	return t_failed;
}
