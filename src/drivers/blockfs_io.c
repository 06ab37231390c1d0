/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockfs_io.c - blocks of metadata, kept in memory until they are committed
 *
 * libext2fs reads and writes them one by one and in no order that a crash would
 * survive. So nothing that it writes goes to the disk: blocks become dirty, and
 * blockfs_commit.c writes all of them at once. Clean ones are kept as well, up to
 * CLEAN_BYTES, the oldest going first. Bytes of files never pass here.
 */
#include "drivers/blockfs_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define HASH_SIZE 16384u
#define CLEAN_BYTES (32u << 20)
#define RUN_BYTES (1u << 20)	/* written at once */

/*
 * The disk is a file past the page cache, whose host cuts what is long where a page of
 * the buffer ends: so that no sector is cut, buffers begin with a page.
 */

/* ---- the disk ---------------------------------------------------------- */

int block_io_read(int fd, void *buf, size_t len, uint64_t off)
{
	while (len > 0) {
		long n = host_result(pread(fd, buf, len, off));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? n : -EIO;
		buf = (char *)buf + n;
		len -= n;
		off += n;
	}
	return 0;
}

int block_io_write(int fd, const void *buf, size_t len, uint64_t off)
{
	while (len > 0) {
		long n = host_result(pwrite(fd, buf, len, off));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? n : -EIO;
		buf = (const char *)buf + n;
		len -= n;
		off += n;
	}
	return 0;
}

/* ---- what is kept ------------------------------------------------------- */

static struct block **chain(struct block_cache *c, uint64_t nr)
{
	return &c->hash[nr % HASH_SIZE];
}

static void list_remove(struct block_list *l, struct block *k)
{
	*(k->newer ? &k->newer->older : &l->newest) = k->older;
	*(k->older ? &k->older->newer : &l->oldest) = k->newer;
	l->n--;
}

static void list_add(struct block_list *l, struct block *k)
{
	k->newer = NULL;
	k->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = k;
	l->newest = k;
	l->n++;
}

static void drop(struct block_cache *c, struct block *k)
{
	struct block **at = chain(c, k->nr);

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	list_remove(k->dirty ? &c->dirty : &c->clean, k);
	free(k);
}

static void shrink(struct block_cache *c, unsigned keep)
{
	while (c->clean.n > keep)
		drop(c, c->clean.oldest);
}

static struct block *lookup(struct block_cache *c, uint64_t nr)
{
	struct block *k = *chain(c, nr);

	while (k && k->nr != nr)
		k = k->next;
	if (k && !k->dirty && k != c->clean.newest) {
		list_remove(&c->clean, k);
		list_add(&c->clean, k);
	}
	return k;
}

/* A block whose contents the caller gives. */
static struct block *insert(struct block_cache *c, uint64_t nr)
{
	struct block *k;

	shrink(c, CLEAN_BYTES / c->size);
	k = malloc(sizeof(*k) + c->size);
	if (!k)
		return NULL;
	*k = (struct block){ .nr = nr, .next = *chain(c, nr) };
	*chain(c, nr) = k;
	list_add(&c->clean, k);
	return k;
}

struct block *block_get(struct block_cache *c, uint64_t nr, int *ret)
{
	struct block *k = lookup(c, nr);

	*ret = 0;
	if (k)
		return k;
	if (nr >= c->end) {
		*ret = -EIO;
		return NULL;
	}
	k = insert(c, nr);
	*ret = k ? block_io_read(c->fd, k->data, c->size, nr * c->size) : -ENOMEM;
	if (*ret < 0 && k) {
		drop(c, k);
		k = NULL;
	}
	return k;
}

static void set_dirty(struct block_cache *c, struct block *k)
{
	if (k->dirty)
		return;
	list_remove(&c->clean, k);
	k->dirty = true;
	list_add(&c->dirty, k);
}

void block_forget(struct block_cache *c, uint64_t nr)
{
	struct block *k = lookup(c, nr);

	if (k)
		drop(c, k);
}

static int by_number(const void *a, const void *b)
{
	const struct block *const *x = a, *const *y = b;

	return (*x)->nr < (*y)->nr ? -1 : (*x)->nr > (*y)->nr;
}

int block_cache_dirty(struct block_cache *c, struct block ***ret)
{
	struct block **all = calloc(c->dirty.n + 1, sizeof(*all));
	unsigned n = 0;

	if (!all)
		return -ENOMEM;
	for (struct block *k = c->dirty.newest; k; k = k->older)
		all[n++] = k;
	qsort(all, n, sizeof(*all), by_number);
	*ret = all;
	return n;
}

int block_cache_write(struct block_cache *c, struct block **b, unsigned n)
{
	unsigned most = MAX(RUN_BYTES / c->size, 1u), run;
	cleanup_free char *buf = aligned_alloc(4096, MAX((size_t)most * c->size, (size_t)4096));
	int ret = buf ? 0 : -ENOMEM;

	for (unsigned i = 0; ret == 0 && i < n; i += run) {
		for (run = 0; run < most && i + run < n && b[i + run]->nr == b[i]->nr + run; run++)
			memcpy(buf + (size_t)run * c->size, b[i + run]->data, c->size);
		ret = block_io_write(c->fd, buf, (size_t)run * c->size, b[i]->nr * c->size);
	}
	for (unsigned i = 0; ret == 0 && i < n; i++) {
		list_remove(&c->dirty, b[i]);
		b[i]->dirty = false;
		list_add(&c->clean, b[i]);
	}
	return ret;
}

