/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - a policy file, read and resolved
 *
 * The language is described in weir-policy(5). policy_load() reads a file and
 * all it inherits; what it returns is complete: every key has its value or
 * its default. A rule of [syscalls] is kept with the line that wrote it, in
 * the order in which lines override each other; lanes.c turns the rules into
 * the lane table.
 */
#ifndef WEIR_PASSTHROUGH_POLICY_H
#define WEIR_PASSTHROUGH_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "passthrough/inet.h"

#define POLICY_MAX_FILE (1024 * 1024)	/* bytes in one policy file */
#define POLICY_MAX_INHERIT 8		/* depth of inherit = */
#define POLICY_MAX_TESTS 6		/* tests joined by "and" in one rule */
#define POLICY_MAX_SET 16		/* values in one "in (...)" */
#define POLICY_MAX_EXTENTS 32		/* lines of an id map */
#define POLICY_SERIAL_SIZE 21		/* of a disk, with its NUL */
#define POLICY_MAX_DISKS 16		/* disk.0 to disk.15 */
#define POLICY_DISK_DEPTH 128		/* requests in flight, unless the policy says */
#define POLICY_MAX_ENV 64		/* env.NAME keys */
#define POLICY_MAX_NETS 8		/* net.0 to net.7 */
#define POLICY_MAX_ADDRESSES 8		/* of one network device */
#define POLICY_MAX_ROUTES 16		/* over one, beside the default ones */
#define POLICY_IFNAME_SIZE 16		/* as the host's, with its NUL */

/* One error of a policy: "FILE:LINE: what is wrong; what to write instead". */
struct policy_error {
	char text[512];
};

/* Where a value was written. file is owned by the policy; "--set" for the
 * command line, "(built in)" for a default, then with line 0. */
struct policy_pos {
	const char *file;
	int line;
};

enum lane {
	LANE_PASS,	/* runs on the host */
	LANE_FIX,	/* runs on the host, translated (today: trapped) */
	LANE_TRAP,	/* the guest kernel does it */
	LANE_DENY,	/* fails in the filter with an errno */
	LANE_KILL,	/* ends the guest task */
	LANE_WATCH,	/* stops, is counted, goes on */
	NUM_LANES,
};
extern const char *const lane_str[NUM_LANES];

enum test_op {
	TEST_EQ,	/* argN == VALUE */
	TEST_NE,
	TEST_LT,	/* unsigned comparisons, as seccomp's */
	TEST_LE,
	TEST_GT,
	TEST_GE,
	TEST_MASKED_EQ,	/* argN &MASK== VALUE */
	TEST_IN,	/* argN in (a b c) */
};

struct policy_test {
	uint8_t arg;		/* 0..5 */
	uint8_t width;		/* bits of the argument that the host looks at: 16, 32 or 64 */
	enum test_op op;
	uint64_t mask;		/* TEST_MASKED_EQ */
	uint64_t value[POLICY_MAX_SET];
	unsigned nvalues;	/* 1 but for TEST_IN */
};

/* One line of [syscalls] for one system call (a group makes one per member). */
struct policy_rule {
	int nr;			/* x86-64 number */
	enum lane lane;
	int err;		/* LANE_DENY: positive errno */
	bool by_default;	/* "default": what was inherited is forgotten, lane is no lane */
	const struct policy_test *test;	/* owned by the policy */
	unsigned ntests;	/* 0: unconditional, at most POLICY_MAX_TESTS */
	struct policy_pos pos;
	const char *text;	/* the line as written, for explain; owned by the policy */
	bool fidelity;		/* stops for the right answer, keeps the guest from nothing */
};

enum policy_ns {
	POLICY_NS_USER, POLICY_NS_PID, POLICY_NS_MNT, POLICY_NS_UTS,
	POLICY_NS_IPC, POLICY_NS_NET, POLICY_NS_TIME, POLICY_NS_CGROUP,
	POLICY_NUM_NS,
};
extern const char *const policy_ns_str[POLICY_NUM_NS];	/* "user", "pid", ... */

enum policy_ns_mode { NS_MODE_NEW, NS_MODE_HOST, NS_MODE_JOIN };

struct policy_namespace {
	enum policy_ns_mode mode;
	char *path;		/* NS_MODE_JOIN */
	struct policy_pos pos;
};

enum policy_writable {
	WRITABLE_AUTO,		/* yes for a directory, overlay for the host's root */
	WRITABLE_NO,
	WRITABLE_OVERLAY,
	WRITABLE_YES,
};

enum id_mode { IDS_AUTO, IDS_SINGLE, IDS_RANGE };

