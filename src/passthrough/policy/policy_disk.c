/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_disk.c - the sections [disk.0], [disk.1] ..., and a root that is on one
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

#define FAIL(ld, e, ...) policy_fail((ld)->err, &(e)->pos, __VA_ARGS__)
#define MAX_DEPTH 1024
#define RAM_UNIT 4096
#define RAM_MAX (INT64_MAX / 4 / POLICY_MAX_DISKS)	/* of one disk: of all of them it is a number still */

static const struct numbered disks = {
	.section = "disk", .noun = "disk", .example = "image", .max = POLICY_MAX_DISKS,
};

int policy_disk_section(struct loader *ld, const struct policy_pos *pos, const char *name)
{
	return policy_numbered_section(ld, &disks, pos, name);
}

/* In a file a path is absolute: nobody knows where weir will be run. */
static int set_path(struct loader *ld, const struct policy_entry *e, const char *key, char **ret)
{
	char path[PATH_MAX], cwd[PATH_MAX];

	if (!e->value[0])
		return FAIL(ld, e, "%s is empty; write the path of a file", key);
	if (e->value[0] != '/' && e->pos.line)
		return FAIL(ld, e, "%s = %s is not an absolute path; write %s = /srv/%s", key, e->value, key,
			    e->value);
	if (e->value[0] == '/')
		snprintf(path, sizeof(path), "%s", e->value);
	else if (!getcwd(cwd, sizeof(cwd)) ||
		 snprintf(path, sizeof(path), "%s/%s", cwd, e->value) >= (int)sizeof(path))
		return FAIL(ld, e, "%s = %s: the current directory's path is too long; write an absolute path",
			    key, e->value);
	*ret = policy_strdup(ld->p, path);
	return *ret ? 0 : policy_no_memory(ld->err);
}

static int set_image(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	return set_path(ld, e, "image", &d->image);
}

static int set_cow(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	return set_path(ld, e, "cow", &d->cow);
}

static int set_ram(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	if (policy_parse_size(e->value, &d->ram) < 0 || !d->ram || d->ram % RAM_UNIT || d->ram > RAM_MAX)
		return FAIL(ld, e, "ram = %s; write a size in whole pages of 4K such as 64M", e->value);
	return 0;
}

static int set_direct(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	return policy_set_bool(ld, e, "direct", &d->direct);
}

static int set_readonly(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	return policy_set_bool(ld, e, "readonly", &d->readonly);
}

static int set_depth(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	uint64_t v;

	if (policy_parse_u64(e->value, &v) < 0 || v < 1 || v > MAX_DEPTH)
		return FAIL(ld, e, "depth = %s; write how many requests may be under way, 1 to %d", e->value,
			    MAX_DEPTH);
	d->depth = v;
	return 0;
}

bool policy_disk_serial(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '/')
			return false;
	return len > 0 && len < POLICY_SERIAL_SIZE;
}

static int set_serial(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	if (!policy_disk_serial(e->value))
		return FAIL(ld, e, "serial = %s; write 1 to %d letters, digits and signs, no blanks and no /",
			    e->value, POLICY_SERIAL_SIZE - 1);
	strcpy(d->serial, e->value);
	return 0;
}

/* Is @path @top, or below it? */
static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '/' || !path[len]);
}

static bool ends_in(const char *path, const char *tail)
{
	size_t len = strlen(path), n = strlen(tail);

	return len >= n && streq(path + len - n, tail);
}

/* The guest's own directories, and / itself, are no place for it; nor is a path that is
 * another way to write a shorter one. */
static bool may_mount_at(const char *path)
{
	static const char *const own[] = { "/proc", "/sys", "/dev" };

	if (path[0] != '/' || !path[1] || strstr(path, "/..") || strstr(path, "//") || strstr(path, "/./") ||
	    ends_in(path, "/") || ends_in(path, "/."))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (is_below(path, own[i]))
			return false;
	return strlen(path) < PATH_MAX;
}

static int set_mount(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	if (streq(e->value, "/"))
		return FAIL(ld, e, "mount = / is the guest's root; write root = disk:%d under [guest]",
			    (int)(d - ld->p->disk));
	if (!may_mount_at(e->value))
		return FAIL(ld, e, "mount = %s is no place for a disk; write a directory of the guest's such as /srv",
			    e->value);
	d->mount = policy_strdup(ld->p, e->value);
	return d->mount ? 0 : policy_no_memory(ld->err);
}

