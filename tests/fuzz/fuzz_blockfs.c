/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_blockfs.c - a file system on a disk whose blocks a guest has written
 *
 * Input: a byte that says which file system, and how it is opened; then changes of eight
 * bytes: a block among those that are in use and a place in it, both little-endian, what
 * is done with it, and three bytes of what. The file systems have directories, indexed
 * ones too, extents and maps of blocks, attributes and a journal that is not empty; most
 * have no checksums, which would find any change.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/blockfs_impl.h"
#include "fuzz.h"
#include "kernel/machine/text.h"
#include "kernel/util.h"

#define SIZE (4u << 20)
#define MAX_CHANGES 64
#define MOST_VISITED 300	/* names, of one open */
#define DEPTH 5

struct base {
	const char *const *options;
	char type[8];
	char *bytes;
	uint32_t *used;		/* blocks of 1 KiB */
	unsigned nused;
};

static const char *const plain[] = { "-t", "ext4", "-J", "size=1", "-O", "^metadata_csum,^64bit", NULL };
static const char *const checked[] = { "-t", "ext4", "-J", "size=1", NULL };
static const char *const ext3[] = { "-t", "ext3", "-J", "size=1", "-O", "^metadata_csum", NULL };
static const char *const ext2[] = { "-t", "ext2", "-O", "^metadata_csum", NULL };

static struct base bases[] = {
	{ .options = plain, .type = "ext4" }, { .options = ext3, .type = "ext3" },
	{ .options = checked, .type = "ext4" }, { .options = ext2, .type = "ext2" },
};
static int disk = -1;

/* ---- file systems as they should be ------------------------------------------ */

static void mke2fs(const char *const options[])
{
	const char *argv[24] = { "mke2fs", "-q", "-F", "-b", "1024", "-I", "256", "-N", "512", "-E",
				 "lazy_itable_init=0" };
	char path[32];
	int n = 11, status;
	pid_t pid;

	for (int i = 0; options[i]; i++)
		argv[n++] = options[i];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk);
	argv[n] = path;
	MUST(ftruncate(disk, 0) == 0 && ftruncate(disk, SIZE) == 0);
	pid = fork();
	if (pid == 0) {
		execv("/sbin/mke2fs", (char **)argv);
		_exit(127);
	}
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static uint32_t make(struct blockfs *b, uint32_t dir, const char *name, mode_t mode)
{
	struct new_inode n = { .mode = mode, .target = "a target that is much too long for the sixty bytes of an inode" };
	uint32_t ino = 0;

	MUST(blockfs_create(b, dir, name, &n, &ino) == 0);
	return ino;
}

static void put(struct blockfs *b, uint32_t ino, uint64_t off, size_t len)
{
	static const char data[20000] = "some bytes";
	struct inode i;

	MUST(inode_read(b, ino, &i) == 0 && file_write(b, &i, off, data, len) == (ssize_t)len);
	MUST(inode_write(b, &i) == 0);
}

static void populate(struct blockfs *b)
{
	static const char list[] = "\2\0\0\0\1\0\7\0\377\377\377\377\2\0\6\0\1\0\0\0\4\0\5\0\377\377\377\377"
				   "\20\0\7\0\377\377\377\377\40\0\0\0\377\377\377\377";
	uint32_t sub = make(b, EXT2_ROOT_INO, "sub", S_IFDIR | 0755), many = make(b, sub, "many", S_IFDIR | 0755);
	uint32_t file = make(b, EXT2_ROOT_INO, "file", S_IFREG | 0644);
	char name[64];

	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "a name of some length, of which there are many %u", i);
		make(b, many, name, S_IFREG | 0644);
	}
	make(b, sub, "link", S_IFLNK | 0777);
	make(b, sub, "fifo", S_IFIFO | 0600);
	put(b, file, 0, 20000);
	for (unsigned i = 0; i < 12; i++)
		put(b, file, 30000 + i * 10000, 3000);
	MUST(xattr_set(b, file, "user.short", "value", 5, 0) == 0);
	MUST(xattr_set(b, file, "user.long", name, sizeof(name), 0) == 0);
	MUST(acl_set(b, sub, ACL_DEFAULT, list, sizeof(list) - 1, true) == 0);
	MUST(blockfs_commit(b) == 0);
	/* Its name is gone, its inode is an orphan. */
	node_know(b, make(b, sub, "orphan", S_IFREG | 0644));
	MUST(link_remove(b, sub, "orphan", false) == 0);
	MUST(blockfs_commit(b) == 0);
}

