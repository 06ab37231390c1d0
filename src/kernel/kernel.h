/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - all state of one guest kernel
 */
#ifndef WEIR_KERNEL_KERNEL_H
#define WEIR_KERNEL_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/event.h"
#include "kernel/guest.h"
#include "mmu/physmem.h"
#include "ns/agent.h"
#include "ns/cgroup.h"
#include "ns/ids.h"
#include "ns/nsproxy.h"
#include "ns/root.h"
#include "passthrough/trap.h"

#define BOOT_MAX_STEPS 20

struct boot_step {
	const char *name;
	uint64_t ns;
};

/* A process that the kernel put into the guest: init, or one of `weir exec`. */
struct guest_process {
	struct kernel *kernel;
	pid_t pid;
	int pidfd;
	struct door *door;		/* NULL if its mask needs none */
	struct event_source hangup;	/* the door's listener: nobody left behind it */
	struct client *client;		/* who waits for its end, NULL for nobody */
	struct { uint64_t dev, ino; } stdio[3];	/* what the caller gave to it */
	struct guest_process *next;
};

/**
 * enum guest_state - Life of a guest
 *
 *   BOOTING  init does not run yet            -> RUNNING by boot(), or the end
 *   RUNNING  init runs                        -> PAUSED by weir pause, STOPPING by weir stop
 *   PAUSED   every task is frozen, the doors are open -> RUNNING by weir resume, and first
 *            of all by whatever ends the guest
 *   STOPPING init was asked to shut down      -> DEAD when it ends, or by force
 *   DEAD     init has ended or was killed     -> the kernel ends
 *
 * Written by boot.c, life.c, process.c and freeze.c only; the control socket reads it.
 */
enum guest_state {
	GUEST_BOOTING, GUEST_RUNNING, GUEST_PAUSED, GUEST_STOPPING, GUEST_DEAD, GUEST_NUM_STATES
};
extern const char *const guest_state_str[GUEST_NUM_STATES];

struct kernel {
	const struct guest_config *cfg;
	struct event_loop ev;

	/* boot */
	uint64_t start_ns;		/* monotonic, host */
	struct boot_step step[BOOT_MAX_STEPS];
	unsigned nsteps;
	uint64_t boot_ns;		/* until init ran */

	/* the guest's place on the host; set by boot, then constant */
	struct nsproxy ns;
	struct root *root;
	struct boot_mounts *boot_mounts;	/* guest_root.c's */
	struct cgroup cgroup;
	int userns_fd;			/* -1: the host's */
	struct agent agent;
	struct nets *nets;		/* NULL: the policy has no [net.N] */
	struct console *console;	/* the guest's pty; NULL: it has none */
	struct disks *disks;		/* NULL: it has none */
	struct physmem physmem;		/* of its disks in memory */
	struct guest_mounts *mounts;	/* file systems on them; NULL: none can be mounted */
	struct procfs *procfs;		/* the guest's view of its machine */
	struct id_map guest_uid, guest_gid;	/* the guest's, against ours */
	uint64_t mntns_inode;		/* the guest's own namespaces */
	uint64_t userns_inode;
	bool nested_userns;		/* the policy lets the guest make user namespaces */

	struct memory *memory;		/* its limit, and what changes it; NULL: not yet */
	struct guest_ids *ids;		/* users and owners that we keep; NULL: the host does */
	struct sched *sched;		/* its CPUs and tasks; NULL: not yet */
	struct timekeeper *time;	/* NULL: the guest's clocks are the host's */
	struct travel *travel;		/* NULL: they do not travel */

	/* traps */
	struct trap_counter *counter;	/* by lane_rule.id */

	/* event loop's thread only */
	enum guest_state state;
	struct guest_process *process;
	pid_t init_pid;			/* 0: not started, or reaped */
	int init_pidfd;
	struct event_source signal_src, monitor_src, control_src;
	struct event_source timer_src;	/* stop's patience; fd -1 when unarmed */
	struct freezer *freezer;	/* freeze.c's */
	struct client *clients;
	int exit_status;

	_Atomic int ending;		/* enum guest_end, asked for by any thread */
	int wake;			/* eventfd: a thread changed something above */
	struct event_source wake_src;
};

/* boot.c: start the guest; on failure everything is undone and @err says why. */
int boot(struct kernel *k, struct ns_error *err);
void boot_undo(struct kernel *k);

/* process.c: put a process into the guest, with its door. */
int process_start(struct kernel *k, const struct spawn_request *rq, struct client *client,
		  struct guest_process **ret, struct ns_error *err);
void process_reap(struct kernel *k);
void process_forget_client(struct kernel *k, struct client *c);

/* enter.c: what the process itself does before its program runs. */
void guest_enter(void *kernel, const struct spawn *s) __attribute__((noreturn));

/* life.c: ends of a guest. */
void guest_end(struct kernel *k, enum guest_end how);	/* any thread */
void guest_stop(struct kernel *k, unsigned patience_ms);
int life_init(struct kernel *k, struct ns_error *err);

/* guest_disks.c: boot steps, the files of its disks and their service. */
int guest_disks_init(struct kernel *k, struct ns_error *err);
void guest_disks_exit(struct kernel *k);

/* A request of weir disk add or remove. @fds: its files, which are taken from there.
 * Return: 0, or a negative errno with @err; -EAGAIN: to be asked again soon. */
struct disk_error;
struct json_t;
int guest_disks_request(struct kernel *k, struct json_t *msg, int *fds, struct disk_error *err);
int ubd_init(struct kernel *k, struct ns_error *err);
void ubd_exit(struct kernel *k);

/* syscall.c: the handler of every door. */
long syscall_handle(void *kernel, struct call *c);
bool syscall_has_handler(int nr, bool ids);	/* @ids: of a guest with ids of its own */

/* control.c: the control socket. */
int control_init(struct kernel *k, struct ns_error *err);
void control_exit(struct kernel *k);
void client_process_ended(struct kernel *k, struct client *c, int status);
void client_pause_ended(struct kernel *k, struct client *c, const char *error);
void client_memory_ended(struct kernel *k, struct client *c, const char *text, size_t len);

/* stats.c: the JSON of weir stats, to be freed by json_decref(). */
struct json_t;
struct json_t *stats_json(struct kernel *k);

/* posture.c: what weir check should find, the same. */
struct json_t *posture_json(struct kernel *k);

#endif
