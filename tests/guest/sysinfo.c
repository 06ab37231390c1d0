/* SPDX-License-Identifier: Apache-2.0 */
/* sysinfo.c - the numbers of sysinfo(2) are possible and agree with /proc */
#include <sys/sysinfo.h>

#include "t.h"

int main(void)
{
	struct sysinfo s;
	char text[512];
	unsigned long kb = 0;

	need("sysinfo", sysinfo(&s));
	check("uptime is at least 0", s.uptime >= 0);
	check("there is memory", s.totalram > 0 && s.mem_unit > 0);
	check("not more memory is free than there is", s.freeram <= s.totalram);
	check("not more swap is free than there is", s.freeswap <= s.totalswap);
	check("there are processes", s.procs > 0);
	check("/proc/meminfo has MemTotal",
	      read_file("/proc/meminfo", text, sizeof(text)) > 0 &&
		      sscanf(text, "MemTotal: %lu kB", &kb) == 1 && kb > 0);
	say("sysinfo of a bad pointer", syscall(SYS_sysinfo, 1L));
	return t_failed;
}
