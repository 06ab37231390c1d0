/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpfs.c - how much a tmpfs that the guest mounts may hold
 */
#include "kernel/memory/tmpfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

/* As the host's memparse(): a number with a unit. A share of memory ("50%", of the
 * host's), 0 (no limit) and what we do not read alike count as more than there is. */
static uint64_t size_value(const char *s)
{
	static const char units[] = "kmgt";
	char *end;
	uint64_t v = strtoull(s, &end, 0);
	const char *unit = *end ? strchr(units, *end | 0x20) : NULL;

	for (const char *u = units; unit && u <= unit; u++)
		v = v > UINT64_MAX >> 10 ? UINT64_MAX : v << 10;
	end += !!unit;
	return v && (*end == '\0' || *end == ',') ? v : UINT64_MAX;
}

/* The last size of the options. Return: false if there is none. */
static bool find_size(const char *data, uint64_t *ret)
{
	bool found = false;

	for (const char *p = data; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (str_starts(p, "size="))
			*ret = size_value(p + strlen("size="));
		else if (str_starts(p, "nr_blocks="))
			*ret = UINT64_MAX;
		else
			continue;
		found = true;
	}
	return found;
}

bool tmpfs_bound(char *data, size_t size, uint64_t most, bool hard, bool always)
{
	size_t used = strlen(data);
	uint64_t have;
	char text[32];

	if (find_size(data, &have) ? !hard || have <= most : !always)
		return false;
	snprintf(text, sizeof(text), "%ssize=%llu", used ? "," : "", (unsigned long long)most);
	if (used + strlen(text) >= size)
		return false;
	strcpy(data + used, text);
	return true;
}
