/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_reach.c - which parts of the host's kernel the calls that pass lead into
 *
 * A call that passes is as safe as the code behind it. The table says which
 * code that is: for calls as such, for families of sockets, and for the
 * arguments that open a part of its own. A row is tried against the lane
 * table, so what is printed is what the mask does.
 */
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "policy_audit.h"

#define ANY UINT64_MAX	/* of a value: the argument is not looked at */

/* A part of the kernel, and what leads into it. */
struct reach {
	const char *subsystem;
	const char *calls;	/* names and groups; any of them that passes is enough */
	const char *by;		/* what is printed, NULL: the calls that pass */
	uint64_t arg[3];	/* with these first arguments, ANY: whatever */
};

#define CALLS .arg = { ANY, ANY, ANY }

/* clang-format off */
static const struct reach table[] = {
{ "files: the VFS and the file systems that are mounted", "@file-system", CALLS },
{ "memory management", "mmap mprotect mremap brk madvise", CALLS },
{ "futexes", "futex futex_wait futex_waitv", CALLS },
{ "PI-requeue futexes", "futex", "futex FUTEX_CMP_REQUEUE_PI", { ANY, 12, ANY } },
{ "the scheduler: priorities and affinity", "sched_setaffinity sched_setscheduler sched_setattr", CALLS },
{ "NUMA placement", "mbind move_pages migrate_pages set_mempolicy", CALLS },
{ "epoll, poll and eventfd", "@io-event", CALLS },
{ "POSIX aio", "io_setup io_submit", CALLS },
{ "io_uring", "@io-uring", CALLS },
{ "pipes and splice", "pipe pipe2 splice tee vmsplice", CALLS },
{ "timers and clocks", "@timer", CALLS },
{ "setting clocks", "@clock", CALLS },
{ "System V objects and POSIX queues, of the guest's ipc namespace", "msgget semget shmget mq_open", CALLS },
{ "memory of other tasks, after the host's ptrace check", "process_vm_readv process_vm_writev ptrace pidfd_getfd", CALLS },
{ "namespaces", "unshare clone", "clone, unshare without CLONE_NEWUSER and CLONE_NEWNET", { 0x20000, ANY, ANY } },
{ "user namespaces, and all they open", "unshare clone", "CLONE_NEWUSER", { 0x10000000, ANY, ANY } },
{ "network namespaces", "unshare clone", "CLONE_NEWNET", { 0x40000000, ANY, ANY } },
{ "entering namespaces", "setns", CALLS },
{ "mounting", "mount umount2 pivot_root", CALLS },
{ "mounting by descriptor", "fsopen fsconfig fsmount move_mount open_tree mount_setattr", CALLS },
{ "files by handle, out of every root", "open_by_handle_at name_to_handle_at", CALLS },
{ "seccomp filters of the guest's own", "seccomp", CALLS },
{ "Landlock", "landlock_create_ruleset", CALLS },
{ "sockets: AF_UNIX", "socket", "socket(AF_UNIX)", { AF_UNIX, SOCK_STREAM, 0 } },
{ "sockets: IPv4, TCP", "socket", "socket(AF_INET, SOCK_STREAM)", { AF_INET, SOCK_STREAM, 0 } },
{ "sockets: IPv4, UDP", "socket", "socket(AF_INET, SOCK_DGRAM)", { AF_INET, SOCK_DGRAM, 0 } },
{ "sockets: IPv4, ping", "socket", "socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)", { AF_INET, SOCK_DGRAM, 1 } },
{ "sockets: IPv6, TCP", "socket", "socket(AF_INET6, SOCK_STREAM)", { AF_INET6, SOCK_STREAM, 0 } },
{ "sockets: IPv6, UDP", "socket", "socket(AF_INET6, SOCK_DGRAM)", { AF_INET6, SOCK_DGRAM, 0 } },
{ "sockets: SCTP", "socket", "socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)", { AF_INET, SOCK_STREAM, 132 } },
{ "sockets: MPTCP", "socket", "socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)", { AF_INET, SOCK_STREAM, 262 } },
{ "sockets: netlink, routes and interfaces", "socket", "socket(AF_NETLINK, NETLINK_ROUTE)", { AF_NETLINK, SOCK_RAW, 0 } },
{ "sockets: netlink, xfrm", "socket", "socket(AF_NETLINK, NETLINK_XFRM)", { AF_NETLINK, SOCK_RAW, 6 } },
{ "sockets: netlink, netfilter", "socket", "socket(AF_NETLINK, NETLINK_NETFILTER)", { AF_NETLINK, SOCK_RAW, 12 } },
{ "sockets: netlink, generic", "socket", "socket(AF_NETLINK, NETLINK_GENERIC)", { AF_NETLINK, SOCK_RAW, 16 } },
{ "sockets: packets", "socket", "socket(AF_PACKET)", { AF_PACKET, SOCK_RAW, 0 } },
{ "sockets: the crypto API", "socket", "socket(AF_ALG)", { 38, SOCK_SEQPACKET, 0 } },
{ "sockets: virtual machines", "socket", "socket(AF_VSOCK)", { 40, SOCK_STREAM, 0 } },
{ "sockets: RxRPC", "socket", "socket(AF_RXRPC)", { 33, SOCK_DGRAM, AF_INET } },
{ "sockets: TIPC", "socket", "socket(AF_TIPC)", { 30, SOCK_STREAM, 0 } },
{ "sockets: CAN", "socket", "socket(AF_CAN)", { 29, SOCK_RAW, 1 } },
{ "sockets: Bluetooth", "socket", "socket(AF_BLUETOOTH)", { 31, SOCK_STREAM, 3 } },
{ "sockets: XDP", "socket", "socket(AF_XDP)", { 44, SOCK_RAW, 0 } },
{ "socket options: kernel TLS and others by name", "setsockopt", "setsockopt TCP_ULP", { ANY, 6, 31 } },
{ "socket options: IPsec policies", "setsockopt", "setsockopt IP_XFRM_POLICY", { ANY, 0, 17 } },
{ "socket options: UDP encapsulation", "setsockopt", "setsockopt UDP_ENCAP", { ANY, 17, 100 } },
{ "terminals: modes and sizes", "ioctl", "ioctl TCGETS ...", { ANY, 0x5401, ANY } },
{ "terminals: typing into another's input", "ioctl", "ioctl TIOCSTI", { ANY, 0x5412, ANY } },
{ "terminals: the console's own commands", "ioctl", "ioctl TIOCLINUX", { ANY, 0x541c, ANY } },
{ "terminals: line disciplines", "ioctl", "ioctl TIOCSETD", { ANY, 0x5423, ANY } },
{ "commands of file systems on open files", "ioctl", "ioctl FS_IOC_SETFLAGS ...", { ANY, 0x40086602, ANY } },
{ "network devices, as far as capabilities go", "ioctl", "ioctl SIOCSIFFLAGS ...", { ANY, 0x8914, ANY } },
{ "old personalities", "personality", "personality READ_IMPLIES_EXEC", { 0x400000, ANY, ANY } },
{ "key rings", "@keyring", CALLS },
{ "bpf", "bpf", CALLS },
{ "perf events", "perf_event_open", CALLS },
{ "userfaultfd", "userfaultfd", CALLS },
{ "kernel modules", "@module", CALLS },
{ "kexec", "kexec_load kexec_file_load", CALLS },
{ "I/O ports", "@raw-io", CALLS },
{ "local descriptor tables", "modify_ldt", CALLS },
{ "swap, quotas and accounting", "@swap quotactl quotactl_fd acct", CALLS },
{ "fanotify", "fanotify_init", CALLS },
{ "secret memory", "memfd_secret", CALLS },
};
/* clang-format on */

