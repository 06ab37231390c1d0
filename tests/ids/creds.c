/* SPDX-License-Identifier: Apache-2.0 */
/*
 * creds.c - what the calls that change ids make of them: every answer, one line each
 *
 * Run by root. From each starting point each call with each argument is made in a
 * process of its own, which then says what it has become; natively and in a guest the
 * lines are the same.
 */
#include <grp.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../guest/t.h"

static const struct start {
	uid_t r, e, s;
	bool keep;	/* PR_SET_KEEPCAPS */
} starts[] = {
	{ 0, 0, 0, false },    { 0, 0, 0, true },	 { 1000, 0, 0, false },
	{ 1000, 1001, 0, false }, { 0, 1000, 0, false }, { 1000, 1000, 1000, false },
	{ 1000, 1001, 1002, false }, { 1000, 1000, 0, false }, { 1000, 1000, 1001, true },
};

static const uid_t ids[] = { -1, 0, 1000, 1001, 1002 };

/* The sets in words that do not depend on what the host's root may. */
static const char *caps(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	static char buf[64];

	if (syscall(SYS_capget, &h, d) < 0)
		return t_errno(errno);
	snprintf(buf, sizeof(buf), "%s%s%s", d[0].permitted & 1 << CAP_CHOWN ? "p" : "-",
		 d[0].effective & 1 << CAP_CHOWN ? "e" : "-",
		 d[0].effective & 1 << CAP_SETUID ? "u" : "-");
	return buf;
}

/* From the text that the kernel writes, too. */
static void status_line(const char *name)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			printf("    %s", line);
	if (f)
		fclose(f);
}

static void tell(void)
{
	uid_t r, e, s;
	gid_t g[3];

	getresuid(&r, &e, &s);
	getresgid(&g[0], &g[1], &g[2]);
	printf("    %d %d %d fs %d, group %d %d %d fs %d, %s, keep %d, get %d %d %d %d\n", r, e, s,
	       setfsuid(-1), g[0], g[1], g[2], setfsgid(-1), caps(), prctl(PR_GET_KEEPCAPS), getuid(),
	       geteuid(), getgid(), getegid());
	status_line("Uid:");
	status_line("Gid:");
}

static int begin(const struct start *s, bool group)
{
	if (s->keep && prctl(PR_SET_KEEPCAPS, 1) < 0)
		return -1;
	return group ? setresgid(s->r, s->e, s->s) : setresuid(s->r, s->e, s->s);
}

/* One call in a process of its own; the numbers are raw calls' to leave libc out. */
static void one(const struct start *s, bool group, const char *name, long nr, int n, uid_t a, uid_t b,
		uid_t c)
{
	pid_t pid;

	printf("%s %d/%d/%d%s: %s", group ? "gid" : "uid", s->r, s->e, s->s, s->keep ? " keep" : "", name);
	printf(n == 1 ? "(%d)\n" : n == 2 ? "(%d, %d)\n" : "(%d, %d, %d)\n", a, b, c);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		long ret;

		if (begin(s, group) < 0)
			printf("FAILED to begin: %s\n", t_errno(errno));
		ret = syscall(nr, a, b, c);
		printf("    %ld %s\n", ret, ret < 0 ? t_errno(errno) : "");
		tell();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void changes(bool group)
{
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		const struct start *s = &starts[i];

		for (size_t a = 0; a < ARRAY_SIZE(ids); a++) {
			one(s, group, "set", group ? SYS_setgid : SYS_setuid, 1, ids[a], 0, 0);
			one(s, group, "setfs", group ? SYS_setfsgid : SYS_setfsuid, 1, ids[a], 0, 0);
			for (size_t b = 0; b < ARRAY_SIZE(ids); b++) {
				one(s, group, "setre", group ? SYS_setregid : SYS_setreuid, 2, ids[a],
				    ids[b], 0);
				for (size_t c = 0; c < ARRAY_SIZE(ids); c += 2)
					one(s, group, "setres", group ? SYS_setresgid : SYS_setresuid, 3,
					    ids[a], ids[b], ids[c]);
			}
		}
	}
}

/* What stays over fork, a thread and exec; the limit that nobody may see through. */
static void inheritance(const char *self)
{
	struct rlimit l = { 5, 5 };
	pid_t pid = fork();

	if (pid == 0) {
		gid_t groups[] = { 7, 1000, 4000 };

		if (setgroups(3, groups) < 0 || setresgid(1000, 1000, 1000) < 0 ||
		    setresuid(1000, 1001, 1002) < 0)
			printf("FAILED to begin: %s\n", t_errno(errno));
		printf("setrlimit: %d\n", setrlimit(RLIMIT_LOCKS, &l) < 0 ? errno : 0);
		getrlimit(RLIMIT_LOCKS, &l);
		printf("groups: %d\n", getgroups(0, NULL));
		tell();
		status_line("Groups:");
		fflush(stdout);
		if (fork() == 0) {
			printf("child\n");
			tell();
			fflush(stdout);
			execl(self, self, "tell", NULL);
			_exit(1);
		}
		wait(NULL);
		printf("setgroups: %d\n", setgroups(1, groups) < 0 ? errno : 0);
		fflush(stdout);
		execl("/nowhere", "nowhere", NULL);
		printf("after an exec that failed\n");
		tell();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "tell") == 0) {
		gid_t groups[64];
		int n = getgroups(64, groups);

		tell();
		for (int i = 0; i < n; i++)
			printf("    group %d\n", groups[i]);
		return 0;
	}
	if (setgroups(0, NULL) < 0)
		printf("FAILED setgroups: %s\n", t_errno(errno));
	changes(false);
	changes(true);
	inheritance(argv[0]);
	return 0;
}