struct policy_extent {
	uint32_t guest, host, count;
};

struct policy_ids {
	enum id_mode mode;
	struct policy_extent extent[POLICY_MAX_EXTENTS];	/* IDS_RANGE */
	unsigned nextents;
	struct policy_pos pos;
};

enum console_kind { CONSOLE_AUTO, CONSOLE_FD, CONSOLE_PTY, CONSOLE_NULL };

/* Who sees to it that [guest] memory holds. */
enum policy_budget {
	BUDGET_AUTO,		/* the host's memory cgroup; without one, strict */
	BUDGET_CGROUP,
	BUDGET_STRICT,		/* the guest kernel counts what is mapped */
	NUM_BUDGETS,
};
extern const char *const policy_budget_str[NUM_BUDGETS];

/* [memory] */
struct policy_memory {
	enum policy_budget budget;
	bool release;		/* give memory back when the host is short of it */
	bool merge;		/* equal pages once: KSM */
	uint64_t floor;		/* bytes that are never asked back */
	unsigned weight;	/* beside other guests that share a budget, weir memd */
	struct policy_pos budget_pos, floor_pos, merge_pos;
};

/* Where the guest kernel learns of sleeps and runs. */
enum policy_sched_source { SCHED_SOURCE_AUTO, SCHED_SOURCE_PERF, SCHED_SOURCE_TRAPS };

/* Who decides on which of the guest's CPUs a task is. */
enum policy_sched_placement {
	PLACEMENT_AUTO,		/* together who wakes each other */
	PLACEMENT_SPREAD,	/* apart */
	PLACEMENT_PACK,		/* on as few CPUs as the load needs */
	PLACEMENT_OFF,		/* the host alone */
	NUM_PLACEMENTS,
};
extern const char *const policy_sched_placement_str[NUM_PLACEMENTS];
extern const char *const policy_sched_source_str[];
/* What REALTIME begins with. */
enum policy_realtime {
	REALTIME_HOST,		/* the host's */
	REALTIME_OFFSET,	/* the host's and @ns */
	REALTIME_AT,		/* @ns since 1970 at boot, then on its own */
};

/* Which waits go by the guest's clocks; each includes those before it. */
enum policy_waits {
	WAITS_HOST,		/* none */
	WAITS_REALTIME,		/* until a time of REALTIME */
	WAITS_ALL,		/* until a time of any of its clocks, and for any span */
	WAITS_AUTO,		/* not said: as much as the policy's clocks need */
};

#define POLICY_RATE_ONE UINT64_C(1000000000)

struct policy_clock {
	enum policy_realtime realtime;
	int64_t ns;
	uint64_t rate;		/* of all clocks, times POLICY_RATE_ONE; 0: they stand still */
	bool settable;		/* by guest root */
	enum policy_waits waits;	/* never AUTO in a policy with clocks of its own */
	bool travels;		/* idle = travel: to the next deadline while all sleep */
	bool cpu_free;		/* and only then does time pass */
	const char *calendar;	/* a socket's path, absolute; NULL: alone */
	bool guest_stamps;	/* times of files are on the guest's clock */
	struct policy_pos realtime_pos, rate_pos, settable_pos, waits_pos, idle_pos, cpu_pos,
		calendar_pos, stamps_pos;
};

/* Are the guest's clocks its own? Else there is nothing to be done for them. */
static inline bool policy_clock_on(const struct policy_clock *c)
{
	return c->realtime != REALTIME_HOST || c->rate != POLICY_RATE_ONE || c->settable ||
	       c->travels;
}

/* [disk.N]; paths are absolute. At least one of image and cow. */
struct policy_disk {
	bool used;
	char *image, *cow;
	char *mount;			/* where it is when init starts; NULL: nowhere */
	char type[8];			/* of its file system; "": any that weir knows */
	bool direct, readonly;
	uint64_t ram;			/* bytes: memory instead of a file; 0: a file */
	unsigned depth;			/* requests under way */
	char serial[POLICY_SERIAL_SIZE];	/* "": none */
	struct policy_pos pos;
};

/* What a network device of the guest's is joined to. */
enum policy_net_backend {
	NET_NONE,	/* nothing */
	NET_VETH,	/* the host's device @ifname, made for it */
	NUM_NET_BACKENDS,
};
extern const char *const policy_net_backend_str[NUM_NET_BACKENDS];

