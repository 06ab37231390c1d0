/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_value.c - numbers, sizes, durations, constants, errno names, near words
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

struct constant {
	const char *name;
	size_t size;	/* of name, with its NUL */
	uint64_t value;
};

/* clang-format off */
static const struct constant constants[] = {
#define CONST(name, value)	{ #name, sizeof(#name), value },
#include "passthrough/constants.def"
#undef CONST
};

/* The errno names of Linux; strerrorname_np() gives names, not numbers. */
static const char *const errno_alias[][2] = {
	{ "EWOULDBLOCK", "EAGAIN" },
	{ "EDEADLOCK", "EDEADLK" },
	{ "ENOTSUP", "EOPNOTSUPP" },
};
/* clang-format on */

#define MAX_ERRNO 134	/* ERFKILL 132, EHWPOISON 133 */

int policy_parse_u64(const char *s, uint64_t *ret)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(s, &end, 0);
	return *end || errno ? -EINVAL : 0;
}

int policy_parse_size(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGT";
	size_t len = strspn(s, "0123456789");
	char number[24];
	const char *unit;
	unsigned shift = 0;
	uint64_t v;

	if (len == 0 || len >= sizeof(number))
		return -EINVAL;
	snprintf(number, sizeof(number), "%.*s", (int)len, s);
	errno = 0;
	v = strtoull(number, NULL, 10);
	if (errno)
		return -EINVAL;
	if (s[len]) {
		unit = strchr(units, s[len]);
		if (!unit || s[len + 1])
			return -EINVAL;
		shift = 10 * (unit - units + 1);
	}
	if (v > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = v << shift;
	return 0;
}

static const struct {
	const char *name;
	int64_t ns;
} units[] = {
	{ "w", 7 * 86400 * INT64_C(1000000000) },
	{ "d", 86400 * INT64_C(1000000000) },
	{ "h", 3600 * INT64_C(1000000000) },
	{ "m", 60 * INT64_C(1000000000) },
	{ "s", INT64_C(1000000000) },
	{ "ms", 1000000 },
	{ "us", 1000 },
	{ "ns", 1 },
};

/* "1h30m": numbers with units. */
int policy_parse_span(const char *s, int64_t *ret_ns)
{
	int64_t sum = 0, v;

	while (*s || sum == 0) {
		size_t i, len = strspn(s, "0123456789"), unit;
		char number[20];

		if (len == 0 || len >= sizeof(number))
			return -EINVAL;
		snprintf(number, sizeof(number), "%.*s", (int)len, s);
		v = strtoll(number, NULL, 10);
		s += len;
		unit = strspn(s, "wdhmsun");
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].name) == unit && strncmp(s, units[i].name, unit) == 0)
				break;
		if (i == ARRAY_SIZE(units) || __builtin_mul_overflow(v, units[i].ns, &v) ||
		    __builtin_add_overflow(sum, v, &sum))
			return -EINVAL;
		s += unit;
		if (!*s)
			break;
	}
	*ret_ns = sum;
	return 0;
}

int policy_parse_duration(const char *s, int64_t *ret_ns)
{
	bool negative = *s == '-';
	int ret = *s == '+' || *s == '-' ? policy_parse_span(s + 1, ret_ns) : -EINVAL;

	if (ret == 0 && negative)
		*ret_ns = -*ret_ns;
	return ret;
}

size_t policy_next_word(const char **s, char *word, size_t size)
{
	size_t len;

	*s += strspn(*s, " \t,");
	len = strcspn(*s, " \t,");
	snprintf(word, size, "%.*s", (int)len, *s);
	*s += len;
	return len;
}

const char *policy_errno_name(int err)
{
	return err > 0 ? strerrorname_np(err) : NULL;
}

int policy_parse_errno(const char *s, int *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(errno_alias); i++)
		if (streq(s, errno_alias[i][0]))
			s = errno_alias[i][1];
	for (int e = 1; e < MAX_ERRNO; e++) {
		const char *name = strerrorname_np(e);

		if (name && streq(name, s)) {
			*ret = e;
			return 0;
		}
	}
	return -EINVAL;
}

int policy_constant(const char *name, uint64_t *ret)
{
	size_t size = strlen(name) + 1;

	/* Most names begin alike, so compare the length of each first. */
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].size == size && !memcmp(constants[i].name, name, size)) {
			*ret = constants[i].value;
			return 0;
		}
	return -EINVAL;
}

const char *policy_constant_name(const char *prefix, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].value == value && str_starts(constants[i].name, prefix))
			return constants[i].name;
	return NULL;
}

/* How many letters to add, drop, change or swap with the next to get from a to b. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][40];
	size_t la = strlen(a), lb = strlen(b);

	if (la >= ARRAY_SIZE(row[0]) || lb >= ARRAY_SIZE(row[0]))
		return UINT32_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *cur = row[i % 3], *prev = row[(i - 1) % 3], *prev2 = row[(i + 1) % 3];

		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			cur[j] = MIN(MIN(cur[j - 1], prev[j]) + 1,
				     prev[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cur[j] = MIN(cur[j], prev2[j - 2] + 1);
		}
	}
	return row[la % 3][lb];
}

void near_init(struct near_word *n, const char *word)
{
	n->word = word;
	n->best[0] = '\0';
	n->distance = MAX(strlen(word) / 3, 1) + 1;
}

void near_offer(struct near_word *n, const char *candidate)
{
	unsigned d = distance(n->word, candidate);

	if (d >= n->distance)
		return;
	n->distance = d;
	snprintf(n->best, sizeof(n->best), "%s", candidate);
}

const char *near_hint(struct near_word *n, char *buf, size_t size)
{
	buf[0] = '\0';
	if (n->best[0])
		snprintf(buf, size, "; did you mean %s", n->best);
	return buf;
}

void near_offer_constants(struct near_word *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(constants); i++)
		near_offer(n, constants[i].name);
}

void near_offer_errnos(struct near_word *n)
{
	for (int e = 1; e < MAX_ERRNO; e++)
		if (strerrorname_np(e))
			near_offer(n, strerrorname_np(e));
}
