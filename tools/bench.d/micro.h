/* SPDX-License-Identifier: Apache-2.0 */
/* micro.h - one micro-benchmark: what it needs before, and a loop that times itself */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdint.h>
#include <time.h>

/**
 * struct bench - One operation that is measured
 *
 * @setup may be NULL. @run does the operation @n times and returns the nanoseconds these took, or
 * -errno: what is not part of the operation (making a pipe, mapping memory before its faults) stays
 * outside the interval it measures. Each bench runs in a process of its own, so neither has to
 * clean up.
 */
struct bench {
	const char *name;
	int (*setup)(void);
	int64_t (*run)(long n);
	int64_t batch_ms;	/* a batch takes as long as this, at least */
};

/* Set by the command line before any setup. */
struct micro_options {
	const char *self;    /* path of this program, for exec */
	const char *file;    /* an existing file that is only read */
	const char *scratch; /* directory for files that are written: a tmpfs in every runner */
};
extern struct micro_options options;

/* What the operation answered, when that is worth a word ("EPERM"); NULL: it succeeded. */
extern const char *bench_note;

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Evaluates to the nanoseconds that @n times @statement took. */
#define TIMED(n, statement)                                                                        \
	({                                                                                         \
		int64_t timed_start = now_ns();                                                    \
		for (long timed_i = 0; timed_i < (n); timed_i++) {                                 \
			statement;                                                                 \
		}                                                                                  \
		now_ns() - timed_start;                                                            \
	})

/* calls.c */
int64_t run_getppid(long n);
int64_t run_clock_real(long n);
int64_t run_clock_mono(long n);
int64_t run_clock_day(long n);
int64_t run_cond_wait(long n);
int setup_read(void);
int64_t run_read(long n);
int setup_write(void);
int64_t run_write(long n);
int64_t run_stat(long n);
int64_t run_open(long n);
int64_t run_mmap(long n);
int64_t run_fault(long n);
int64_t run_proc_stat(long n);
int64_t run_proc_meminfo(long n);
int setup_trap(void);
int64_t run_trap(long n);

/* tasks.c */
int64_t run_fork(long n);
int64_t run_exec(long n);
int64_t run_exec_true(long n);
int setup_pipe(void);
int64_t run_pipe(long n);
int64_t run_thread(long n);

/* together.c */
int setup_pair_pipe(void);
int setup_pair_socket(void);
int64_t run_pair(long n);
int64_t run_groups(long n);
int64_t run_busy(long n);
int64_t run_contend(long n);

/* notify.c */
int64_t run_notify(long n);
int setup_notify_work(void);
int64_t run_notify_work(long n);

/* spawn.c */
int spawn_main(int argc, char **argv);

#endif