static int set_type(struct loader *ld, const struct policy_entry *e, struct policy_disk *d)
{
	if (!streq(e->value, "ext2") && !streq(e->value, "ext3") && !streq(e->value, "ext4"))
		return FAIL(ld, e, "type = %s; write ext2, ext3 or ext4, or leave it out", e->value);
	strcpy(d->type, e->value);
	return 0;
}

static const struct {
	const char *key;
	int (*set)(struct loader *ld, const struct policy_entry *e, struct policy_disk *d);
} keys[] = {
	{ "image", set_image }, { "cow", set_cow },	{ "ram", set_ram }, { "direct", set_direct },
	{ "depth", set_depth }, { "readonly", set_readonly }, { "serial", set_serial },
	{ "mount", set_mount }, { "type", set_type },
};

int policy_disk_apply(struct loader *ld, const struct policy_entry *e)
{
	const char *key;
	int n = policy_numbered_key(ld, &disks, e, &key);
	struct near_word near;
	struct policy_disk *d;
	char hint[64];

	if (n < 0)
		return n;
	d = &ld->p->disk[n];
	if (!d->used)
		*d = (struct policy_disk){ .used = true, .direct = true, .depth = POLICY_DISK_DEPTH };
	d->pos = e->pos;
	near_init(&near, key);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (streq(keys[i].key, key))
			return keys[i].set(ld, e, d);
		near_offer(&near, keys[i].key);
	}
	return FAIL(ld, e, "unknown key %s of a disk%s; known are image, cow, ram, direct, depth, readonly, serial, mount, type",
		    key, near_hint(&near, hint, sizeof(hint)));
}

static uint64_t ram_of_disks(const struct policy *p)
{
	uint64_t ram = 0;

	for (int i = 0; i < POLICY_MAX_DISKS; i++)
		ram += p->disk[i].ram;
	return ram;
}

uint64_t policy_own_memory(const struct policy *p)
{
	uint64_t ram = ram_of_disks(p);

	return p->memory > ram ? p->memory - ram : 0;
}

static int check_ram(struct loader *ld, const struct policy_disk *d, int i)
{
	const struct policy *p = ld->p;

	if (d->image || d->cow)
		return policy_fail(ld->err, &d->pos, "disk.%d has ram and a file; leave one of them out", i);
	if (p->memory && policy_own_memory(p) < p->memory / 2)
		return policy_fail(ld->err, &d->pos,
				   "the ram of the disks is more than half of the guest's memory; write memory = %lluM or more under [guest]",
				   2 * (unsigned long long)((ram_of_disks(p) + (1 << 20) - 1) >> 20));
	return 0;
}

/* ---- a root on a disk -------------------------------------------------------- */

int policy_root_disk(const char *root, unsigned *disk, unsigned *part)
{
	const char *rest;
	int n, p = 0;

	if (!root || !str_starts(root, "disk:"))
		return 0;
	n = policy_number(root + strlen("disk:"), POLICY_MAX_DISKS, &rest);
	if (n < 0)
		return -EINVAL;
	if (*rest == 'p' && rest[1] >= '1' && rest[1] <= '9' && strspn(rest + 1, "0123456789") < 4)
		for (rest++; *rest >= '0' && *rest <= '9'; rest++)
			p = 10 * p + (*rest - '0');
	*disk = n;
	*part = p;
	return *rest ? -EINVAL : 1;
}

/* The host lets none but who is in the guest's user namespace look at the files of a disk. */
static int check_seen(const struct policy *p, const char *what, const struct policy_pos *pos, struct policy_error *err)
{
	bool ids = policy_keeps_ids(p);

	if (!ids && !p->clock.guest_stamps)
		return 0;
	return policy_fail(err, pos, "%s: the guest kernel cannot look at the files of a disk, as %s wants; write %s", what,
			   ids ? "uid = single" : "stamps = guest", ids ? "uid = auto" : "stamps = raw");
}

