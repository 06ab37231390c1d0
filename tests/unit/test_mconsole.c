/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mconsole.c - datagrams of the management console, and what its commands mean
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/mconsole.h"
#include "kernel/util.h"

#define HEADER offsetof(struct mconsole_request, data)

static struct mconsole_request request(const char *command)
{
	struct mconsole_request rq = { .magic = MCONSOLE_MAGIC, .version = 2, .len = strlen(command) };

	snprintf(rq.data, sizeof(rq.data), "%s", command);
	return rq;
}

static void good_requests(void **state)
{
	static const char *const v[][2] = {
		{ "version", "version" }, { "log \n", "log" }, { "  stop \t\n", "stop" }, { "", "" },
		{ "log a  b", "log a  b" }, { " ", "" },
	};
	char command[MCONSOLE_DATA];
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct mconsole_request rq = request(v[i][0]);

		assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), 0);
		assert_string_equal(command, v[i][1]);
		/* Without what follows the text. */
		assert_int_equal(mconsole_parse(&rq, HEADER + rq.len, command, &why), 0);
		assert_string_equal(command, v[i][1]);
	}
}

static void the_longest_request(void **state)
{
	struct mconsole_request rq = request("");
	char command[MCONSOLE_DATA];
	const char *why;

	memset(rq.data, 'x', sizeof(rq.data));
	rq.len = MCONSOLE_DATA - 1;
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), 0);
	assert_int_equal(strlen(command), MCONSOLE_DATA - 1);
	rq.len = MCONSOLE_DATA;
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), -EINVAL);
	assert_string_equal(why, "Request too large");
	rq.len = UINT32_MAX;
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), -EINVAL);
}

static void bad_requests(void **state)
{
	struct mconsole_request rq = request("version");
	char command[MCONSOLE_DATA], more[sizeof(rq) + 1] = "";
	const char *why;

	for (size_t n = 0; n < HEADER; n++)
		assert_int_equal(mconsole_parse(&rq, n, command, &why), -EPROTO);
	for (size_t n = HEADER; n < HEADER + rq.len; n++)
		assert_int_equal(mconsole_parse(&rq, n, command, &why), -EINVAL);
	memcpy(more, &rq, sizeof(rq));
	assert_int_equal(mconsole_parse(more, sizeof(more), command, &why), -EPROTO);
	rq.version = 1;
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), -EINVAL);
	rq = request("version");
	rq.magic = 0;
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), -EPROTO);
	rq = request("version");
	rq.data[3] = '\0';
	assert_int_equal(mconsole_parse(&rq, sizeof(rq), command, &why), -EINVAL);
}

/* A text comes whole out of its datagrams; only the last one says how it went. */
static void answers_in_pieces(void **state)
{
	static const size_t lengths[] = { 0, 1, 510, 511, 512, 1022, 1023, 5000 };
	char text[5000], got[5000];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = 'a' + i % 26;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t left = lengths[i], at = 0;
		struct mconsole_reply r;

		do {
			size_t n = mconsole_fragment(&r, text + at, left, 7);

			assert_true(n <= MCONSOLE_DATA - 1);
			assert_int_equal(r.len, n + 1);
			assert_int_equal(strlen(r.data), n);
			assert_int_equal(r.err, r.more ? 0 : 7);
			memcpy(got + at, r.data, n);
			at += n;
			left -= n;
			assert_int_equal(r.more, left > 0);
		} while (r.more);
		assert_int_equal(at, lengths[i]);
		assert_memory_equal(got, text, at);
	}
}

static void join(const struct mconsole_plan *p, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; p->argv[i]; i++)
		used += snprintf(buf + used, size - used, "%s%s", i ? " " : "", p->argv[i]);
}