/* Arguments that are ANY: all values that a rule of the call could ask for would have to be
 * tried; a call that passes with some is enough. */
static enum lane lane_of(const struct lanes *l, int nr, const uint64_t want[3])
{
	uint64_t arg[6] = { 0 };
	bool any = true;

	for (unsigned i = 0; i < 3; i++) {
		arg[i] = want[i] == ANY ? 0 : want[i];
		any &= want[i] == ANY;
	}
	if (any && call_passes(l, nr))
		return LANE_PASS;
	return lanes_lookup(l, AUDIT_ARCH_X86_64, nr, arg)->lane;
}

static void members(const char *names, struct call_set *ret)
{
	char word[32];

	*ret = (struct call_set){ 0 };
	for (const char *s = names; *s;) {
		size_t len = strcspn(s, " ");

		snprintf(word, sizeof(word), "%.*s", (int)len, s);
		if (word[0] == '@') {
			struct call_set group;

			call_group_expand(call_group_find(word), &group);
			for (size_t i = 0; i < ARRAY_SIZE(group.word); i++)
				ret->word[i] |= group.word[i];
		} else {
			call_set_add(ret, syscall_number(word));
		}
		s += len + (s[len] == ' ');
	}
}

static json_t *row_json(const struct lanes *l, const struct reach *row)
{
	bool passes = false, traps = false;
	char by[160] = "";
	struct call_set set;
	size_t len = 0;

	members(row->calls, &set);
	for (int nr = 0; nr < CALL_MAX_NR; nr++) {
		enum lane lane;

		if (!call_set_has(&set, nr))
			continue;
		lane = lane_of(l, nr, row->arg);
		passes |= lane_passes(lane);
		traps |= lane == LANE_TRAP || lane == LANE_FIX;
		if (lane_passes(lane) && len < sizeof(by) - 24)
			len += snprintf(by + len, sizeof(by) - len, "%s%s", len ? ", " : "",
					syscall_name(nr));
		else if (lane_passes(lane) && !strstr(by, " ..."))
			len += snprintf(by + len, sizeof(by) - len, " ...");
	}
	return json_pack("{s:s, s:s, s:s}", "subsystem", row->subsystem, "state",
			 passes ? "open" : traps ? "guarded" : "closed", "by",
			 row->by ? row->by : passes ? by : row->calls);
}

json_t *reach_json(const struct policy_table *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		json_array_append_new(list, row_json(t->lanes, &table[i]));
	return list;
}
