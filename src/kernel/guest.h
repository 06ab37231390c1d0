/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - what `weir run` hands to a guest kernel, and what it hears of it
 *
 * `weir run` is the monitor of a guest: it forks the guest kernel, maps its
 * ids, carries the terminal, and cleans up when the kernel has ended, in
 * whatever way. They talk over a SOCK_SEQPACKET pair; if the kernel sees the
 * monitor's end close, the guest ends.
 */
#ifndef WEIR_KERNEL_GUEST_H
#define WEIR_KERNEL_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/ids.h"
#include "passthrough/lanes.h"
#include "passthrough/mask.h"
#include "passthrough/policy.h"

#define GUEST_NAME_MAX 64	/* bytes, NUL included; a host name's limit */

struct recorder;

/* How a guest came to its end. */
enum guest_end {
	END_NOT,
	END_EXIT,	/* init ended, or halt, power off, weir stop */
	END_KILLED,	/* weir kill, or the monitor went away */
	END_RESTART,	/* reboot(2) or weir reboot: to be started again */
};

/*
 * The mask, in memory that the monitor shares with all it forks: it takes a few
 * milliseconds to build, and the monitor does that while the kernel makes the
 * guest's namespaces.
 */
struct guest_mask {
	_Atomic int ready;	/* futex: 0 not yet, 1 built */
	struct mask mask;	/* insn points behind this struct */
};

struct guest_config {
	const struct policy *policy;
	const struct lanes *lanes;
	struct guest_mask *mask;
	const struct id_choice *ids;
	const char *name;
	const char *root;	/* directory, or "disk:0"; NULL: the host's / */
	char *const *cmd;	/* NULL: the policy's init */
	const char *cwd;	/* the caller's */
	char *const *env;	/* of init */
	int state_dir;		/* descriptor */
	int state_lock;		/* held for as long as we live */
	int control;		/* listening SOCK_SEQPACKET socket */
	int monitor;		/* the kernel's end */
	int stdio[3];
	bool tty[3];		/* that descriptor is a terminal: give the guest a pty */
	bool detached;
	bool verbose;		/* the log goes to stderr as well */
	bool rootless;
	struct recorder *recorder;	/* shared with the monitor; NULL: calls are not recorded */
};

/* Messages from the kernel. */
enum monitor_op {
	MONITOR_MAP_IDS,	/* rootless: I am in my user namespace, map it */
	MONITOR_UP,		/* init runs; a descriptor comes along if there is a pty */
	MONITOR_FAILED,		/* the guest cannot start: text */
	MONITOR_END,		/* end, status */
};

struct monitor_msg {
	int32_t op;
	int32_t end;		/* enum guest_end */
	int32_t status;		/* exit status of the guest */
	char text[256];
};

/* And to it: one byte. */
enum { MONITOR_GO = 'g' };	/* ids are mapped */
/* Any other byte below 65 is a signal number for init. */

/**
 * kernel_main() - Be the guest kernel
 *
 * Called in a process of its own, forked by the monitor. Does not return.
 */
void kernel_main(const struct guest_config *cfg) __attribute__((noreturn));

#endif
