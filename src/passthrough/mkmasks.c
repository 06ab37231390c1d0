/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkmasks.c - at build time: the masks of the shipped policies, and the guest
 *             kernel's own filter, as C
 *
 * usage: mkmasks OUTPUT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/confine.h"
#include "passthrough/embedded.h"
#include "passthrough/mask.h"
#include "passthrough/policy/shipped.h"

/* Here, all is made and checked. */
const struct shipped_mask shipped_masks[] = { { NULL, 0, NULL, 0 } };
const struct confine_program confine_kernel[NUM_CONFINE_FILTERS] = {};

static void write_program(FILE *f, const struct sock_filter *insn, unsigned len)
{
	for (unsigned k = 0; k < len; k++)
		fprintf(f, "\t{ %#x, %u, %u, %#x },\n", insn[k].code, insn[k].jt, insn[k].jf,
			insn[k].k);
	fprintf(f, "};\n\n");
}

static void write_mask(FILE *f, unsigned i, const uint32_t *table, long words,
		       const struct mask *m)
{
	fprintf(f, "static const uint32_t table_%u[] = {", i);
	for (long k = 0; k < words; k++)
		fprintf(f, "%s%#x,", k % 12 ? " " : "\n\t", table[k]);
	fprintf(f, "\n};\n\nstatic const struct sock_filter insn_%u[] = {\n", i);
	write_program(f, m->insn, m->len);
}

static int write_confine(FILE *f)
{
	static struct sock_filter insn[BPF_MAXINSNS];

	for (int i = 0; i < NUM_CONFINE_FILTERS; i++) {
		int len = confine_build(i, insn);

		if (len < 0) {
			fprintf(stderr, "mkmasks: the guest kernel's filter: %s\n", strerror(-len));
			return -1;
		}
		fprintf(f, "static const struct sock_filter confine_%d[] = {\n", i);
		write_program(f, insn, len);
	}
	fprintf(f, "const struct confine_program confine_kernel[NUM_CONFINE_FILTERS] = {\n");
	for (int i = 0; i < NUM_CONFINE_FILTERS; i++)
		fprintf(f, "\t{ confine_%d, ARRAY_SIZE(confine_%d) },\n", i, i);
	fprintf(f, "};\n\n");
	return 0;
}

static int make_mask(FILE *f, unsigned i, const char *file)
{
	cleanup_free uint32_t *table = NULL;
	struct policy_error err = {};
	struct policy *policy;
	struct lanes *lanes;
	struct mask mask;
	char name[64];
	long words;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "."), file);
	if (policy_load_shipped(name, &policy, &err) < 0 ||
	    lanes_build(policy, &lanes, &err) < 0 || mask_compile(lanes, &mask, &err) < 0) {
		fprintf(stderr, "mkmasks: %s: %s\n", file, err.text);
		return -1;
	}
	words = shipped_words(lanes, &table);
	if (words > 0)
		write_mask(f, i, table, words, &mask);
	mask_free(&mask);
	lanes_free(lanes);
	policy_free(policy);
	return MIN(words, 0);
}

static int write_all(FILE *f)
{
	unsigned n = 0;

	fprintf(f, "/* Made by mkmasks.c: change policies/, not this. */\n"
		   "#include \"kernel/util.h\"\n"
		   "#include \"passthrough/confine.h\"\n"
		   "#include \"passthrough/policy/shipped.h\"\n\n");
	for (; weir_policies[n].name; n++)
		if (make_mask(f, n, weir_policies[n].name) < 0)
			return -1;
	if (write_confine(f) < 0)
		return -1;
	fprintf(f, "const struct shipped_mask shipped_masks[] = {\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "\t{ table_%u, ARRAY_SIZE(table_%u), insn_%u, ARRAY_SIZE(insn_%u) },\n",
			i, i, i, i);
	fprintf(f, "\t{ NULL, 0, NULL, 0 },\n};\n");
	return ferror(f);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "w") : NULL;
	int ret;

	if (!f) {
		fprintf(stderr, argc == 2 ? "mkmasks: cannot write\n" : "usage: mkmasks OUTPUT\n");
		return 1;
	}
	ret = write_all(f);
	return fclose(f) || ret ? 1 : 0;
}
