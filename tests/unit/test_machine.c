/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_machine.c - the texts of the guest's /proc and /sys from given facts
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/machine/proc_files.h"
#include "kernel/util.h"

#define MIB UINT64_C(1048576)

static const struct proc_node *node(const char *name, const char *parent)
{
	for (unsigned i = 1; i < proc_nnodes; i++)
		if (streq(proc_nodes[i].name, name) &&
		    streq(proc_nodes[proc_nodes[i].parent].name, parent))
			return &proc_nodes[i];
	fail_msg("no node %s in %s", name, parent);
	return NULL;
}

static void expect(const struct machine_facts *f, const char *parent, const char *name,
		   unsigned cpu, const char *want)
{
	struct text t = {};

	node(name, parent)->render(f, cpu, &t);
	assert_true(text_ok(&t));
	assert_string_equal(t.buf, want);
	assert_int_equal(t.len, strlen(want));
	text_free(&t);
}

/* Two CPUs, of which the first was busy for 1.5 s of 10 s. */
static struct machine_facts *facts(void)
{
	struct machine_facts *f = calloc(1, sizeof(*f));

	f->ncpus = 2;
	f->policy = "hosting";
	f->uptime_ns = 123 * NSEC_PER_SEC + 450000000;
	f->boot_time = 1700000000;
	f->vcpu[0] = (struct sched_vcpu){ .busy_ns = 1500000000, .idle_ns = 8500000000 };
	f->vcpu[1] = (struct sched_vcpu){ .busy_ns = 0, .idle_ns = 10000000000 };
	f->sched = (struct sched_view){
		.nvcpus = 2, .vcpu = f->vcpu, .now_ns = 11000000000, .since_ns = 1000000000,
		.tasks = 7, .runnable = 2, .blocked = 1, .forks = 40, .sleeps = 100, .preempts = 23,
		.load = { 0.5, 0.25, 0.125 }, .last_pid = 41,
	};
	f->memory = (struct machine_memory){
		.total = 256 * MIB, .free = 200 * MIB, .available = 230 * MIB, .cached = 40 * MIB,
		.shared = 4 * MIB, .anon = 10 * MIB, .active_anon = 8 * MIB, .inactive_anon = 2 * MIB,
		.active_file = 20 * MIB, .inactive_file = 16 * MIB, .faults = 5000,
	};
	strcpy(f->uts.sysname, "Linux");
	strcpy(f->uts.release, "9.8.7");
	strcpy(f->uts.version, "#1 SMP");
	strcpy(f->cpuinfo, "processor\t: 7\nvendor_id\t: X\nphysical id\t: 1\nsiblings\t: 16\n"
			   "core id\t\t: 3\ncpu cores\t: 8\napicid\t\t: 9\ninitial apicid\t: 9\n"
			   "flags\t\t: a b\npower management:\n");
	return f;
}

static void test_cpulist(void **state)
{
	static const struct {
		unsigned first, n;
		const char *want;
	} cases[] = {
		{ 0, 0, "" }, { 0, 1, "0" }, { 5, 1, "5" }, { 0, 2, "0-1" }, { 3, 61, "3-63" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text t = {};

		text_add(&t, "", 0);
		text_cpulist(&t, cases[i].first, cases[i].n);
		assert_string_equal(t.buf, cases[i].want);
		text_free(&t);
	}
}

/* As the host writes masks of as many CPUs. */
static void test_cpumask(void **state)
{
	static const struct {
		unsigned first, n, width;
		const char *want;
	} cases[] = {
		{ 0, 1, 1, "1" },
		{ 0, 2, 2, "3" },
		{ 1, 1, 2, "2" },
		{ 0, 8, 8, "ff" },
		{ 8, 1, 9, "100" },
		{ 0, 1, 9, "001" },
		{ 0, 32, 32, "ffffffff" },
		{ 32, 1, 33, "1,00000000" },
		{ 0, 40, 40, "ff,ffffffff" },
		{ 3, 1, 64, "00000000,00000008" },
		{ 0, 64, 64, "ffffffff,ffffffff" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text t = {};

		text_cpumask(&t, cases[i].first, cases[i].n, cases[i].width);
		assert_string_equal(t.buf, cases[i].want);
		text_free(&t);
	}
}

static void test_text_grows(void **state)
{
	struct text t = {};

	for (int i = 0; i < 5000; i++)
		text_printf(&t, "%s", "0123456789");
	assert_true(text_ok(&t));
	assert_int_equal(t.len, 50000);
	assert_int_equal(strlen(t.buf), 50000);
	text_clear(&t);
	text_printf(&t, "%d", 7);
	assert_string_equal(t.buf, "7");
	text_free(&t);
}

static void test_padding(void **state)
{
	const uint64_t numbers[] = { 0, 7, 10, 99999999, 100000000, UINT64_MAX };
	const char *const words[] = { "MemTotal:", "HardwareCorrupted:" };
	char want[64];

	for (unsigned width = 0; width < 24; width += 8) {
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
			struct text t = {};

			text_number(&t, numbers[i], width);
			snprintf(want, sizeof(want), "%*llu", (int)width, (unsigned long long)numbers[i]);
			assert_string_equal(t.buf, want);
			text_free(&t);
		}
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			struct text t = {};

			text_word(&t, words[i], width);
			snprintf(want, sizeof(want), "%-*s", (int)width, words[i]);
			assert_string_equal(t.buf, want);
			text_free(&t);
		}
	}
}

