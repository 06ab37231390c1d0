/* SPDX-License-Identifier: Apache-2.0 */
/* pid1.c - pid 1 is there, reaps orphans, and no signal from inside ends it */
#include <sys/prctl.h>

#include "t.h"

int main(void)
{
	char buf[4096];
	int sync[2], i;
	pid_t orphan = 0;
	char path[64];

	say("kill(1, 0)", kill(1, 0));
	say("kill(1, SIGKILL)", kill(1, SIGKILL));
	say("kill(1, SIGSTOP)", kill(1, SIGSTOP));
	check("pid 1 runs still", read_file("/proc/1/status", buf, sizeof(buf)) > 0 &&
					  !strstr(buf, "State:\tT") && !strstr(buf, "State:\tZ"));
	need("pipe", pipe(sync));
	if (fork() == 0) {
		pid_t child = fork();

		if (child == 0) {
			char c;

			close(sync[1]);
			while (getppid() != 1)
				usleep(1000);
			dprintf(1, "the orphan's parent: %d\n", (int)getppid());
			if (read(sync[0], &c, 1) == -1)
				_exit(1);
			_exit(0);
		}
		if (write(sync[1], &child, sizeof(child)) == -1)
			_exit(1);
		_exit(0);
	}
	wait(NULL);
	need("read", read(sync[0], &orphan, sizeof(orphan)));
	usleep(100000);
	close(sync[0]);
	close(sync[1]);
	snprintf(path, sizeof(path), "/proc/%d", (int)orphan);
	for (i = 0; i < 500 && access(path, F_OK) == 0; i++)
		usleep(10000);
	check("pid 1 reaped the orphan", access(path, F_OK) == -1);
	return t_failed;
}