/* What is in use; of the journal only where transactions begin. */
static void list_used(struct base *base, struct blockfs *b)
{
	uint64_t journal = b->journal.present ? b->journal.place[0] : 0;
	unsigned half = (b->journal.n - b->journal.first) / 2;

	base->used = calloc(SIZE / 1024, sizeof(*base->used));
	MUST(base->used);
	for (uint32_t nr = 1; nr < ext2fs_blocks_count(b->fs->super); nr++) {
		uint64_t at = nr - journal;

		if (b->journal.present && nr > journal && at < b->journal.n && at % half > 24)
			continue;
		if (ext2fs_test_block_bitmap2(b->fs->block_map, nr))
			base->used[base->nused++] = nr;
	}
	MUST(base->nused > 0);
}

static void prepare(struct base *base)
{
	struct blockfs_options opt = { .disk = disk };
	struct disk_error why;
	struct blockfs *b;

	memcpy(opt.type, base->type, sizeof(opt.type));
	mke2fs(base->options);
	MUST(blockfs_open(&opt, &b, &why) == 0);
	populate(b);
	list_used(base, b);
	base->bytes = malloc(SIZE);
	MUST(base->bytes && pread(disk, base->bytes, SIZE, 0) == SIZE);
	/* As if power failed. */
	b->broken = true;
	blockfs_close(b);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	disk = memfd_create("disk", 0);
	MUST(disk >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++)
		prepare(&bases[i]);
	return 0;
}

/* ---- as they are given ---------------------------------------------------------- */

struct change {
	uint16_t block, place;
	uint8_t how, value[3];
};
_Static_assert(sizeof(struct change) == 8, "eight bytes");

static void change(const struct base *base, const struct change *c, char *bytes)
{
	unsigned at = le16toh(c->place) % 1024;
	char *p = bytes + base->used[le16toh(c->block) % base->nused] * 1024 + at;
	unsigned room = 1024 - at;

	switch (c->how % 6) {
	case 0:
		*p = c->value[0];
		break;
	case 1:
		memcpy(p, c->value, MIN(room, 3u));
		break;
	case 2:
		memset(p, c->value[0], MIN(room, c->value[1]));
		break;
	case 3:
		*p ^= 1u << c->value[0] % 8;
		break;
	case 4:
		*p += (int8_t)c->value[0];
		break;
	default:
		/* Another block in its place. */
		memcpy(p - at, bytes + base->used[(c->value[0] | c->value[1] << 8) % base->nused] * 1024, 1024);
	}
}

static const struct base *damage(const uint8_t *data, size_t size)
{
	static char bytes[SIZE];
	const struct base *base = &bases[data[0] / 4 % ARRAY_SIZE(bases)];
	struct change c;

	memcpy(bytes, base->bytes, SIZE);
	for (unsigned n = 0; n < MAX_CHANGES && 1 + (n + 1) * sizeof(c) <= size; n++) {
		memcpy(&c, data + 1 + n * sizeof(c), sizeof(c));
		change(base, &c, bytes);
	}
	MUST(pwrite(disk, bytes, SIZE, 0) == SIZE);
	return base;
}

/* ---- what a guest does with them ------------------------------------------------- */

static void read_inode(struct blockfs *b, uint32_t ino)
{
	struct text names = { .len = 0 };
	char target[PATH_MAX], *data;
	struct stat st;
	struct inode i;

	if (inode_read(b, ino, &i) < 0)
		return;
	inode_stat(b, &i, &st);
	if (LINUX_S_ISREG(i.raw.i_mode)) {
		file_read(b, &i, 0, BLOCKFS_MAX_IO, &data);
		file_read(b, &i, inode_size(&i) / 2, 100000, &data);
		file_seek(b, &i, 0, true);
		file_seek(b, &i, 0, false);
	}
	file_target(b, &i, target);
	if (xattr_list(b, ino, &names) == 0)
		for (size_t at = 0; at < names.len; at += strlen(names.buf + at) + 1) {
			void *value = NULL;
			size_t len;
			int type = acl_type(names.buf + at);

			if (type >= 0)
				acl_get(b, ino, type, &value, &len);
			else
				xattr_get(b, ino, names.buf + at, &value, &len);
			if (value)
				ext2fs_free_mem(&value);
		}
	text_free(&names);
}