/* What readers find in it is the same: only the line of interrupts gets longer, by zeros. */
static void test_padded_stat(void **state)
{
	const struct proc_node *stat = node("stat", "");
	struct machine_facts *f = facts();

	for (size_t more = 0; more < 9; more++) {
		struct text plain = {}, t = {};
		char *line, *end, *word, *rest;

		stat->render(f, 0, &plain);
		stat->render(f, 0, &t);
		stat->pad(&t, plain.len + more);
		assert_true(text_ok(&t));
		assert_int_equal(t.len, plain.len + more);
		assert_int_equal(strlen(t.buf), t.len);
		line = strstr(t.buf, "\nintr ");
		assert_non_null(line);
		end = strchr(line + 1, '\n');
		assert_memory_equal(t.buf, plain.buf, line - t.buf + 7);
		assert_string_equal(end, strchr(strstr(plain.buf, "\nintr ") + 1, '\n'));
		*end = '\0';
		for (word = strtok_r(line + 6, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
			assert_int_equal(strspn(word, "0"), strlen(word));
			assert_in_range(strlen(word), 1, 2);
		}
		assert_null(strstr(line, "  "));
		text_free(&plain);
		text_free(&t);
	}
	free(f);
}

static void test_padded_too_long(void **state)
{
	const struct proc_node *stat = node("stat", "");
	struct machine_facts *f = facts();
	struct text t = {};
	size_t len;

	stat->render(f, 0, &t);
	len = t.len;
	stat->pad(&t, len - 5);
	assert_int_equal(t.len, len);
	text_free(&t);
	free(f);
}

static void test_cpu_texts(void **state)
{
	struct machine_facts *f = facts();

	expect(f, "", "stat", 0,
	       "cpu  150 0 0 1850 0 0 0 0 0 0\n"
	       "cpu0 150 0 0 850 0 0 0 0 0 0\n"
	       "cpu1 0 0 0 1000 0 0 0 0 0 0\n"
	       "intr 0\nctxt 123\nbtime 1700000000\nprocesses 40\nprocs_running 2\n"
	       "procs_blocked 1\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n");
	expect(f, "", "loadavg", 0, "0.50 0.25 0.12 2/7 41\n");
	expect(f, "", "uptime", 0, "123.45 18.50\n");
	expect(f, "", "schedstat", 0,
	       "version 15\ntimestamp 1000\ncpu0 0 0 0 0 0 0 1500000000 0 0\n"
	       "cpu1 0 0 0 0 0 0 0 0 0\n");
	expect(f, "", "interrupts", 0,
	       "           CPU0       CPU1       \nERR:          0\nMIS:          0\n");
	expect(f, "", "cpuinfo", 0,
	       "processor\t: 0\nvendor_id\t: X\nphysical id\t: 0\nsiblings\t: 2\ncore id\t\t: 0\n"
	       "cpu cores\t: 2\napicid\t\t: 0\ninitial apicid\t: 0\nflags\t\t: a b\n"
	       "power management:\n\n"
	       "processor\t: 1\nvendor_id\t: X\nphysical id\t: 0\nsiblings\t: 2\ncore id\t\t: 1\n"
	       "cpu cores\t: 2\napicid\t\t: 1\ninitial apicid\t: 1\nflags\t\t: a b\n"
	       "power management:\n\n");
	free(f);
}

static void test_softirqs(void **state)
{
	struct machine_facts *f = facts();
	struct text t = {};

	node("softirqs", "")->render(f, 0, &t);
	assert_int_equal(strncmp(t.buf, "                    CPU0       CPU1       \n"
					"          HI:          0          0\n"
					"       TIMER:          0          0\n", 115), 0);
	text_free(&t);
	free(f);
}

static void test_memory_texts(void **state)
{
	static const char *const lines[] = {
		"MemTotal:         262144 kB\n", "MemFree:          204800 kB\n",
		"MemAvailable:     235520 kB\n", "Cached:            40960 kB\n",
		"Shmem:              4096 kB\n", "SwapTotal:             0 kB\n",
		"Active:            28672 kB\n", "Committed_AS:      26624 kB\n",
	};
	struct machine_facts *f = facts();
	struct text t = {};

	node("meminfo", "")->render(f, 0, &t);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(t.buf, lines[i]))
			fail_msg("no line %s in\n%s", lines[i], t.buf);
	text_clear(&t);
	node("meminfo", "node0")->render(f, 0, &t);
	assert_int_equal(strncmp(t.buf, "Node 0 MemTotal:         262144 kB\n"
					"Node 0 MemFree:          204800 kB\n"
					"Node 0 MemUsed:           57344 kB\n", 105), 0);
	text_clear(&t);
	node("vmstat", "")->render(f, 0, &t);
	assert_int_equal(strncmp(t.buf, "nr_free_pages 51200\n", 20), 0);
	assert_non_null(strstr(t.buf, "\npgfault 5000\n"));
	text_free(&t);
	expect(f, "", "swaps", 0, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	free(f);
}

static void test_sysfs_texts(void **state)
{
	struct machine_facts *f = facts();

	expect(f, "cpu", "online", 0, "0-1\n");
	expect(f, "cpu", "offline", 0, "\n");
	expect(f, "cpu", "kernel_max", 0, "1\n");
	expect(f, "topology", "core_id", 1, "1\n");
	expect(f, "topology", "thread_siblings", 1, "2\n");
	expect(f, "topology", "package_cpus", 1, "3\n");
	expect(f, "node0", "cpulist", 0, "0-1\n");
	expect(f, "node0", "cpumap", 0, "3\n");
	f->ncpus = 40;
	expect(f, "cpu", "online", 0, "0-39\n");
	expect(f, "topology", "package_cpus", 1, "ff,ffffffff\n");
	f->ncpus = 1;
	expect(f, "cpu", "online", 0, "0\n");
	free(f);
}

static void test_names(void **state)
{
	struct machine_facts *f = facts();
	struct text t = {};

	expect(f, "", "osrelease", 0, "9.8.7\n");
	node("version", "")->render(f, 0, &t);
	assert_int_equal(strncmp(t.buf, "Linux version 9.8.7 (", 21), 0);
	assert_non_null(strstr(t.buf, ") #1 SMP\n"));
	text_clear(&t);
	node("cmdline", "")->render(f, 0, &t);
	assert_non_null(strstr(t.buf, " policy=hosting\n"));
	text_clear(&t);
	node("filesystems", "")->render(f, 0, &t);
	assert_non_null(strstr(t.buf, "nodev\ttmpfs\n"));
	text_clear(&t);
	expect(f, "", "partitions", 0, "");
	text_free(&t);
	free(f);
}

/* Every file has a text and a place; names are there once in each directory. */
static void test_table(void **state)
{
	for (unsigned i = 1; i < proc_nnodes; i++) {
		const struct proc_node *n = &proc_nodes[i];

		assert_int_equal(proc_nodes[n->parent].kind, PROC_DIR);
		assert_int_equal(n->kind == PROC_FILE, n->render != NULL);
		if (n->target) {
			assert_int_equal(n->parent, PROC_ROOT);
			assert_true(str_starts(n->target, "proc/") || str_starts(n->target, "sys/"));
		}
		for (unsigned j = 1; j < i; j++)
			assert_false(n->parent == proc_nodes[j].parent &&
				     streq(n->name, proc_nodes[j].name));
	}
}

static void test_memory_stat(void **state)
{
	struct machine_memory m;

	machine_memory_stat("anon 1048576\nfile 8388608\nkernel_stack 65536\nshmem 2097152\n"
			    "file_mapped 4096\ninactive_file 4194304\nactive_file 2097152\n"
			    "slab_reclaimable 1048576\npgfault 77\n", 64 * MIB, 16 * MIB, &m);
	assert_int_equal(m.total, 64 * MIB);
	assert_int_equal(m.free, 48 * MIB);
	assert_int_equal(m.available, 55 * MIB);
	assert_int_equal(m.anon, MIB);
	assert_int_equal(m.cached, 8 * MIB);
	assert_int_equal(m.shared, 2 * MIB);
	assert_int_equal(m.faults, 77);
	/* v1: the sums with the children's count */
	machine_memory_stat("cache 1\nrss 2\nactive_file 5\ntotal_cache 8388608\n"
			    "total_rss 1048576\ntotal_active_file 2097152\n", 64 * MIB, 16 * MIB, &m);
	assert_int_equal(m.cached, 8 * MIB);
	assert_int_equal(m.anon, MIB);
	assert_int_equal(m.active_file, 2 * MIB);
	/* never more than there is, and never less than nothing */
	machine_memory_stat("active_file 99999999999\n", 64 * MIB, 65 * MIB, &m);
	assert_int_equal(m.free, 0);
	assert_int_equal(m.available, 64 * MIB);
	machine_memory_stat("", 64 * MIB, 0, &m);
	assert_int_equal(m.free, 64 * MIB);
}

static void test_memory_limit(void **state)
{
	assert_int_equal(machine_memory_limit(0, 100), 0);
	assert_int_equal(machine_memory_limit(50, 100), 50);
	assert_int_equal(machine_memory_limit(100, 100), 0);
	assert_int_equal(machine_memory_limit(200, 100), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpulist),	     cmocka_unit_test(test_cpumask),
		cmocka_unit_test(test_text_grows),
		cmocka_unit_test(test_padding),   cmocka_unit_test(test_cpu_texts),
		cmocka_unit_test(test_padded_stat), cmocka_unit_test(test_padded_too_long),
		cmocka_unit_test(test_softirqs),     cmocka_unit_test(test_memory_texts),
		cmocka_unit_test(test_sysfs_texts),  cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),	     cmocka_unit_test(test_memory_stat),
		cmocka_unit_test(test_memory_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
