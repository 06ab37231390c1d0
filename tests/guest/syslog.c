/* SPDX-License-Identifier: Apache-2.0 */
/* syslog.c - the kernel log is the guest's own, not the host's */
#include <sys/klog.h>

#include "t.h"

int main(int argc, char **argv)
{
	static char log[1 << 20];
	int size = klogctl(10, NULL, 0);	/* size of the buffer */
	int n, i, lines = 0;

	say("size of the log", size);
	n = klogctl(3, log, sizeof(log) - 1);	/* read all */
	say("read it", n);
	if (n >= 0) {
		log[n] = '\0';
		for (i = 0; i < n; i++)
			lines += log[i] == '\n';
		check("it has lines", lines > 0);
		check("it names weir", strstr(log, "weir") != NULL);
		check("it is not the host's", !strstr(log, "Command line:") &&
						      !strstr(log, "Memory: ") &&
						      !strstr(log, "BIOS-"));
	}
	say("read of -1 bytes", klogctl(3, log, -1));
	say("read to a bad pointer", syscall(SYS_syslog, 3, 1L, (int)sizeof(log)));
	say("unknown action", klogctl(42, NULL, 0));
	say("console level", klogctl(8, NULL, 9999));
	return t_failed;
}
