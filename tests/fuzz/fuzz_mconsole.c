/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_mconsole.c - requests to the management console
 *
 * Whatever the datagram, it is refused or there is a plan, whose words end, and whose
 * weir command names the guest where the guest's name belongs.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/mconsole.h"
#include "kernel/util.h"

#define GUEST "fuzz-guest"

static void look_at(const struct mconsole_plan *p)
{
	unsigned n = 0, guests = 0;

	MUST(memchr(p->text, '\0', sizeof(p->text)));
	for (; p->argv[n]; n++) {
		MUST(n < MCONSOLE_MAX_ARGS - 1);
		guests += streq(p->argv[n], GUEST);
	}
	switch (p->how) {
	case MCONSOLE_WEIR:
		MUST(n >= 2 && guests == 1);
		break;
	case MCONSOLE_CONTROL:
		MUST(n == 1 && guests == 0);
		break;
	case MCONSOLE_REFUSE:
		MUST(p->text[0] && n == 0);
		break;
	default:
		MUST(n == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char command[MCONSOLE_DATA];
	struct mconsole_plan plan;
	const char *why = NULL;
	int ret = mconsole_parse(data, size, command, &why);

	MUST(ret == 0 || ret == -EPROTO || (ret == -EINVAL && why));
	if (ret == 0) {
		MUST(memchr(command, '\0', sizeof(command)));
		mconsole_plan(command, GUEST, &plan);
		look_at(&plan);
	}
	return 0;
}