int policy_check_root(const struct policy *p, const char *root, struct policy_error *err)
{
	bool written = p->writable == WRITABLE_AUTO || p->writable == WRITABLE_YES;
	unsigned n, part;
	int ret = policy_root_disk(root, &n, &part);

	if (ret < 0)
		return policy_fail(err, NULL, "%s is no disk; write disk:0 to disk:%d, or disk:0p1 for a partition", root,
			   POLICY_MAX_DISKS - 1);
	if (ret == 0)
		return 0;
	if (!p->disk[n].used)
		return policy_fail(err, NULL, "%s: the policy has no such disk; write [disk.%u] image = /FILE, or --set disk.%u.image=FILE",
			   root, n, n);
	if (p->disk[n].mount)
		return policy_fail(err, NULL, "%s: the disk is the root, and mounted on %s; leave mount out of [disk.%u]", root,
			   p->disk[n].mount, n);
	ret = check_seen(p, root, NULL, err);
	if (ret < 0)
		return ret;
	if (p->disk[n].readonly && written)
		return policy_fail(err, NULL, "%s: the disk is readonly; write writable = overlay or no under [guest]", root);
	return 0;
}

int policy_set_root(struct loader *ld, const struct policy_entry *e)
{
	ld->p->root_pos = e->pos;
	if (!str_starts(e->value, "disk:"))
		return set_path(ld, e, "root", &ld->p->root);
	ld->p->root = policy_strdup(ld->p, e->value);
	return ld->p->root ? 0 : policy_no_memory(ld->err);
}

static int check_own_root(struct loader *ld)
{
	struct policy_error err;

	if (policy_check_root(ld->p, ld->p->root, &err) == 0)
		return 0;
	return policy_fail(ld->err, &ld->p->root_pos, "root = %s", err.text);
}

/* They are mounted in the order of their numbers: what is mounted above another later hides it. */
static int check_mount(struct loader *ld, int j)
{
	const struct policy_disk *d = ld->p->disk;
	char what[32];

	for (int i = 0; i < j; i++) {
		if (!d[i].mount || !is_below(d[i].mount, d[j].mount))
			continue;
		if (streq(d[i].mount, d[j].mount))
			return policy_fail(ld->err, &d[j].pos, "mount = %s is disk.%d's already; write another directory",
					   d[j].mount, i);
		return policy_fail(ld->err, &d[j].pos,
				   "mount = %s of disk.%d would hide disk.%d on %s; give the lower number to the one above",
				   d[j].mount, j, i, d[i].mount);
	}
	snprintf(what, sizeof(what), "the mount of disk.%d", j);
	return check_seen(ld->p, what, &d[j].pos, ld->err);
}

int policy_disk_finish(struct loader *ld)
{
	for (int i = 0; i < POLICY_MAX_DISKS; i++) {
		const struct policy_disk *d = &ld->p->disk[i];

		if (d->used && !d->image && !d->cow && !d->ram)
			return policy_fail(ld->err, &d->pos,
					   "disk.%d has no file; write image = /path, or cow = /path, or ram = 64M", i);
		if (d->ram && check_ram(ld, d, i) < 0)
			return -EINVAL;
		if (d->mount && check_mount(ld, i) < 0)
			return -EINVAL;
	}
	return check_own_root(ld);
}

void policy_show_disks(const struct policy *p, FILE *f)
{
	for (int i = 0; i < POLICY_MAX_DISKS; i++) {
		const struct policy_disk *d = &p->disk[i];

		if (!d->used)
			continue;
		fprintf(f, "\n[disk.%d]\n", i);
		if (d->image)
			fprintf(f, "image = %s\n", d->image);
		if (d->cow)
			fprintf(f, "cow = %s\n", d->cow);
		if (d->ram)
			fprintf(f, "ram = %llu\n", (unsigned long long)d->ram);
		fprintf(f, "direct = %s\nreadonly = %s\ndepth = %u\n", d->direct ? "yes" : "no",
			d->readonly ? "yes" : "no", d->depth);
		if (d->serial[0])
			fprintf(f, "serial = %s\n", d->serial);
		if (d->mount)
			fprintf(f, "mount = %s\n", d->mount);
		if (d->type[0])
			fprintf(f, "type = %s\n", d->type);
	}
}