static void walk(struct blockfs *b, uint32_t dir, unsigned depth, unsigned *left)
{
	struct dir_list l;
	uint32_t ino;

	if (dir_list(b, dir, &l) < 0)
		return;
	for (size_t i = 0; i < l.n && *left > 0; i++) {
		struct inode in;

		if (streq(l.e[i].name, ".") || streq(l.e[i].name, ".."))
			continue;
		--*left;
		dir_find(b, dir, l.e[i].name, &ino);
		read_inode(b, l.e[i].ino);
		if (depth < DEPTH && inode_read(b, l.e[i].ino, &in) == 0 && LINUX_S_ISDIR(in.raw.i_mode))
			walk(b, l.e[i].ino, depth + 1, left);
	}
	dir_list_free(&l);
}

static void change_file(struct blockfs *b, uint32_t ino)
{
	static const char data[5000] = "new";
	struct inode i;

	/* As FUSE's requests are: each has the inode anew. */
	if (inode_read(b, ino, &i) < 0 || !LINUX_S_ISREG(i.raw.i_mode) || i.raw.i_flags & EXT4_INLINE_DATA_FL)
		return;
	if (file_write(b, &i, 12345, data, sizeof(data)) > 0)
		inode_write(b, &i);
	if (inode_read(b, ino, &i) == 0 && file_reserve(b, &i, 200000, 9000) == 0)
		inode_write(b, &i);
	if (inode_read(b, ino, &i) == 0 && file_write(b, &i, 203000, data, 2000) > 0)
		inode_write(b, &i);
	if (inode_read(b, ino, &i) == 0)
		file_punch(b, &i, 1000, 33000);
	if (inode_read(b, ino, &i) == 0)
		file_truncate(b, &i, 31000);
	xattr_set(b, ino, "user.new", data, 300, 0);
	xattr_remove(b, ino, "user.short");
	acl_chmod(b, ino, 0640);
	blockfs_settle(b);
}

static void change_dir(struct blockfs *b, uint32_t dir)
{
	struct new_inode file = { .mode = S_IFREG | 0644 }, sub = { .mode = S_IFDIR | 0755 };
	struct new_inode link = { .mode = S_IFLNK | 0777, .target = "/target" };
	struct dir_list l;
	uint32_t ino = dir;

	blockfs_create(b, dir, "new", &file, &ino);
	blockfs_create(b, dir, "new dir", &sub, &ino);
	blockfs_create(b, dir, "new link", &link, &ino);
	link_rename(b, dir, "new", dir, "newer", 0);
	link_add(b, ino, dir, "another");
	if (dir_list(b, dir, &l) < 0)
		return;
	for (size_t i = 0; i < MIN(l.n, (size_t)12); i++) {
		if (i % 3 == 0)
			link_rename(b, dir, l.e[i].name, EXT2_ROOT_INO, "moved", 0);
		else
			link_remove(b, dir, l.e[i].name, i % 3 == 1);
		blockfs_settle(b);
	}
	dir_list_free(&l);
}

static void change_all(struct blockfs *b)
{
	static const char *const names[] = { "file", "sub", "moved", "lost+found" };
	uint32_t ino, in;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (dir_find(b, EXT2_ROOT_INO, names[i], &ino) < 0)
			continue;
		change_file(b, ino);
		change_dir(b, ino);
		if (dir_find(b, ino, "many", &in) == 0)
			change_dir(b, in);
	}
	change_dir(b, EXT2_ROOT_INO);
	blockfs_commit(b);
}

static void use(const struct base *base, bool readonly, bool disk_readonly)
{
	struct blockfs_options opt = { .disk = disk, .readonly = readonly, .disk_readonly = disk_readonly };
	unsigned left = MOST_VISITED;
	struct disk_error why;
	struct blockfs *b = NULL;

	memcpy(opt.type, base->type, sizeof(opt.type));
	if (blockfs_open(&opt, &b, &why) < 0) {
		MUST(why.text[0]);
		return;
	}
	walk(b, EXT2_ROOT_INO, 0, &left);
	if (!readonly)
		change_all(b);
	blockfs_close(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct base *base;

	if (size < 1)
		return 0;
	base = damage(data, size);
	use(base, data[0] & 1, (data[0] & 3) == 3);
	/* And what it has made of it. */
	use(base, false, false);
	return 0;
}
