// SPDX-License-Identifier: Apache-2.0
/*
 * micro.c - times single operations and prints one JSON object a line
 *
 * The same static program runs natively and inside every peer, so the only thing that differs is
 * what lies under its system calls. For each name given: a process of its own, a warm-up that also
 * finds how many operations fill a batch, then the batches:
 *
 *   {"name": "getppid", "n": 80000, "ns": [118.2, 117.9, …], "note": "EPERM"}
 *
 * "ns" holds nanoseconds for one operation, one number a batch. What goes wrong is an object with
 * "error" in place of "ns", and the next name is measured all the same. The caller pins the whole
 * runner to a CPU; nothing here changes affinity, because in some runners that is a guest's matter
 * and not the host's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "micro.h"

#define MAX_BATCHES 100
#define MAX_OPS 50000000L
#define NS_PER_MS INT64_C(1000000)

struct micro_options options = { .file = "/etc/passwd", .scratch = "/dev/shm" };
const char *bench_note;

/*
 * Tasks that are started in a batch: for its first 10 to 30 ms the host may have two of them on one
 * CPU while another one is idle, which is chance. A batch is as long as makes that little of it.
 */
#define TOGETHER_MS 200

static const struct bench benches[] = {
	/* clang-format off */
	{ "getppid",	NULL,		run_getppid },
	{ "clock-real",	NULL,		run_clock_real },
	{ "clock-mono",	NULL,		run_clock_mono },
	{ "clock-day",	NULL,		run_clock_day },
	{ "cond-wait",	NULL,		run_cond_wait },
	{ "read",	setup_read,	run_read },
	{ "write",	setup_write,	run_write },
	{ "stat",	NULL,		run_stat },
	{ "open",	NULL,		run_open },
	{ "mmap",	NULL,		run_mmap },
	{ "fault",	NULL,		run_fault },
	{ "fork",	NULL,		run_fork },
	{ "exec",	NULL,		run_exec },
	{ "exec-true",	NULL,		run_exec_true },
	{ "pipe",	setup_pipe,	run_pipe },
	{ "thread",	NULL,		run_thread },
	{ "proc-stat",	NULL,		run_proc_stat },
	{ "proc-meminfo", NULL,		run_proc_meminfo },
	{ "trap",	setup_trap,	run_trap },
	{ "notify",	NULL,		run_notify },
	{ "notify-work", setup_notify_work, run_notify_work },
	{ "pair-pipe",	setup_pair_pipe, run_pair },
	{ "pair-socket", setup_pair_socket, run_pair },
	{ "groups",	NULL,		run_groups, TOGETHER_MS },
	{ "busy",	NULL,		run_busy, TOGETHER_MS },
	{ "contend",	NULL,		run_contend, TOGETHER_MS },
	/* clang-format on */
};
#define NUM_BENCHES (sizeof(benches) / sizeof(benches[0]))

static const struct bench *bench_find(const char *name)
{
	for (size_t i = 0; i < NUM_BENCHES; i++)
		if (!strcmp(benches[i].name, name))
			return &benches[i];
	return NULL;
}

static int print_error(const char *name, const char *what)
{
	printf("{\"name\": \"%s\", \"error\": \"%s\"}\n", name, what);
	fflush(stdout);
	return 1;
}

/* Doubles the count until it fills a quarter of a batch, twice: something else may have had the CPU
 * the first time. Return: what it took the quicker time, ns, or a negative errno. */
static int64_t bench_warm_up(const struct bench *b, int64_t batch_ns, long *ret_n)
{
	for (long n = 1;; n *= 2) {
		int64_t took = b->run(n), again;

		if (took < 0)
			return took;
		if (took < batch_ns / 4 && n < MAX_OPS / 2)
			continue;
		again = b->run(n);
		if (again < 0)
			return again;
		if (again < batch_ns / 4 && n < MAX_OPS / 2)
			continue;
		*ret_n = n;
		return took < again ? took : again;
	}
}

