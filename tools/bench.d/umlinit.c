// SPDX-License-Identifier: Apache-2.0
/*
 * umlinit.c - pid 1 of a User-mode Linux whose root is the host's, read-only
 *
 * Makes the few mounts a program expects, brings the loopback up, runs /bin/sh on the file that
 * BENCH_JOB names (given on the kernel's command line, and so in init's environment, as is
 * BENCH_DIR) and powers off. The job's output goes to the console between two lines that the reader
 * on the host looks for, because the kernel talks there too; the second one carries the exit
 * status.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void mount_all(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	/* Fails where the kernel has mounted it already. */
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mkdir("/dev/pts", 0755);
	/* The disk, if it is given one: there is no udev. */
	mknod("/dev/ubda", S_IFBLK | 0600, makedev(98, 0));
	mount("shm", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount("pts", "/dev/pts", "devpts", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, "mode=1777");
	mount("run", "/run", "tmpfs", 0, "mode=755");
	(void)!symlink("/proc/self/fd", "/dev/fd");
}

/* A build directory below /tmp is hidden by the tmpfs there: mount that part of the host again. */
static void build_dir_mount(const char *dir)
{
	char path[512];

	if (!dir || strncmp(dir, "/tmp/", 5) || strlen(dir) >= sizeof(path))
		return;
	strcpy(path, dir);
	for (char *slash = strchr(path + 5, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
	mount("none", path, "hostfs", MS_RDONLY, path);
}

static void console_open(void)
{
	struct termios t;
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (tcgetattr(0, &t) == 0) {
		cfmakeraw(&t);
		tcsetattr(0, TCSANOW, &t);
	}
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(ifr.ifr_name, "lo");
	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &ifr);
		close(fd);
	}
}

int main(void)
{
	char *job = getenv("BENCH_JOB");
	int status = 127 << 8;
	pid_t pid;

	mount_all();
	build_dir_mount(getenv("BENCH_DIR"));
	console_open();
	loopback_up();
	sethostname("uml", 3);
	printf("\n@@weir-bench begin\n");
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		setsid();
		execl("/bin/sh", "sh", job, (char *)NULL);
		_exit(127);
	}
	/* Orphans come here too. */
	while (pid > 0) {
		int one;
		pid_t got = wait(&one);

		if (got == pid)
			status = one;
		if (got == pid || got < 0)
			break;
	}
	printf("\n@@weir-bench end %d\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