int block_cache_flush(struct block_cache *c)
{
	return host_result(fdatasync(c->fd));
}

/* ---- the cache ---------------------------------------------------------- */

int block_cache_init(struct block_cache *c, int fd)
{
	int64_t size = host_result(lseek(fd, 0, SEEK_END));

	*c = (struct block_cache){ .fd = fd, .size = SUPERBLOCK_SIZE };
	if (size < 0)
		return size;
	c->end = size / c->size;
	c->hash = calloc(HASH_SIZE, sizeof(struct block *));
	return c->hash ? 0 : -ENOMEM;
}

int block_cache_resize(struct block_cache *c, unsigned size)
{
	if (c->dirty.n || size < SUPERBLOCK_SIZE || size % SUPERBLOCK_SIZE)
		return -EINVAL;
	shrink(c, 0);
	c->end = c->end * c->size / size;
	c->size = size;
	return 0;
}

void block_cache_destroy(struct block_cache *c)
{
	for (unsigned i = 0; c->hash && i < HASH_SIZE; i++)
		while (c->hash[i])
			drop(c, c->hash[i]);
	free(c->hash);
	c->hash = NULL;
}

/* ---- as libext2fs sees it ----------------------------------------------- */

void block_cache_name(const struct block_cache *c, char name[BLOCK_CACHE_NAME])
{
	snprintf(name, BLOCK_CACHE_NAME, "%p", (const void *)c);
}

static struct block_cache *cache_of(io_channel ch)
{
	return ch->private_data;
}

static errcode_t chan_open(const char *name, int flags, io_channel *ret)
{
	io_channel ch = calloc(1, sizeof(*ch));
	void *cache;

	if (!ch)
		return EXT2_ET_NO_MEMORY;
	ch->name = strdup(name);
	if (!ch->name || sscanf(name, "%p", &cache) != 1) {
		free(ch->name);
		free(ch);
		return EXT2_ET_NO_MEMORY;
	}
	ch->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	ch->manager = &block_cache_manager;
	ch->block_size = SUPERBLOCK_SIZE;
	ch->refcount = 1;
	ch->private_data = cache;
	*ret = ch;
	return 0;
}

static errcode_t chan_close(io_channel ch)
{
	if (--ch->refcount > 0)
		return 0;
	free(ch->name);
	free(ch);
	return 0;
}

static errcode_t chan_set_blksize(io_channel ch, int size)
{
	ch->block_size = size;
	return 0;
}

/* Read or write bytes of the disk. */
static errcode_t transfer(io_channel ch, uint64_t off, size_t len, void *in, const void *out)
{
	struct block_cache *c = cache_of(ch);
	size_t done = 0;
	int ret;

	if (off / c->size > c->end || len > (c->end - off / c->size) * c->size)
		return out ? EXT2_ET_SHORT_WRITE : EXT2_ET_SHORT_READ;
	while (done < len) {
		size_t skip = (off + done) % c->size, n = MIN(len - done, c->size - skip);
		uint64_t nr = (off + done) / c->size;
		struct block *k = out && n == c->size ? lookup(c, nr) : NULL;

		if (!k && out && n == c->size)
			k = insert(c, nr);
		else if (!k)
			k = block_get(c, nr, &ret);
		if (!k)
			return out ? EXT2_ET_SHORT_WRITE : EXT2_ET_SHORT_READ;
		if (!out) {
			memcpy((char *)in + done, k->data + skip, n);
		} else {
			memcpy(k->data + skip, (const char *)out + done, n);
			set_dirty(c, k);
		}
		done += n;
	}
	return 0;
}

/* A negative count is one of bytes. */
static size_t bytes_of(io_channel ch, int count)
{
	return count < 0 ? -(size_t)count : (size_t)count * ch->block_size;
}

static errcode_t chan_read64(io_channel ch, unsigned long long block, int count, void *data)
{
	return transfer(ch, block * ch->block_size, bytes_of(ch, count), data, NULL);
}

static errcode_t chan_write64(io_channel ch, unsigned long long block, int count, const void *data)
{
	return transfer(ch, block * ch->block_size, bytes_of(ch, count), NULL, data);
}

static errcode_t chan_read(io_channel ch, unsigned long block, int count, void *data)
{
	return chan_read64(ch, block, count, data);
}

static errcode_t chan_write(io_channel ch, unsigned long block, int count, const void *data)
{
	return chan_write64(ch, block, count, data);
}

static errcode_t chan_write_byte(io_channel ch, unsigned long off, int count, const void *data)
{
	return transfer(ch, off, count, NULL, data);
}

/* What is durable is a commit's to say. */
static errcode_t chan_flush(io_channel ch)
{
	return 0;
}

struct struct_io_manager block_cache_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "weir",
	.open = chan_open,
	.close = chan_close,
	.set_blksize = chan_set_blksize,
	.read_blk = chan_read,
	.write_blk = chan_write,
	.flush = chan_flush,
	.write_byte = chan_write_byte,
	.read_blk64 = chan_read64,
	.write_blk64 = chan_write64,
};
