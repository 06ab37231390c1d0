/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - our process inside the guest's namespaces
 *
 * The agent is uid 0 of the guest's user namespace and lives in its mount,
 * uts, ipc, net and cgroup namespaces, but not in its pid namespace: the guest
 * cannot see it. It builds the guest's root, then does a closed list of
 * requests for the guest kernel:
 *
 *   spawn   fork a process into the guest's pid namespace and let it run the
 *           entry that the kernel gave (the first is the guest's init)
 *   pty     open a pseudo-terminal of the guest
 *   act     do one system call as a guest task would: with its root, working
 *           directory, mount namespace, ids and capabilities
 *   disk    make or remove the link to a disk in the guest's /dev
 *
 * A request brings its own reply socket, so that a slow one (a mount that
 * hangs) holds up nobody else. The agent ends, and kills the guest's init,
 * when the guest kernel's end of its socket closes.
 */
#ifndef WEIR_NS_AGENT_H
#define WEIR_NS_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ns/mounter.h"
#include "ns/nsproxy.h"
#include "ns/root.h"
#include "ns/view.h"

#define AGENT_MAX_DATA (64 * 1024)	/* memory that one act may point to */
#define AGENT_MAX_GROUPS 256

/* Shared by the guest kernel and a process that is about to enter the guest:
 * once the mask lies over it, it cannot count on any system call. */
struct spawn_page {
	_Atomic int listener;	/* futex: descriptor + 1; SPAWN_NO_LISTENER: the mask needs none */
	_Atomic int go;		/* futex: SPAWN_GO once the kernel serves the listener */
	_Atomic int error;	/* positive errno of what failed */
	char why[248];		/* in a line, as for struct ns_error; written before error */
	int pidns;		/* of the first process: a descriptor; written before entered */
	_Atomic int entered;	/* futex: the first process has made the guest's root / */
};
#define SPAWN_NO_LISTENER (-1)
enum { SPAWN_WAIT, SPAWN_GO, SPAWN_GIVE_UP };

#define SPAWN_FIRST 1u		/* the guest's init: mount /proc, enter the root */
#define SPAWN_TTY(n) (2u << (n))	/* stdio descriptor n is a terminal: make it controlling */

#define SPAWN_ANYWHERE 16u	/* start in / if cwd is not there */

/* Be the leader of a session, which only who has a terminal or is an init of
 * its own needs. Else it stays in the kernel's session: the host may schedule
 * each session as a group (sched_autogroup), and a trapped call then costs less
 * when its caller is in the group of who answers it. */
#define SPAWN_SESSION 32u

/* In the process: it cannot run. @why: see struct spawn_page; cut if too long. */
void spawn_give_up(struct spawn_page *page, int err, const char *why) __attribute__((noreturn));

/* What a spawned process finds; memory of its own, it never returns. */
struct spawn {
	unsigned flags;
	char *const *argv;	/* NULL-terminated */
	char *const *envp;
	const char *cwd;	/* "" for / */
	int program;		/* run this descriptor, -1: argv[0] */
	struct spawn_page *page;
};

/* A file system on a disk that is there when the guest's first program runs. */
struct agent_mount {
	const char *disk;	/* "0", "0p1" */
	const char *at;		/* absolute; "": it is the root, and the first */
	const char *what;	/* for errors: as the policy has it */
	bool readonly;		/* the disk may be opened so */
};

struct agent_config {
	int userns_fd;			/* the guest's user namespace, -1: the host's */
	const struct nsproxy *ns;
	struct root *root;
	const char *hostname;		/* NULL: leave it */
	const struct view_config *view;
	/* In the kernel, as soon as the view is mounted, while the agent goes on: begin
	 * to serve what view_mount() gave, which is its from now on. */
	int (*serve_view)(void *ctx, int fd, struct ns_error *err);
	bool has_disks;			/* or may get some */
	unsigned ndisks;		/* /dev/ubd0 ... under the names of @disks */
	const char *const *disks;
	const struct mounter_fs *mounter;	/* what guests may mount of them; NULL: nothing */
	const struct agent_mount *mount;	/* and what is mounted before they run */
	unsigned nmounts;
	bool net_up;
	uint64_t caps;			/* that some process of the guest may have, by number */
	/* In the kernel, once the agent has made the namespaces, while it goes on. */
	int (*meanwhile)(void *ctx, struct ns_error *err);
	const int *not_ours;		/* the kernel's descriptors, closed first; -1 ends them */
	void (*enter)(void *ctx, const struct spawn *s) __attribute__((noreturn));
	void *ctx;
};

enum { AGENT_UTS, AGENT_NET, AGENT_MNT, NUM_AGENT_NS };


struct agent {
	int sock;	/* -1: not running */
	pid_t pid;
	int pidfd;
	int ns[NUM_AGENT_NS];	/* the guest's namespaces, from agent_start() on */
	int disks;		/* FUSE, of its disks, for who serves them; -1: none or taken */
	int mounter;		/* the socket of mounter_mount(); -1: none */
};

/**
 * agent_start() - Fork the agent and let it make the guest's namespaces
 *
 * It goes on with the guest's root. Return: 0, or a negative errno with the agent's
 * words in @err.
 */
int agent_start(struct agent *a, const struct agent_config *cfg, struct ns_error *err);

/* Number @i of agent_config.mount: read the file system on @disk, which stays the caller's
 * and is inode @ino of the guest's disks (the guest kernel may not ask: it is not in the
 * guest's user namespace). Return: its mount, detached, or a negative errno with @err. */
typedef int agent_mount_fn(void *ctx, unsigned i, int disk, uint64_t ino, struct ns_error *err);

/**
 * agent_wait() - Until the root is built, and everything but init is ready
 *
 * The disks are served by then. Return: as agent_start().
 */
int agent_wait(struct agent *a, agent_mount_fn *mount_disk, void *ctx, struct ns_error *err);

/* The capabilities that an agent keeps once the root is built, by number, beside
 * agent_config.caps. */
uint64_t agent_own_caps(void);

/* Close the socket, and end the agent, at the end of the kernel: it is not
 * reaped, as the kernel need not wait for its mounts to be undone. agent_leave() ends
 * the agent, whose requests fail with EPIPE from then on, but not the mounter: the guest's
 * mounts go with the agent, and who serves them hears of that. */
void agent_leave(struct agent *a);
void agent_stop(struct agent *a);

struct spawned {
	pid_t pid;
	int pidfd;		/* the caller's */
	int listener;		/* the mask's listener, the caller's; -1: it needs none */
	int reply;		/* closes when the process has exec'ed or ended */
	struct spawn_page *page;
};

struct spawn_request {
	unsigned flags;
	int stdio[3];
	char *const *argv;
	char *const *envp;
	const char *cwd;
	int program;		/* a descriptor of the program to run; -1: argv[0] */
	/* While the process readies itself, before its program may run; NULL: nothing. */
	int (*meanwhile)(void *ctx, struct ns_error *err);
	void *ctx;
};

/**
 * agent_spawn() - Fork a process into the guest
 * @ret: the process, stopped under the mask until spawn_go()
 *
 * The calling process is its parent. Return: 0, or a negative errno with what
 * failed in @err.
 */
int agent_spawn(struct agent *a, const struct spawn_request *rq, struct spawned *ret,
		struct ns_error *err);

/**
 * spawn_go() - Let a spawned process run its program
 *
 * Return: 0 once it runs; a negative errno with what failed in @err if it
 * cannot (then it has ended). Releases everything of @s but the pidfd.
 */
int spawn_go(struct spawned *s, struct ns_error *err);

/* A new pty of the guest's devpts. Both descriptors are the caller's.
 * @console: also make it the guest's /dev/console. */
int agent_pty(struct agent *a, bool console, int *ret_master, int *ret_slave);

/* A disk or partition of the guest has come or gone: /dev/ubd@name with it.
 * Return: 0 or a negative errno. Any thread. */
int agent_disk(struct agent *a, const char *name, bool there);

/* Ids and rights of a guest task, in numbers of the guest's user namespace. */
struct act_cred {
	uint32_t ruid, euid, suid, fsuid;
	uint32_t rgid, egid, sgid, fsgid;
	uint64_t caps;		/* effective */
	uint32_t umask;
	uint32_t ngroups;
	uint32_t group[AGENT_MAX_GROUPS];
};

enum act_kind {
	ACT_CALL,	/* the system call as it is */
	ACT_CALL_PID,	/* the same, from inside the guest's pid namespace */
	ACT_MOUNT_KEPT,	/* attach a clone of the guest's /proc or /sys: arg 0 says which */
	ACT_MKNOD,	/* a device of the guest's: arg 1 mode, arg 2 index in root.h's table */
	ACT_OPEN_DISK,	/* open the disk of the guest's at arg 0 with flags arg 1; arg 2: its inode */
	ACT_MOUNT_TREE,	/* attach the mount @given at arg 0 */
};

/* One system call to be done as a guest task. */
struct act {
	enum act_kind kind;
	int nr;
	uint64_t arg[6];
	const void *ptr[6];	/* not NULL: argument n is a pointer to these bytes */
	uint32_t len[6];
	void *out;		/* out_arg's bytes as the call left them */
	int out_arg;		/* -1: none */
	const int *given;	/* a descriptor that goes along; NULL: none */
	int *got;		/* that came back, the caller's; NULL: none will */
	const struct act_cred *cred;
	int root, cwd, mntns;	/* the task's; mntns -1: the guest's own */
};

/**
 * agent_act() - Do one system call as a guest task
 *
 * Return: the call's result; -EIO if the process that did it was killed.
 */
long agent_act(struct agent *a, const struct act *act);

#endif
