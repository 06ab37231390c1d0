/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture_impl.h - one look at a guest; for posture*.c
 */
#ifndef WEIR_POSTURE_IMPL_H
#define WEIR_POSTURE_IMPL_H

#include "posture.h"

struct posture {
	json_t *want;
	json_t *findings;
	unsigned tasks;
	pid_t init, kernel, agent, monitor;
	uint64_t caps;
	struct posture_task us;		/* weir check: of the host */
	struct posture_task first;	/* the guest's init */
	struct number_set guest;	/* pids of its processes */
	struct number_set mounts, peers, host_peers;
	struct number_set sockets;	/* of weir's */
};

void __attribute__((format(printf, 4, 5)))
posture_found(struct posture *p, const struct posture_task *t, const char *what, const char *fmt, ...);

/* Values of the guest kernel's object. */
json_int_t posture_number(const struct posture *p, const char *key);
uint64_t posture_caps(const struct posture *p, const char *key);
bool posture_true(const struct posture *p, const char *key);
/* "new", "host", "joined" */
const char *posture_ns_mode(const struct posture *p, enum ns_kind kind);

/* posture_own.c */
void posture_judge_caps(struct posture *p, const struct posture_task *t, uint64_t allowed);
void posture_judge_filters(struct posture *p, const struct posture_task *t, int least);
void posture_judge_own(struct posture *p);

#endif
