/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.c - run a program natively, in fresh namespaces
 *
 *   reference [-s] PROGRAM ARG...
 *
 * The runner compares a guest with this: the same new namespaces and root of
 * a user namespace, but no mask and no guest kernel, so that what a program
 * prints here is what the host kernel says. Root maps all ids to themselves,
 * an ordinary user its subordinate range (newuidmap), or, with -s or when there
 * is no range, only itself. Ends with the program's status (128+N for a signal).
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/mount.h>
#include <net/if.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "t.h"

#define STACK_SIZE (256 * 1024)

static int go[2];
static char **command;

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (ioctl(fd, SIOCSIFFLAGS, &ifr) == -1)
		perror("reference: lo");
	close(fd);
}

static void mounts(void)
{
	need("private", mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	need("tmp", mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"));
	need("pts", mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620"));
	need("ptmx", mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL));
	need("shm", mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"));
	if (access("/dev/mqueue", F_OK) == 0)
		mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
	need("proc", mount("proc", "/proc", "proc", 0, NULL));
}

/* pid 1: reaps, as weir's small init does. */
static int inside(void *arg)
{
	char c;
	int status = 0;
	pid_t pid, child;

	(void)arg;
	close(go[1]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go[0], &c, 1) != 1)
		_exit(125);
	close(go[0]);
	need("setresgid", setresgid(0, 0, 0));
	need("setresuid", setresuid(0, 0, 0));
	mounts();
	loopback_up();
	sethostname("reference", 9);
	child = need("fork", fork());
	if (child == 0) {
		execvp(command[0], command);
		fprintf(stderr, "reference: %s: %s\n", command[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	while ((pid = wait(&status)) != child)
		if (pid == -1 && errno != EINTR)
			_exit(125);
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return write_file(path, text);
}

/* "NAME:START:COUNT" of our user in /etc/subuid or /etc/subgid. */
static bool sub_range(const char *file, unsigned *start, unsigned *count)
{
	FILE *passwd = fopen("/etc/passwd", "r");	/* getpwuid() does not go with -static */
	FILE *f = fopen(file, "r");
	struct passwd *pw;
	char line[256];
	size_t len;
	bool found = false;

	while (passwd && (pw = fgetpwent(passwd)) && pw->pw_uid != getuid())
		;
	len = passwd && pw ? strlen(pw->pw_name) : 0;

	while (len && f && !found && fgets(line, sizeof(line), f))
		if (strncmp(line, pw->pw_name, len) == 0 && line[len] == ':')
			found = sscanf(line + len, ":%u:%u", start, count) == 2;
	if (f)
		fclose(f);
	if (passwd)
		fclose(passwd);
	return found;
}

static int map_range(const char *tool, pid_t pid, unsigned own, unsigned start, unsigned count)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "%s %d 0 %u 1 1 %u %u", tool, (int)pid, own, start, count);
	return system(cmd) == 0 ? 0 : -1;
}

static int map_ids(pid_t pid, bool single)
{
	unsigned ustart, ucount, gstart, gcount;
	char map[64];

	if (getuid() == 0 && !single)
		return write_map(pid, "uid_map", "0 0 65536\n") ?:
		       write_map(pid, "gid_map", "0 0 65536\n");
	if (!single && sub_range("/etc/subuid", &ustart, &ucount) &&
	    sub_range("/etc/subgid", &gstart, &gcount))
		return map_range("newuidmap", pid, getuid(), ustart, ucount) ?:
		       map_range("newgidmap", pid, getgid(), gstart, gcount);
	if (write_map(pid, "setgroups", "deny") == -1)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)getgid());
	if (write_map(pid, "gid_map", map) == -1)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1\n", (unsigned)getuid());
	return write_map(pid, "uid_map", map);
}

int main(int argc, char **argv)
{
	bool single = argc > 1 && strcmp(argv[1], "-s") == 0;
	char *stack = malloc(STACK_SIZE);
	int status;
	pid_t pid;

	command = argv + 1 + single;
	if (!*command || !stack)
		return 2;
	need("pipe", pipe2(go, O_CLOEXEC));
	pid = clone(inside, stack + STACK_SIZE,
		    SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS |
			    CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP,
		    NULL);
	if (pid == -1) {
		perror("reference: clone");
		return 125;
	}
	close(go[0]);
	if (map_ids(pid, single) == -1) {
		fprintf(stderr, "reference: cannot write the id maps\n");
		return 125;
	}
	if (write(go[1], "g", 1) != 1)
		return 125;
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
