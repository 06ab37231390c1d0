/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_disk.c - weir disk: images and COW files, made, looked at and joined; disks of a
 * guest that runs
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "disk_cmd.h"
#include "drivers/ubd.h"
#include "kernel/util.h"
#include "passthrough/policy.h"
#include "passthrough/policy/policy_value.h"

#define EXIT_FAILED 1

struct options {
	const char *size, *from, *backing, *format, *file_system, *serial, *depth;
	bool force, again, json, readonly, cached;
};

static int failed(const struct disk_error *err)
{
	return cmd_fail(EXIT_FAILED, "disk: %s", err->text);
}

static int create(const struct options *o, char **arg)
{
	struct disk_create c = { .path = arg[0], .from = o->from, .replace = o->force };
	struct disk_error err;

	if (o->backing && (o->size || o->from || o->file_system))
		return cmd_fail(EXIT_USAGE, "disk: a COW file has its backing file's size and content; "
					    "leave out --size, --from and --fs");
	if (o->backing)
		return disk_make_cow(o->backing, arg[0], o->force, &err) < 0 ? failed(&err) : 0;
	if (o->size && policy_parse_size(o->size, &c.size) < 0)
		return cmd_fail(EXIT_USAGE, "disk: --size %s: write a size such as 512M or 20G", o->size);
	if (!o->size && !o->from)
		return cmd_fail(EXIT_USAGE, "disk: how large? write --size SIZE, --from DIR or --backing IMAGE");
	if (o->file_system && !streq(o->file_system, "ext4"))
		return cmd_fail(EXIT_USAGE, "disk: --fs %s: write ext4, or leave it out", o->file_system);
	c.file_system = o->file_system || o->from;
	return disk_make(&c, &err) < 0 ? failed(&err) : 0;
}

static int info(const struct options *o, char **arg)
{
	struct disk_error err;

	return disk_info(arg[0], o->json, &err) < 0 ? failed(&err) : 0;
}

static int check(const struct options *o, char **arg)
{
	struct disk_error err;
	bool ok;

	if (disk_check(arg[0], o->backing, o->json, &ok, &err) < 0)
		return failed(&err);
	return ok ? 0 : EXIT_FAILED;
}

static int merge(const struct options *o, char **arg)
{
	struct disk_error err;

	return disk_merge(arg[0], o->backing, arg[1], o->force, &err) < 0 ? failed(&err) : 0;
}

static int commit(const struct options *o, char **arg)
{
	struct disk_error err;

	return disk_commit(arg[0], o->backing, o->again, &err) < 0 ? failed(&err) : 0;
}

static int convert(const struct options *o, char **arg)
{
	struct disk_error err;

	return disk_convert(arg[0], o->format, arg[1], o->force, &err) < 0 ? failed(&err) : 0;
}

/* Return: the number, or -1 after saying what one is. */
static int parse_index(const char *s)
{
	uint64_t n;

	if (policy_parse_u64(s, &n) == 0 && n < UBD_MAX_DISKS)
		return n;
	cmd_fail(EXIT_USAGE, "disk: %s: write the disk's number, 0 to %u: N of /dev/ubdN", s, UBD_MAX_DISKS - 1);
	return -1;
}

static int add(const struct options *o, char **arg)
{
	uint64_t depth = POLICY_DISK_DEPTH;
	int index = parse_index(arg[1]);

	if (index < 0)
		return EXIT_USAGE;
	if (o->depth && (policy_parse_u64(o->depth, &depth) < 0 || depth < 1 || depth > UBD_MAX_DEPTH))
		return cmd_fail(EXIT_USAGE, "disk: --depth %s: write how many requests may be under way, 1 to %u",
				o->depth, UBD_MAX_DEPTH);
	if (o->serial && !policy_disk_serial(o->serial))
		return cmd_fail(EXIT_USAGE, "disk: --serial %s: write 1 to 20 letters, digits and signs, no blanks and no /",
				o->serial);
	return disk_add(&(struct disk_add){
		.guest = arg[0], .index = index, .path = arg[2], .backing = o->backing, .serial = o->serial,
		.depth = depth, .direct = !o->cached, .readonly = o->readonly,
	});
}

static int detach(const struct options *o, char **arg)
{
	int index = parse_index(arg[1]);

	return index < 0 ? EXIT_USAGE : disk_remove(arg[0], index);
}

static const struct verb {
	const char *name;
	int (*run)(const struct options *o, char **arg);
	int nargs;
	const char *options;	/* those that it takes, as getopt's values */
	const char *usage;
} verbs[] = {
	{ "create",  create,  1, "sFbef", "[--force] --size SIZE [--fs ext4] | --from DIR [--size SIZE] | "
					  "--backing IMAGE FILE" },
	{ "info",    info,    1, "j",   "[--json] FILE" },
	{ "check",   check,   1, "jb",  "[--json] [--backing IMAGE] FILE" },
	{ "merge",   merge,   2, "bf",  "[--force] [--backing IMAGE] COW FILE" },
	{ "commit",  commit,  1, "ba",  "[--again] [--backing IMAGE] COW" },
	{ "convert", convert, 2, "tf",  "[--force] [--format NAME] FROM FILE" },
	{ "add",     add,     3, "brcnd", "[--readonly] [--cached] [--depth N] [--serial TEXT] [--backing IMAGE] "
					  "NAME N FILE" },
	{ "remove",  detach,  2, "",    "NAME N" },
};

static const struct option long_options[] = {
	{ "size", required_argument, NULL, 's' },    { "from", required_argument, NULL, 'F' },
	{ "backing", required_argument, NULL, 'b' }, { "fs", required_argument, NULL, 'e' },
	{ "format", required_argument, NULL, 't' },  { "force", no_argument, NULL, 'f' },
	{ "again", no_argument, NULL, 'a' },	     { "json", no_argument, NULL, 'j' },
	{ "readonly", no_argument, NULL, 'r' },	     { "cached", no_argument, NULL, 'c' },
	{ "serial", required_argument, NULL, 'n' },  { "depth", required_argument, NULL, 'd' },
	{ NULL, 0, NULL, 0 },
};

static int usage(const struct verb *v)
{
	return cmd_fail(EXIT_USAGE, "disk: usage: weir disk %s %s", v->name, v->usage);
}

static void set_option(struct options *o, int c)
{
	switch (c) {
	case 's': o->size = optarg; break;
	case 'F': o->from = optarg; break;
	case 'b': o->backing = optarg; break;
	case 'e': o->file_system = optarg; break;
	case 't': o->format = optarg; break;
	case 'f': o->force = true; break;
	case 'a': o->again = true; break;
	case 'j': o->json = true; break;
	case 'r': o->readonly = true; break;
	case 'c': o->cached = true; break;
	case 'n': o->serial = optarg; break;
	case 'd': o->depth = optarg; break;
	}
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
	struct options o = { 0 };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == '?' || !strchr(v->options, c))
			return usage(v);
		set_option(&o, c);
	}
	if (argc - optind != v->nargs)
		return usage(v);
	return v->run(&o, argv + optind);
}

int cmd_disk(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
		if (streq(verbs[i].name, argv[1]))
			return run_verb(&verbs[i], argc - 1, argv + 1);
	return cmd_fail(EXIT_USAGE, "disk: usage: weir disk create|info|check|merge|commit|convert|add|remove ARG...");
}
