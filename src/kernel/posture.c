/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture.c - what a guest should look like from outside, for weir check
 *
 *   {"kernel":PID, "agent":PID, "monitor":PID, "init":PID, "state":"running",
 *    "caps":"HEX", "no_new_privs":BOOL, "read_only":BOOL,
 *    "kernel_caps":"HEX", "agent_caps":"HEX",
 *    "namespaces":[{"name":"user", "mode":"new", "nested":BOOL} ...],
 *    "given":[[DEV, INODE] ...], "sockets":[INODE ...]}
 *
 * All of it follows from the policy, but for the pids and the last two: what the
 * callers of weir run and weir exec gave to their processes as stdio, and the
 * sockets that are our own.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/confine.h"
#include "kernel/kernel.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

static json_t *caps_json(uint64_t caps)
{
	char hex[24];

	snprintf(hex, sizeof(hex), "%llx", (unsigned long long)caps);
	return json_string(hex);
}

/* May a guest task make itself a namespace of this kind? */
static bool nests(const struct lanes *l, unsigned flag)
{
	static const int calls[] = { SYS_clone, SYS_unshare, SYS_clone3 };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		uint64_t arg[6] = { flag | (calls[i] == SYS_clone ? SIGCHLD : 0) };
		enum lane lane = lanes_lookup(l, AUDIT_ARCH_X86_64, calls[i], arg)->lane;

		if (lane == LANE_PASS || lane == LANE_WATCH)
			return true;
	}
	return false;
}

static json_t *namespaces_json(const struct kernel *k)
{
	static const char *const mode[] = {
		[NS_MODE_NEW] = "new", [NS_MODE_HOST] = "host", [NS_MODE_JOIN] = "joined",
	};
	json_t *all = json_array();

	for (int i = 0; i < NUM_NS; i++)
		json_array_append_new(all, json_pack("{s:s, s:s, s:b}", "name", ns_name(i), "mode",
						     mode[k->cfg->policy->ns[i].mode], "nested",
						     nests(k->cfg->lanes, ns_flag(i))));
	return all;
}

static json_t *given_json(const struct kernel *k)
{
	json_t *all = json_array();

	for (const struct guest_process *p = k->process; p; p = p->next)
		for (int i = 0; i < 3; i++)
			json_array_append_new(all, json_pack("[I, I]", (json_int_t)p->stdio[i].dev,
							     (json_int_t)p->stdio[i].ino));
	return all;
}

static json_t *sockets_json(void)
{
	json_t *all = json_array();
	DIR *d = opendir("/proc/self/fd");

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
		unsigned long long ino;
		char link[64] = "";

		if (host_result(readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1)) > 0 &&
		    sscanf(link, "socket:[%llu]", &ino) == 1)
			json_array_append_new(all, json_integer(ino));
	}
	if (d)
		closedir(d);
	return all;
}

json_t *posture_json(struct kernel *k)
{
	const struct policy *p = k->cfg->policy;

	return json_pack("{s:i, s:i, s:i, s:i, s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o}",
			 "kernel", (int)getpid(), "agent", (int)k->agent.pid, "monitor",
			 (int)getppid(), "init", (int)k->init_pid, "state",
			 guest_state_str[k->state], "caps", caps_json(p->caps), "no_new_privs",
			 p->no_new_privs, "read_only", p->writable == WRITABLE_NO, "kernel_caps",
			 caps_json(confine_kept_caps(k)), "agent_caps",
			 caps_json(agent_own_caps() | p->caps), "namespaces", namespaces_json(k),
			 "given", given_json(k), "sockets", sockets_json());
}
