/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_test.c - a condition of an OCI seccomp profile as a test
 *
 * The values are taken in the width of the argument that the host looks at,
 * as in a policy.
 */
#include "kernel/util.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/oci_impl.h"
#include "passthrough/policy/policy_write.h"

static const struct {
	const char *name;
	enum test_op op;
} operators[] = {
	{ "SCMP_CMP_NE", TEST_NE }, { "SCMP_CMP_LT", TEST_LT }, { "SCMP_CMP_LE", TEST_LE },
	{ "SCMP_CMP_EQ", TEST_EQ }, { "SCMP_CMP_GE", TEST_GE }, { "SCMP_CMP_GT", TEST_GT },
	{ "SCMP_CMP_MASKED_EQ", TEST_MASKED_EQ },
};

/* A number in the width of an argument; -1 may be written with all 64 bits. */
static int read_value(struct oci_reader *rd, json_t *o, const char *key, unsigned width, uint64_t *ret)
{
	json_t *v = json_object_get(o, key);
	uint64_t limit = width_mask(width), n = v ? json_integer_value(v) : 0;
	char where[40];

	snprintf(where, sizeof(where), ".%s", key);
	if (v && !json_is_integer(v))
		return oci_fail(rd, where, "is no number");
	if (n > limit && (n | limit) != UINT64_MAX)
		return oci_fail(rd, where, "%#llx does not fit into the %u bits that the host looks at",
			    (unsigned long long)n, width);
	*ret = n & limit;
	return 0;
}

static int check_holds(struct oci_reader *rd, const struct policy_test *t)
{
	uint64_t limit = width_mask(t->width), v = t->value[0];
	bool constant = (t->op == TEST_LT && v == 0) || (t->op == TEST_GT && v == limit) ||
			(t->op == TEST_GE && v == 0) || (t->op == TEST_LE && v == limit);

	if (constant)
		return oci_fail(rd, ".value", "this comparison of an unsigned number always gives the same; leave it out");
	if (t->op == TEST_MASKED_EQ && v & ~t->mask)
		return oci_fail(rd, ".valueTwo", "%#llx has bits that are not in the mask %#llx: it never holds",
			    (unsigned long long)v, (unsigned long long)t->mask);
	return 0;
}

int oci_read_test(struct oci_reader *rd, json_t *o, int nr, struct policy_test *ret)
{
	static const char *const known[] = { "index", "value", "valueTwo", "op", NULL };
	const char *op = json_string_value(json_object_get(o, "op"));
	json_t *index = json_object_get(o, "index");
	struct call_arg arg;
	uint64_t second;
	bool found = false;
	int r = oci_check_keys(rd, o, known);

	if (r < 0)
		return r;
	if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) > 5)
		return oci_fail(rd, ".index", "no argument; write 0 to 5");
	if (call_arg_at(nr, json_integer_value(index), &arg) < 0 || arg.width == 0)
		return oci_fail(rd, ".index", "argument %d of %s is none that can be tested; leave it out",
			    (int)json_integer_value(index), syscall_name(nr));
	*ret = (struct policy_test){ .arg = arg.index, .width = arg.width, .nvalues = 1 };
	for (size_t i = 0; op && i < ARRAY_SIZE(operators); i++)
		if (streq(operators[i].name, op)) {
			ret->op = operators[i].op;
			found = true;
		}
	if (!found)
		return oci_fail(rd, ".op", "unknown comparison %.30s; write SCMP_CMP_EQ, NE, LT, LE, GT, GE or MASKED_EQ",
			    op ? op : "(none)");
	r = read_value(rd, o, "value", arg.width, &ret->value[0]);
	if (r < 0 || ret->op != TEST_MASKED_EQ)
		return r < 0 ? r : check_holds(rd, ret);
	r = read_value(rd, o, "valueTwo", arg.width, &second);
	if (r < 0)
		return r;
	ret->mask = ret->value[0];
	ret->value[0] = second;
	r = check_holds(rd, ret);
	if (ret->mask == width_mask(arg.width)) {
		ret->op = TEST_EQ;
		ret->mask = 0;
	} else if (ret->mask == 0) {
		ret->nvalues = 0;
	}
	return r;
}