/* How many operations make a whole batch. */
static int64_t bench_calibrate(const struct bench *b, int64_t batch_ns)
{
	long n;
	int64_t took = bench_warm_up(b, batch_ns, &n);

	if (took < 0)
		return took;
	n = (long)((double)n * batch_ns / (took ? took : 1));
	if (n < 1)
		n = 1;
	return n < MAX_OPS ? n : MAX_OPS;
}

static int bench_measure(const struct bench *b, int64_t batch_ns, int batches)
{
	double ns[MAX_BATCHES];
	int64_t n = b->setup ? b->setup() : 0;

	if (batch_ns < b->batch_ms * NS_PER_MS)
		batch_ns = b->batch_ms * NS_PER_MS;

	if (n == 0)
		n = bench_calibrate(b, batch_ns);
	for (int i = 0; n > 0 && i < batches; i++) {
		int64_t took = b->run(n);

		if (took < 0)
			n = took;
		else
			ns[i] = (double)took / n;
	}
	if (n < 0)
		return print_error(b->name, strerror((int)-n));

	printf("{\"name\": \"%s\", \"n\": %ld, \"ns\": [", b->name, (long)n);
	for (int i = 0; i < batches; i++)
		printf("%s%.2f", i ? ", " : "", ns[i]);
	printf("]");
	if (bench_note)
		printf(", \"note\": \"%s\"", bench_note);
	printf("}\n");
	fflush(stdout);
	return 0;
}

/* A bench that hangs or dies must not take the others with it. */
static int bench_isolate(const struct bench *b, int64_t batch_ns, int batches, unsigned int limit_s)
{
	char what[64];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return print_error(b->name, "fork failed");
	if (pid == 0) {
		alarm(limit_s);
		_exit(bench_measure(b, batch_ns, batches));
	}
	if (waitpid(pid, &status, 0) != pid)
		return print_error(b->name, "waitpid failed");
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGALRM)
		snprintf(what, sizeof(what), "not done after %u s", limit_s);
	else
		snprintf(what, sizeof(what), "killed by signal %d", WTERMSIG(status));
	return print_error(b->name, what);
}

/* Waits until something listens on the port of the loopback, 10 s at most. */
static int connect_main(const char *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int64_t deadline = now_ns() + 10 * (int64_t)1000000000;

	do {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return 0;
		close(fd);
		usleep(5000);
	} while (now_ns() < deadline);
	return 1;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: micro [-t BATCH_MS] [-b BATCHES] [-l LIMIT_S] [-f FILE] [-w DIR] NAME…\n"
		"       micro spawn [-s SKIP] COUNT CMD [ARG…] | connect PORT | now | list\n");
	return 2;
}

int main(int argc, char **argv)
{
	int64_t batch_ns = 10 * NS_PER_MS;
	unsigned int limit_s = 30;
	int batches = 9, failed = 0, opt;

	options.self = argv[0];
	if (argc == 2 && !strcmp(argv[1], "noop"))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "now"))
		return printf("%lld\n", (long long)now_ns()) < 0;
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (size_t i = 0; i < NUM_BENCHES; i++)
			puts(benches[i].name);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "connect"))
		return connect_main(argv[2]);
	if (argc > 1 && !strcmp(argv[1], "spawn"))
		return spawn_main(argc - 1, argv + 1);

	while ((opt = getopt(argc, argv, "t:b:l:f:w:")) != -1) {
		switch (opt) {
		case 't':
			batch_ns = atoll(optarg) * NS_PER_MS;
			break;
		case 'b':
			batches = atoi(optarg);
			break;
		case 'l':
			limit_s = (unsigned int)atoi(optarg);
			break;
		case 'f':
			options.file = optarg;
			break;
		case 'w':
			options.scratch = optarg;
			break;
		default:
			return usage();
		}
	}
	if (optind == argc || batch_ns <= 0 || batches < 1 || batches > MAX_BATCHES)
		return usage();

	for (int i = optind; i < argc; i++) {
		const struct bench *b = bench_find(argv[i]);

		failed |= b ? bench_isolate(b, batch_ns, batches, limit_s)
			    : print_error(argv[i], "no such bench");
	}
	return failed;
}
