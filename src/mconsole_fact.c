/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole_fact.c - what the management console asks that no weir command prints alone
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "client.h"
#include "cmd.h"
#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/util.h"
#include "mconsole_serve.h"
#include "passthrough/hostcall.h"
#include "state.h"

#define PATIENCE_MS 5000

static int no_answer(const char *guest, int ret)
{
	return cmd_fail(1, "%s: the guest does not answer: %s", guest, strerror(-ret));
}

/* Send @msg, which is freed. Return: 0, or 1 after saying what went wrong. */
static int ask(const char *guest, const char *what, json_t *msg)
{
	cleanup_fd int sock = guest_connect(what, guest);

	if (sock >= 0)
		return guest_ask(sock, what, msg, NULL);
	json_decref(msg);
	return 1;
}

int mconsole_control(const char *guest, const struct mconsole_plan *plan)
{
	return ask(guest, plan->argv[0],
		   json_pack("{s:s, s:i}", "op", plan->argv[0], "patience_ms", (int)plan->number));
}

static int print_version(const char *guest, const struct mconsole_plan *plan)
{
	cleanup_free char *text = guest_ask_text("version", guest, json_pack("{s:s}", "op", "uname"));

	if (text)
		puts(text);
	return text ? 0 : 1;
}

static int print_memory(const char *guest, const struct mconsole_plan *plan)
{
	cleanup_json json_t *mem = NULL;
	int ret = guest_ask_json(guest, json_pack("{s:s, s:s}", "op", "mem", "action", "brief"), PATIENCE_MS, &mem);
	json_int_t bytes = json_integer_value(json_object_get(mem, "limit_bytes"));
	struct sysinfo host;

	if (ret < 0)
		return no_answer(guest, ret);
	/* A guest without a limit has the host's. */
	if (bytes == 0 && sysinfo(&host) == 0)
		bytes = (json_int_t)host.totalram * host.mem_unit;
	printf("%lld\n", bytes);
	return 0;
}

static int print_disk(const char *guest, const struct mconsole_plan *plan)
{
	cleanup_json json_t *stats = NULL;
	int ret = guest_stats(guest, &stats);
	char name[16];
	json_t *disk;
	size_t i;

	if (ret < 0)
		return no_answer(guest, ret);
	snprintf(name, sizeof(name), "ubd%u", plan->number);
	json_array_foreach(json_object_get(stats, "disks"), i, disk) {
		const char *cow = json_string_value(json_object_get(disk, "cow"));
		const char *image = json_string_value(json_object_get(disk, "image"));

		if (!streq(json_string_value(json_object_get(disk, "name")) ?: "", name))
			continue;
		printf("%s%s%s\n", cow ?: "", cow ? "," : "", image ?: "");
		return 0;
	}
	return cmd_fail(1, "the guest has no disk %u", plan->number);
}

/* The host's number of a process of the guest; 0 if there is none. */
static long find_process(json_t *stats, unsigned pid)
{
	json_t *task;
	size_t i;

	json_array_foreach(json_object_get(stats, "tasks"), i, task)
		if (json_integer_value(json_object_get(task, "pid")) == pid)
			return json_integer_value(json_object_get(task, "host_pid"));
	return 0;
}

/* Is it still the one that was meant? */
static bool is_process(int dir, unsigned pid)
{
	struct hostproc_status st;
	char text[16384];

	if (host_read_file(dir, "status", text, sizeof(text)) <= 0)
		return false;
	hostproc_parse_status(text, &st);
	return st.guest_tid == (pid_t)pid;
}

static int print_stack(const char *guest, const struct mconsole_plan *plan)
{
	cleanup_json json_t *stats = NULL;
	int ret = guest_stats(guest, &stats);
	long pid = ret < 0 ? 0 : find_process(stats, plan->number);
	char path[32], text[16384];
	cleanup_fd int dir = -1;

	if (ret < 0)
		return no_answer(guest, ret);
	snprintf(path, sizeof(path), "/proc/%ld", pid);
	dir = pid > 0 ? host_open(path, O_RDONLY | O_DIRECTORY, 0) : -1;
	if (dir < 0 || !is_process(dir, plan->number))
		return cmd_fail(1, "stack: the guest has no process %u", plan->number);
	if (host_read_file(dir, "stack", text, sizeof(text)) < 0)
		return cmd_fail(1, "stack: the host shows it to its own root only; proc %u/wchan says where it waits",
				plan->number);
	fputs(text, stdout);
	return 0;
}

static int write_log(const char *guest, const struct mconsole_plan *plan)
{
	/* uml_mconsole ends a text with an empty one. */
	if (!plan->text[0])
		return 0;
	return ask(guest, "log", json_pack("{s:s, s:o}", "op", "log", "note",
					   json_string(plan->text) ?: json_string_nocheck("(text that is no UTF-8)")));
}

static int go(const char *guest, const struct mconsole_plan *plan)
{
	char *argv[] = { (char *)"weir", (char *)"resume", (char *)"--", (char *)guest, NULL };
	cleanup_json json_t *stats = NULL;
	int ret = guest_stats(guest, &stats);
	const char *state = json_string_value(json_object_get(json_object_get(stats, "guest"), "state"));

	if (ret < 0)
		return no_answer(guest, ret);
	if (!streq(state ?: "", "paused"))
		return cmd_fail(1, "Not stopped");
	return host_result(execv("/proc/self/exe", argv)) < 0;
}

int mconsole_fact(const char *guest, const struct mconsole_plan *plan)
{
	static int (*const facts[])(const char *guest, const struct mconsole_plan *plan) = {
		[MCONSOLE_FACT_VERSION] = print_version, [MCONSOLE_FACT_MEMORY] = print_memory,
		[MCONSOLE_FACT_DISK] = print_disk, [MCONSOLE_FACT_STACK] = print_stack,
		[MCONSOLE_FACT_LOG] = write_log, [MCONSOLE_FACT_GO] = go,
	};

	return facts[plan->fact](guest, plan);
}