static void commands_are_weirs(void **state)
{
	static const struct {
		const char *command;
		enum mconsole_how how;
		const char *line;
	} v[] = {
		{ "stop", MCONSOLE_WEIR, "pause -- g" },
		{ "config mem=+64M", MCONSOLE_WEIR, "mem -- g plug 64M" },
		{ "config mem=-1048576", MCONSOLE_WEIR, "mem -- g unplug 1048576" },
		{ "config ubd1=/a", MCONSOLE_WEIR, "disk add -- g 1 /a" },
		{ "config ubd12r=/a b", MCONSOLE_WEIR, "disk add --readonly g 12 /a b" },
		{ "config ubd0=/c.cow,/b.img", MCONSOLE_WEIR, "disk add --backing /b.img -- g 0 /c.cow" },
		{ "remove ubd3", MCONSOLE_WEIR, "disk remove -- g 3" },
		{ "proc self/status", MCONSOLE_WEIR, "exec g -- cat -- /proc/self/status" },
		{ "sysrq m", MCONSOLE_WEIR, "mem -- g" },
		{ "sysrq t", MCONSOLE_WEIR, "stats -- g" },
		{ "halt", MCONSOLE_CONTROL, "stop" },
		{ "reboot", MCONSOLE_CONTROL, "reboot" },
		{ "sysrq b", MCONSOLE_CONTROL, "reboot" },
		{ "sysrq o", MCONSOLE_CONTROL, "stop" },
		{ "cad", MCONSOLE_INTERRUPT, "" },
		{ "help", MCONSOLE_SAY, "" },
		{ "sysrq", MCONSOLE_SAY, "" },
		{ "config mem", MCONSOLE_FACT, "" },
		{ "config mem?", MCONSOLE_FACT, "" },
		{ "config ubd2", MCONSOLE_FACT, "" },
		{ "config ubd2?", MCONSOLE_FACT, "" },
		{ "stack 12", MCONSOLE_FACT, "" },
		{ "log text", MCONSOLE_FACT, "" },
	};
	struct mconsole_plan p;
	char line[2048];

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		mconsole_plan(v[i].command, "g", &p);
		join(&p, line, sizeof(line));
		assert_string_equal(line, v[i].line);
		assert_int_equal(p.how, v[i].how);
	}
}

static void what_is_refused(void **state)
{
	static const char *const v[] = {
		"", "vers", "versionx", "config", "config mem=64M", "config mem=+", "config mem=+-5", "config mem=-x",
		"config memory", "config ubd", "config ubd=/a", "config ubd1=a", "config ubd1=", "config ubd1x=/a",
		"config ubd1=/a,b", "config ubd1=/a,", "config ubd1111=/a", "config ubd1r", "config eth0=tap", "remove",
		"remove mem", "remove ubd", "remove ubd1x", "remove ubd-1", "proc", "proc /etc/passwd",
		"proc ../etc/passwd", "proc a/../../b", "proc a b", "proc $(id)", "stack", "stack -1", "stack 0",
		"stack x", "stack 99999999999999999999", "sysrq z", "umlfs 3",
	};
	struct mconsole_plan p;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		mconsole_plan(v[i], "g", &p);
		if (p.how != MCONSOLE_REFUSE)
			fail_msg("'%s' is not refused", v[i]);
		assert_true(p.text[0] && !strchr(p.text, '\n'));
	}
}

/* Every command that help lists is one, and help is all of them. */
static void help_is_whole(void **state)
{
	struct mconsole_plan help, p;
	unsigned n = 0;

	mconsole_plan("help", "g", &help);
	assert_true(strlen(help.text) < sizeof(help.text) - 1);
	for (char *line = strtok(help.text, "\n"); line; line = strtok(NULL, "\n")) {
		char word[32];

		assert_int_equal(sscanf(line, "%31[a-z]", word), 1);
		mconsole_plan(word, "g", &p);
		assert_null(strstr(p.text, "Unknown"));
		assert_non_null(strstr(line, " - "));
		n++;
	}
	assert_int_equal(n, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests),
		cmocka_unit_test(the_longest_request),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(answers_in_pieces),
		cmocka_unit_test(commands_are_weirs),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(help_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
