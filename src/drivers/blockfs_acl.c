/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_acl.c - lists of access rights (POSIX.1e, acl(5))
 *
 * On the disk they are attributes in a form of ext4's, entries of 4 bytes or, for a
 * named user or group, of 8; the host, which obeys them, has entries of 8. Mode and
 * list of a file agree: who changes one changes the other, as ext4 does.
 */
#include "drivers/blockfs_impl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"

#define DISK_VERSION 1u			/* ext4's; fs/ext4/acl.h */
#define NO_ID UINT32_MAX

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	unsigned n;
	struct acl_entry e[];
};

_Static_assert(sizeof(struct posix_acl_xattr_entry) == sizeof(struct acl_entry), "the host's entries");

static const char *const names[] = { [ACL_ACCESS] = XATTR_NAME_POSIX_ACL_ACCESS,
				     [ACL_DEFAULT] = XATTR_NAME_POSIX_ACL_DEFAULT };

int acl_type(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(names[i], name))
			return i;
	return -1;
}

/* ---- forms ---------------------------------------------------------------- */

static bool is_named(uint16_t tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

static size_t disk_size(uint16_t tag)
{
	return is_named(tag) ? 8 : 4;
}

/* Owner, users, group, groups, mask (if anybody is named), others: in this order. */
static bool is_valid(const struct acl *a)
{
	static const uint16_t order[] = { ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER };
	bool named = false, seen[ARRAY_SIZE(order)] = { false };
	unsigned at = 0;

	for (unsigned i = 0; i < a->n; i++) {
		while (at < ARRAY_SIZE(order) && order[at] != a->e[i].tag)
			at++;
		if (at == ARRAY_SIZE(order) || a->e[i].perm & ~7u || (seen[at] && !is_named(order[at])))
			return false;
		seen[at] = true;
		named |= is_named(order[at]);
	}
	return seen[0] && seen[2] && seen[5] && (seen[4] || !named);
}

/* Of either form: @disk. Return: 0 and a list to be freed, -EINVAL, -ENOMEM. */
static int parse(const uint8_t *p, size_t len, bool disk, struct acl **ret)
{
	cleanup_free struct acl *a = malloc(sizeof(*a) + len / 4 * sizeof(a->e[0]));
	uint32_t version;

	if (!a)
		return -ENOMEM;
	if (len < sizeof(version))
		return -EINVAL;
	memcpy(&version, p, sizeof(version));
	if (le32toh(version) != (disk ? DISK_VERSION : POSIX_ACL_XATTR_VERSION))
		return -EINVAL;
	a->n = 0;
	for (size_t at = 4, size; at < len; at += size) {
		struct posix_acl_xattr_entry x = { .e_id = NO_ID };

		if (len - at < 4)
			return -EINVAL;
		memcpy(&x, p + at, 4);
		size = disk ? disk_size(le16toh(x.e_tag)) : sizeof(x);
		if (len - at < size)
			return -EINVAL;
		memcpy(&x, p + at, size);
		a->e[a->n++] = (struct acl_entry){ le16toh(x.e_tag), le16toh(x.e_perm), le32toh(x.e_id) };
	}
	if (!is_valid(a))
		return -EINVAL;
	*ret = take_ptr(a);
	return 0;
}

static size_t format(const struct acl *a, bool disk, uint8_t *p)
{
	uint32_t version = htole32(disk ? DISK_VERSION : POSIX_ACL_XATTR_VERSION);
	size_t at = sizeof(version);

	memcpy(p, &version, sizeof(version));
	for (unsigned i = 0; i < a->n; i++) {
		struct posix_acl_xattr_entry x = {
			htole16(a->e[i].tag), htole16(a->e[i].perm),
			htole32(is_named(a->e[i].tag) ? a->e[i].id : NO_ID),
		};
		size_t size = disk ? disk_size(a->e[i].tag) : sizeof(x);

		memcpy(p + at, &x, size);
		at += size;
	}
	return at;
}

/* ---- of an inode -------------------------------------------------------------- */

static int load(struct blockfs *b, uint32_t ino, enum acl_type type, struct acl **ret)
{
	void *value = NULL;
	size_t len = 0;
	int r = xattr_get(b, ino, names[type], &value, &len);

	if (r == 0)
		r = parse(value, len, true, ret);
	if (value)
		ext2fs_free_mem(&value);
	return r;
}

static int store(struct blockfs *b, uint32_t ino, enum acl_type type, const struct acl *a)
{
	cleanup_free uint8_t *buf = malloc(4 + a->n * sizeof(a->e[0]));

	return buf ? xattr_set(b, ino, names[type], buf, format(a, true, buf), 0) : -ENOMEM;
}

static int drop(struct blockfs *b, uint32_t ino, enum acl_type type)
{
	int ret = xattr_remove(b, ino, names[type]);

	return ret == -ENODATA || ret == -EOPNOTSUPP ? 0 : ret;
}

int acl_get(struct blockfs *b, uint32_t ino, enum acl_type type, void **ret_value, size_t *ret_len)
{
	cleanup_free struct acl *a = NULL;
	int ret = load(b, ino, type, &a);

	*ret_value = NULL;
	if (ret < 0)
		return ret;
	*ret_value = malloc(4 + a->n * sizeof(a->e[0]));
	if (!*ret_value)
		return -ENOMEM;
	*ret_len = format(a, false, *ret_value);
	return 0;
}

/* ---- and its mode --------------------------------------------------------------- */

static struct acl_entry *find(struct acl *a, uint16_t tag)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->e[i].tag == tag)
			return &a->e[i];
	return NULL;
}