/* [net.N], the guest's ethN. */
struct policy_net {
	bool used, has_mac;
	enum policy_net_backend backend;
	char ifname[POLICY_IFNAME_SIZE];	/* "": none */
	uint8_t mac[6];
	struct inet_prefix address[POLICY_MAX_ADDRESSES];
	unsigned naddresses;
	struct inet_prefix gateway[2];		/* at most one of a family; family 0: none */
	struct inet_route route[POLICY_MAX_ROUTES];
	unsigned nroutes;
	struct policy_pos pos, backend_pos, gateway_pos, routes_pos;
};

/**
 * policy_root_disk() - Is a root on a disk: "disk:N", or "disk:NpM"?
 * @root: NULL is none
 * @part: gets 0 for all of the disk
 *
 * Return: 1 if so, 0 if it is anything else, -EINVAL for a "disk:" that names none.
 */
int policy_root_disk(const char *root, unsigned *disk, unsigned *part);

struct policy;
struct policy_error;

/* Can a guest of this policy have that root? 0, or -EINVAL with @err, which begins with
 * the root and says what to write instead. */
int policy_check_root(const struct policy *p, const char *root, struct policy_error *err);

struct policy {
	char *name;
	char *description;

	/* [guest] */
	char *init;			/* default /sbin/init */
	char *hostname;			/* NULL: the guest's name */
	unsigned vcpus;			/* 0: as many as the host */
	uint64_t memory;		/* bytes; 0: no limit */
	char *root;			/* directory, or "disk:0"; NULL: weir run's, or the host's / */
	enum policy_writable writable;
	char *kernel_release;		/* NULL: the host's */
	char *cwd;			/* NULL: see weir(1) */
	bool hotplug;			/* /dev/ubd is there for disks that come later */
	char *env[POLICY_MAX_ENV + 1];	/* "NAME=VALUE", NULL-terminated */
	struct policy_pos vcpus_pos, memory_pos, kernel_release_pos, writable_pos, root_pos;

	struct policy_namespace ns[POLICY_NUM_NS];
	struct policy_ids uid, gid;
	uint64_t caps;			/* capabilities(7) that guest root keeps, a bit each */
	bool no_new_privs;		/* [caps] no_new_privs = yes */

	/* [time]: what a time namespace can do alone, and the guest's own clocks */
	int64_t monotonic_offset_ns, boottime_offset_ns;
	struct policy_clock clock;

	/* [sched] */
	enum policy_sched_source sched_source;
	enum policy_sched_placement placement;
	struct policy_pos sched_source_pos, placement_pos;

	struct policy_memory mem;

	enum console_kind console;	/* [console] con0 */
	struct policy_disk disk[POLICY_MAX_DISKS];
	struct policy_net net[POLICY_MAX_NETS];

	/* [syscalls] */
	enum lane default_lane;		/* LANE_DENY or LANE_KILL */
	int default_err;
	struct policy_pos default_pos;
	struct policy_rule *rule;	/* oldest first; a later one overrides */
	size_t nrules;

	/* Every call stops and is recorded before its lane answers it: for weir
	 * policy learn and test. No key of a file sets it. */
	bool observe;

	/* private to policy.c: all that pos, text and test point to */
	struct policy_strings *strings;
};

/**
 * policy_load() - Read a policy and all it inherits
 * @name:   a path (has a '/'), or the name of a policy, looked for as
 *          NAME.policy in $XDG_CONFIG_HOME/weir, /etc/weir, the installed
 *          and, last, the embedded policies
 * @set:    "SECTION.KEY=VALUE" strings of --set, applied last; may be NULL
 * @nset:   how many
 * @ret:    the policy, to be freed by policy_free()
 * @err:    filled when the return value is not 0
 *
 * Return: 0, or a negative errno with one line of explanation in @err.
 */
int policy_load(const char *name, char *const *set, size_t nset, struct policy **ret,
		struct policy_error *err);
void policy_free(struct policy *p);

/* Bytes of [guest] memory without what is kept back for disks in memory; 0: the host's. */
uint64_t policy_own_memory(const struct policy *p);

/**
 * policy_load_text() - Read a policy from memory, and all it inherits
 * @file:  what errors and rules call it; relative paths of inherit begin beside it
 *
 * As policy_load().
 */
int policy_load_text(const char *file, const char *text, size_t len, struct policy **ret,
		     struct policy_error *err);

/* The same with nothing but the embedded policies: what weir was built with. */
int policy_load_shipped(const char *name, struct policy **ret, struct policy_error *err);

/* Does the guest kernel keep users, groups and owners of files itself, over one id of
 * the host? [ids] uid = single in a user namespace of the guest's own. */
bool policy_keeps_ids(const struct policy *p);

/* Write the resolved policy as a policy file, every key and rule, to @f. */
struct _IO_FILE;
void policy_show(const struct policy *p, struct _IO_FILE *f);

#endif
