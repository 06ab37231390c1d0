/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slowfs.c - a file system with one file whose pages never come (runs on the host)
 *
 *   slowfs DIRECTORY
 *
 * Mounts itself on DIRECTORY and prints "mounted"; DIRECTORY/page is 4096 bytes
 * long, and a read of it is not answered before standard input is closed. The
 * protocol: linux/fuse.h, fuse(4).
 */
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "../guest/t.h"

#define FILE_NODE 2

static int device;
static uint64_t waiting[64];	/* reads that nobody has answered */
static unsigned nwaiting;

static void answer(uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header h = { .len = sizeof(h) + len, .error = error, .unique = unique };
	struct iovec v[2] = { { &h, sizeof(h) }, { (void *)data, len } };

	if (writev(device, v, 2) == -1 && errno != ENOENT)
		perror("slowfs: answer");
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .size = 4096, .blksize = 4096 };

	a.mode = node == FILE_NODE ? S_IFREG | 0444 : S_IFDIR | 0555;
	return a;
}

static void serve(const struct fuse_in_header *in)
{
	const char *name = (const char *)(in + 1);
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
				      .max_readahead = 4096, .max_write = 4096 };
	struct fuse_attr_out attr = { .attr_valid = 3600, .attr = attr_of(in->nodeid) };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .entry_valid = 3600,
					.attr_valid = 3600, .attr = attr_of(FILE_NODE) };
	struct fuse_open_out opened = {};

	switch (in->opcode) {
	case FUSE_INIT:
		answer(in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (strcmp(name, "page") == 0)
			answer(in->unique, 0, &entry, sizeof(entry));
		else
			answer(in->unique, -ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		answer(in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		if (nwaiting < ARRAY_SIZE(waiting))
			waiting[nwaiting++] = in->unique;
		else
			answer(in->unique, -EIO, NULL, 0);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(in->unique, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char buf[1 << 17] __attribute__((aligned(8)));
	struct pollfd p[2];
	char options[128];

	if (argc != 2)
		return 2;
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other", device);
	if (device == -1 || mount("slowfs", argv[1], "fuse.slowfs", MS_NOSUID | MS_NODEV, options) == -1) {
		printf("SKIP no FUSE: %s\n", t_errno(errno));
		return 77;
	}
	puts("mounted");
	fflush(stdout);
	p[0] = (struct pollfd){ device, POLLIN, 0 };
	p[1] = (struct pollfd){ 0, POLLIN, 0 };
	while (poll(p, 2, -1) > 0 && !p[1].revents) {
		if (p[0].revents & POLLERR)
			return 0;
		if (read(device, buf, sizeof(buf)) > 0)
			serve((struct fuse_in_header *)buf);
	}
	while (nwaiting)
		answer(waiting[--nwaiting], -EIO, NULL, 0);
	umount2(argv[1], MNT_DETACH);
	return 0;
}
