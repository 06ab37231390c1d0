/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - the kernel log of one guest
 *
 * A ring in memory shared by the guest kernel and the processes it forks while
 * it sets the guest up, so that each of them can say what it did. `weir log`
 * and the guest's own dmesg print it. Lines look like the kernel's:
 * "[    0.001234] ids: ...", seconds since boot to the microsecond.
 */
#ifndef WEIR_KERNEL_LOG_H
#define WEIR_KERNEL_LOG_H

#include <stddef.h>
#include <stdint.h>

/* syslog(2) levels, the ones we use */
enum log_level { LOG_LVL_ERR = 3, LOG_LVL_WARN = 4, LOG_LVL_INFO = 6, LOG_LVL_DEBUG = 7 };

#define LOG_LINE 232	/* bytes of text in one record, its NUL included */

/* Before the first fork. Without it (commands, unit tests) lines go to stderr
 * from LOG_LVL_WARN on. */
int log_init(void);

/* When that was, in host_now()'s ns. */
uint64_t log_start(void);

/* Also write each new line to stderr (weir run -v). */
void log_set_verbose(int on);

void log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_err(...) log_write(LOG_LVL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LVL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LVL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LVL_DEBUG, __VA_ARGS__)

/* One record as read back. */
struct log_entry {
	uint64_t time_ns;	/* since log_start() */
	enum log_level level;
	char text[LOG_LINE];
};

/**
 * log_read() - The next record
 * @cursor: in: where to go on, 0 for the oldest; out: behind the record
 *
 * Records that were overwritten meanwhile are passed over.
 * Return: 1 with a record in @ret, 0 if there is none yet.
 */
int log_read(uint64_t *cursor, struct log_entry *ret);

/* Render a record as dmesg does. Return: length, as snprintf(). */
int log_format(const struct log_entry *e, char *buf, size_t size);

/* The cursor behind the newest record. */
uint64_t log_end(void);

#endif
