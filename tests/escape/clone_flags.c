/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone_flags.c - each flag of clone and clone3, one by one, through each door
 *
 * What a clone with a flag makes is in the namespaces that the caller was in (or in
 * one that the policy lets it make), has no capability that the caller had not, and
 * the same filters. Where the flags lie in memory (clone3), and through the doors of
 * i386 and x32, nothing is made.
 */
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>

#include "../guest/t.h"
#include "raw.h"

#define STACK (64 * 1024)
#define NR_I386_CLONE 120
#define NR_X32_CLONE (56 | X32_BIT)

/* Of no use without memory or a descriptor of the caller's, or which hand over more than
 * a process: such a child makes no call but exit, on a stack of its own. */
#define SHARES (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_VFORK)
#define TOUCHES (CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | \
		 CLONE_PIDFD)
#define NEVER ((uint64_t)(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWUTS))

static const char *const spaces[] = { "user", "net", "uts", "ipc", "mnt", "pid", "cgroup", "time" };
static char before[ARRAY_SIZE(spaces)][64];
static uint64_t caps, bits;

static void space(size_t i, char ret[64])
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i]);
	n = readlink(path, ret, 63);
	ret[n > 0 ? n : 0] = '\0';
}

static uint64_t status_field(const char *field)
{
	char text[4096], *at;

	if (read_file("/proc/self/status", text, sizeof(text)) == -1)
		return 0;
	at = strstr(text, field);
	return at ? strtoull(at + strlen(field), NULL, 16) : 0;
}

/* In the child: what has it that its maker had not? */
static int look(void)
{
	char now[64];

	/* The first three are never new ones; of the others /proc of another pid namespace
	 * may say nothing. */
	for (size_t i = 0; i < 3; i++) {
		space(i, now);
		if (now[0] && strcmp(now, before[i]) != 0)
			return 10 + i;
	}
	if (status_field("\nCapEff:") & ~caps)
		return 20;
	if (now[0] && status_field("\nSeccomp:") != 2)
		return 21;
	return 0;
}

static void judge(const char *door, uint64_t flags, long pid)
{
	int status = 0;

	if (pid < 0) {
		if ((flags & NEVER) && !refused(pid) && pid != -EINVAL)
			failed("%s with %#llx: %ld", door, (unsigned long long)flags, pid);
		return;
	}
	if (flags & NEVER)
		failed("%s with %#llx made pid %ld", door, (unsigned long long)flags, pid);
	if (waitpid(pid, &status, __WALL) == pid && status)
		failed("%s with %#llx: the child says %#x", door, (unsigned long long)flags, status);
}

static void by_clone(uint64_t flag)
{
	static int word[4];
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t flags = flag;
	long pid;

	if (flag & CLONE_THREAD)
		flags |= CLONE_SIGHAND;
	if (flags & CLONE_SIGHAND)
		flags |= CLONE_VM;
	if (!(flags & CLONE_THREAD))
		flags |= SIGCHLD;
	if (flag & CLONE_PARENT)	/* the child is another's, who does not wait for it */
		return;
	if (flags & SHARES) {
		/* Nothing of it may touch a stack: not even a return. */
		pid = raw64(SYS_clone, flags, (long)stack + STACK / 2, (long)&word[0], (long)&word[1],
			    0, 0);
		if (pid == 0)
			raw64(SYS_exit, 0, 0, 0, 0, 0, 0);
		if (pid > 0 && (flags & CLONE_THREAD)) {
			fact("a thread", "made");
			return;
		}
	} else {
		/* CLONE_SETTLS gives the child this for its thread: no libc there. */
		bool raw = flag & TOUCHES;

		pid = raw64(SYS_clone, flags, 0, (long)&word[0], (long)&word[1], (long)&word[2], 0);
		if (pid == 0 && raw)
			raw64(SYS_exit, 0, 0, 0, 0, 0, 0);
		if (pid == 0)
			_exit(look());
	}
	judge("clone", flags, pid);
}

static void by_clone3(uint64_t flag)
{
	struct clone_args *args = low_page();
	long pid;

	if (!args)
		return;
	*args = (struct clone_args){ .flags = flag, .exit_signal = SIGCHLD };
	pid = raw64(SYS_clone3, (long)args, sizeof(*args), 0, 0, 0, 0);
	if (pid == 0)
		_exit(1);
	if (pid != -ENOSYS)
		failed("clone3 with %#llx: %ld", (unsigned long long)flag, pid);
	pid = raw64(SYS_clone3 | X32_BIT, (long)args, sizeof(*args), 0, 0, 0, 0);
	if (pid == 0)
		_exit(1);
	if (!refused(pid))
		failed("clone3 by x32 with %#llx: %ld", (unsigned long long)flag, pid);
}

static void by_i386(void)
{
	struct clone_args *args = low_page();
	long pid = raw32(NR_I386_CLONE, bits | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (!refused(pid))
		failed("clone by i386 with %#llx: %ld", (unsigned long long)bits, pid);
	*args = (struct clone_args){ .flags = bits, .exit_signal = SIGCHLD };
	pid = raw32(SYS_clone3, (long)args, sizeof(*args), 0, 0, 0);
	if (pid == 0)
		_exit(0);
	if (!refused(pid))
		failed("clone3 by i386 with %#llx: %ld", (unsigned long long)bits, pid);
}

static void one_flag(void)
{
	long pid;

	by_clone3(bits);
	pid = raw64(NR_X32_CLONE, bits | SIGCHLD, 0, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	if (!refused(pid))
		failed("clone by x32 with %#llx: %ld", (unsigned long long)bits, pid);
	if (bits <= UINT32_MAX && (bits & 0xff) == 0)	/* the rest is clone's signal */
		by_clone(bits);
}

/* The policy may answer the i386 door by killing. */
static void answered_or_killed(void (*door)(void))
{
	int status = child_status(door);

	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGSYS : WEXITSTATUS(status) > 1)
		failed("%#llx by i386: status %#x", (unsigned long long)bits, status);
}

int main(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		space(i, before[i]);
	caps = status_field("\nCapEff:");
	for (int bit = 0; bit < 64; bit++) {
		bits = UINT64_C(1) << bit;
		in_child(one_flag);
		if (bits <= UINT32_MAX)
			answered_or_killed(by_i386);
	}
	check("each flag by each door", !t_failed);
	check("the guest kernel answers", answers());
	return t_failed;
}