/* Whose rights the mode has as the group's: those of the mask, if there is one. */
static struct acl_entry *group_class(struct acl *a)
{
	return find(a, ACL_MASK) ?: find(a, ACL_GROUP_OBJ);
}

static mode_t mode_of(struct acl *a)
{
	return find(a, ACL_USER_OBJ)->perm << 6 | group_class(a)->perm << 3 | find(a, ACL_OTHER)->perm;
}

/* Does it say more than a mode can? */
static bool is_extended(const struct acl *a)
{
	return a->n > 3;
}

static int set_mode(struct blockfs *b, uint32_t ino, struct acl *a, bool keep_sgid)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret < 0)
		return ret;
	i.raw.i_mode = (i.raw.i_mode & ~0777) | mode_of(a);
	if (!keep_sgid)
		i.raw.i_mode &= ~S_ISGID;
	inode_touch(b, &i, INODE_CTIME);
	return inode_write(b, &i);
}

int acl_set(struct blockfs *b, uint32_t ino, enum acl_type type, const void *value, size_t len, bool keep_sgid)
{
	cleanup_free struct acl *a = NULL;
	int ret = parse(value, len, false, &a);

	if (ret < 0)
		return ret;
	if (type == ACL_DEFAULT)
		return store(b, ino, type, a);
	ret = is_extended(a) ? store(b, ino, type, a) : drop(b, ino, type);
	return ret ?: set_mode(b, ino, a, keep_sgid);
}

int acl_remove(struct blockfs *b, uint32_t ino, enum acl_type type)
{
	return drop(b, ino, type);
}

int acl_chmod(struct blockfs *b, uint32_t ino, mode_t mode)
{
	cleanup_free struct acl *a = NULL;
	int ret = load(b, ino, ACL_ACCESS, &a);

	if (ret < 0)
		return ret == -ENODATA ? 0 : ret;
	find(a, ACL_USER_OBJ)->perm = mode >> 6 & 7;
	group_class(a)->perm = mode >> 3 & 7;
	find(a, ACL_OTHER)->perm = mode & 7;
	return store(b, ino, ACL_ACCESS, a);
}

/* ---- of what is new ----------------------------------------------------------------- */

int acl_inherit(struct blockfs *b, uint32_t dir, struct new_inode *n, struct acl **ret)
{
	int r = S_ISLNK(n->mode) ? -ENODATA : load(b, dir, ACL_DEFAULT, ret);

	*ret = r == 0 ? *ret : NULL;
	if (r == -ENODATA && !S_ISLNK(n->mode))
		n->mode &= ~n->umask;
	return r == -ENODATA ? 0 : r;
}

int acl_give(struct blockfs *b, uint32_t ino, struct acl *a)
{
	struct inode i;
	int ret = inode_read(b, ino, &i);

	if (ret == 0 && LINUX_S_ISDIR(i.raw.i_mode))
		ret = store(b, ino, ACL_DEFAULT, a);
	if (ret < 0)
		return ret;
	/* What the directory gives, as far as who makes it wants that. */
	find(a, ACL_USER_OBJ)->perm &= i.raw.i_mode >> 6;
	group_class(a)->perm &= i.raw.i_mode >> 3;
	find(a, ACL_OTHER)->perm &= i.raw.i_mode;
	if (is_extended(a))
		ret = store(b, ino, ACL_ACCESS, a);
	return ret ?: set_mode(b, ino, a, true);
}
