/* SPDX-License-Identifier: Apache-2.0 */
/* uname.c - what the guest is told about its kernel is one story */
#include <sys/utsname.h>

#include "t.h"

int main(void)
{
	char text[512];
	struct utsname u;
	int major = 0, minor = 0;

	need("uname", uname(&u));
	fact("sysname", "%s", u.sysname);
	fact("machine", "%s", u.machine);
	check("release starts with two numbers",
	      sscanf(u.release, "%d.%d", &major, &minor) == 2 && major >= 5);
	check("/proc/sys/kernel/osrelease agrees",
	      read_file("/proc/sys/kernel/osrelease", text, sizeof(text)) > 0 &&
		      strncmp(text, u.release, strlen(u.release)) == 0);
	check("/proc/version names Linux", read_file("/proc/version", text, sizeof(text)) > 0 &&
						   strncmp(text, "Linux version ", 14) == 0);
	say("uname of a bad pointer", syscall(SYS_uname, 1L));
	return t_failed;
}
