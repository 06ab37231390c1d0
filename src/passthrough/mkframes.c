/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkframes.c - at build time: the frames of the shipped policies as C
 *
 * usage: mkframes OUTPUT
 */
#include <stdio.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/frame.h"

struct made {
	uint64_t key;
	int len;
};

static int make_frame(const char *file, struct made *ret, struct sock_filter *insn)
{
	char name[64];
	struct policy_error err = {};
	struct frame_actions actions;
	struct policy *policy;
	struct lanes *lanes;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "."), file);
	if (policy_load_shipped(name, &policy, &err) < 0 ||
	    lanes_build(policy, &lanes, &err) < 0) {
		fprintf(stderr, "mkframes: %s\n", err.text);
		return -1;
	}
	frame_actions(lanes, &actions);
	ret->key = frame_key(&actions);
	ret->len = frame_build(&actions, insn);
	lanes_free(lanes);
	policy_free(policy);
	if (ret->len < 0)
		fprintf(stderr, "mkframes: %s: libseccomp: %s\n", file, strerror(-ret->len));
	return MIN(ret->len, 0);
}

static void write_frame(FILE *f, unsigned i, const struct sock_filter *insn, int len)
{
	fprintf(f, "static const struct sock_filter frame_%u[] = {\n", i);
	for (int k = 0; k < len; k++)
		fprintf(f, "\t{ %#x, %u, %u, %#x },\n", insn[k].code, insn[k].jt, insn[k].jf,
			insn[k].k);
	fprintf(f, "};\n\n");
}

static int write_all(FILE *f)
{
	static struct sock_filter insn[BPF_MAXINSNS];
	static struct made made[64];
	unsigned n = 0;

	fprintf(f, "/* Made by mkframes.c: change policies/, not this. */\n"
		   "#include \"passthrough/frame.h\"\n\n");
	for (; weir_policies[n].name && n < ARRAY_SIZE(made); n++) {
		if (make_frame(weir_policies[n].name, &made[n], insn) < 0)
			return -1;
		write_frame(f, n, insn, made[n].len);
	}
	fprintf(f, "const struct frame shipped_frames[] = {\n");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "\t{ %#llx, frame_%u, %d },\n", (unsigned long long)made[i].key, i,
			made[i].len);
	fprintf(f, "\t{ 0, NULL, 0 },\n};\n");
	return ferror(f);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "w") : NULL;
	int ret;

	if (!f) {
		fprintf(stderr, argc == 2 ? "mkframes: cannot write\n" : "usage: mkframes OUTPUT\n");
		return 1;
	}
	ret = write_all(f);
	return fclose(f) || ret ? 1 : 0;
}
