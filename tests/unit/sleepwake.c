/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake.c - tasks to observe, and a trace of what is told of them
 */
#include "sleepwake.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "passthrough/hostcall.h"

/* ---- the observed ---------------------------------------------------------- */

/* How often has a task slept? */
static unsigned off_cpu(pid_t pid)
{
	char path[64], text[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	CHECK(host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
	line = strstr(text, "\nvoluntary_ctxt_switches:");
	CHECK(line);
	return strtoul(strchr(line, '\t'), NULL, 10);
}

void child_go(struct child *c)
{
	CHECK(write(c->go, "g", 1) == 1);
}

void child_end(struct child *c)
{
	int status;

	CHECK(waitpid(c->pid, &status, 0) == c->pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	close(c->go);
	munmap(c->report, sizeof(*c->report));
}

char task_state(pid_t pid)
{
	char path[64], text[1024], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CHECK(host_read_file(AT_FDCWD, path, text, sizeof(text)) > 0);
	end = strrchr(text, ')');
	CHECK(end);
	return end[2];
}

void await_state(pid_t pid, char state)
{
	while (task_state(pid) != state)
		sched_yield();
}

struct child child_start(void (*body)(int in, struct report *rep))
{
	struct child c = { 0 };
	char byte;
	int p[2];

	c.report = mmap(NULL, sizeof(*c.report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CHECK(c.report != MAP_FAILED && pipe2(p, O_CLOEXEC) == 0);
	sem_init(&c.report->sem, 1, 0);
	c.pid = fork();
	CHECK(c.pid >= 0);
	if (c.pid == 0) {
		close(p[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(p[0], &byte, 1) != 1)
			_exit(1);
		getrusage(RUSAGE_SELF, &c.report->begin);
		body(p[0], c.report);
		getrusage(RUSAGE_SELF, &c.report->end);
		_exit(0);
	}
	close(p[0]);
	c.go = p[1];
	/* Off its CPU, not only about to leave it. */
	while (off_cpu(c.pid) == 0 || task_state(c.pid) != 'S')
		sched_yield();
	return c;
}

void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
}

void pingpong(unsigned turns, int cpu1, int cpu2, struct report *rep)
{
	int a[2], b[2];
	char byte = 0;
	pid_t pid;

	CHECK(pipe(a) == 0 && pipe(b) == 0);
	pid = fork();
	if (pid == 0) {
		if (cpu2 >= 0)
			use_cpu(cpu2);
		for (unsigned i = 0; i < turns; i++)
			CHECK(read(a[0], &byte, 1) == 1 && write(b[1], &byte, 1) == 1);
		_exit(0);
	}
	rep->other = pid;
	if (cpu1 >= 0)
		use_cpu(cpu1);
	for (unsigned i = 0; i < turns; i++)
		CHECK(write(a[1], &byte, 1) == 1 && read(b[0], &byte, 1) == 1);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* ---- the observer ------------------------------------------------------------ */

static void model(struct trace *t, const struct sleepwake_record *r)
{
	uint8_t *s = &t->state[r->tid % MAX_PID];
	bool run = r->kind == SLEEPWAKE_RUN;

	if (run || r->kind == SLEEPWAKE_SLEEP || r->kind == SLEEPWAKE_PREEMPT) {
		t->twice += *s == (run ? 1 : 2);
		*s = run ? 1 : 2;
	} else if (r->kind == SLEEPWAKE_FORK) {
		t->twice += *s == 1;
		*s = 2;
	} else if (r->kind == SLEEPWAKE_EXIT) {
		*s = 0;
	}
}

static void on_record(void *ctx, const struct sleepwake_record *r)
{
	struct trace *t = ctx;

	if (t->hold) {
		sem_wait(t->hold);
		t->hold = NULL;
	}
	pthread_mutex_lock(&t->lock);
	t->backwards += r->ns < t->last_ns;
	t->last_ns = r->ns;
	t->count[r->kind]++;
	if (r->kind == SLEEPWAKE_LOST) {
		t->losses++;
		t->lost += r->lost;
		memset(t->state, 0, MAX_PID);
	} else {
		model(t, r);
	}
	if (t->n < KEPT)
		t->kept[t->n] = *r;
	t->n++;
	pthread_mutex_unlock(&t->lock);
}

static void on_drained(void *ctx, uint64_t now_ns, unsigned n)
{
	struct trace *t = ctx;

	pthread_mutex_lock(&t->lock);
	CHECK(now_ns >= t->last_ns);
	t->drains++;
	pthread_mutex_unlock(&t->lock);
}

/* Is what follows from the host's refusal, not from us? */
static bool refused(int ret)
{
	return ret == -EPERM || ret == -EACCES || ret == -ENOSYS || ret == -ENOENT;
}

struct trace *trace_open(size_t ring_bytes)
{
	struct trace *t = calloc(1, sizeof(*t));
	struct sleepwake_config cfg = { .record = on_record, .drained = on_drained, .ctx = t };
	int ret;

	CHECK(t);
	pthread_mutex_init(&t->lock, NULL);
	t->kept = calloc(KEPT, sizeof(*t->kept));
	t->state = calloc(MAX_PID, 1);
	CHECK(t->kept && t->state);
	cfg.ring_bytes = ring_bytes;
	ret = sleepwake_open(&cfg, &t->sw);
	if (refused(ret))
		_exit(DENIED);
	errno = -ret;
	CHECK(ret == 0);
	return t;
}

/* The end of every case. */
void trace_close(struct trace *t)
{
	sleepwake_drain(t->sw);
	sleepwake_close(t->sw);
	CHECK(t->drains);
	CHECK(t->backwards == 0);
	CHECK(t->twice == 0);
	free(t->kept);
	free(t->state);
	free(t);
}

void attach(struct trace *t, pid_t tid)
{
	int ret = sleepwake_attach(t->sw, tid);

	errno = -ret;
	CHECK(ret == 0);
}

unsigned count(struct trace *t, enum sleepwake_kind kind, pid_t tid)
{
	unsigned n = 0;

	pthread_mutex_lock(&t->lock);
	CHECK(t->n <= KEPT);
	for (unsigned i = 0; i < t->n; i++)
		n += t->kept[i].kind == kind && (!tid || t->kept[i].tid == tid);
	pthread_mutex_unlock(&t->lock);
	return n;
}

bool is_running(struct trace *t, pid_t tid)
{
	bool ret;

	pthread_mutex_lock(&t->lock);
	ret = t->state[tid] == 1;
	pthread_mutex_unlock(&t->lock);
	return ret;
}

const struct sleepwake_record *find_after(struct trace *t, const struct sleepwake_record *after,
					  enum sleepwake_kind kind, pid_t tid)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->n;
	pthread_mutex_unlock(&t->lock);
	for (unsigned i = after ? after - t->kept + 1 : 0; i < n && i < KEPT; i++)
		if (t->kept[i].kind == kind && t->kept[i].tid == tid)
			return &t->kept[i];
	fprintf(stderr, "no record of kind %d for %d among %llu\n", kind, tid,
		(unsigned long long)n);
	_exit(1);
}

const struct sleepwake_record *find(struct trace *t, enum sleepwake_kind kind, pid_t tid)
{
	return find_after(t, NULL, kind, tid);
}

void observe(struct trace *t, struct child *c)
{
	attach(t, c->pid);
	child_go(c);
	CHECK(waitid(P_PID, c->pid, NULL, WEXITED | WNOWAIT) == 0);
	sleepwake_drain(t->sw);
}

/* ---- who does a case ---------------------------------------------------------- */

static struct who whos[3];
static unsigned nwhos;

static void become(const struct who *w)
{
	if (getuid() != w->uid)
		CHECK(setgroups(0, NULL) == 0 && setresgid(w->gid, w->gid, w->gid) == 0 &&
		      setresuid(w->uid, w->uid, w->uid) == 0);
	/* What setresuid() took away; a guest kernel is dumpable to itself as well. */
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	if (w->userns) {
		char map[32];

		if (unshare(CLONE_NEWUSER) < 0)
			_exit(DENIED);	/* a host without, or a sanitizer's own thread */
		snprintf(map, sizeof(map), "0 %u 1\n", w->uid);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/uid_map", map) == 0);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") == 0);
		snprintf(map, sizeof(map), "0 %u 1\n", w->gid);
		CHECK(host_write_file(AT_FDCWD, "/proc/self/gid_map", map) == 0);
	}
}

void run_case(void (*body)(const struct who *))
{
	unsigned denied = 0;

	for (unsigned i = 0; i < nwhos; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			become(&whos[i]);
			body(&whos[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == DENIED)
			denied++;
		else if (status)
			fail_msg("as %s: status %#x", whos[i].name, status);
	}
	if (denied == nwhos)
		skip();
}

int whos_setup(void **state)
{
	struct passwd *pw = NULL;
	uid_t uid = getuid();
	gid_t gid = getgid();

	if (uid == 0) {
		whos[nwhos++] = (struct who){ "root", 0, 0, false };
		pw = getpwnam("probeu");
		if (!pw)
			return 0;
		uid = pw->pw_uid;
		gid = pw->pw_gid;
	}
	whos[nwhos++] = (struct who){ "user", uid, gid, false };
	whos[nwhos++] = (struct who){ "user namespace", uid, gid, true };
	return 0;
}

void spin_until_told(int in, struct report *rep)
{
	CHECK(fcntl(in, F_SETFL, O_NONBLOCK) == 0);
	for (char byte; read(in, &byte, 1) != 1;)
		rep->turns++;
}

uint64_t await_asleep(const struct trace *t)
{
	uint64_t n;

	do {
		n = sleepwake_wakeups(t->sw);
		usleep(300000);
	} while (sleepwake_wakeups(t->sw) != n);
	return n;
}

unsigned descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
