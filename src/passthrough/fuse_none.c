/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse_none.c - in place of fuse.c in a build without libfuse
 */
#include <errno.h>
#include <unistd.h>

#include "passthrough/fuse.h"

int fuse_server_start(const struct fuse_server_config *cfg, struct fuse_server **ret)
{
	close(cfg->device);
	return -ENOSYS;
}

bool fuse_server_read(struct fuse_server *s)
{
	return false;
}

int fuse_server_fd(const struct fuse_server *s)
{
	return -ENOSYS;
}

int fuse_server_store(struct fuse_server *s, uint64_t ino, const void *data, size_t len)
{
	return -ENOSYS;
}

void fuse_server_stop(struct fuse_server *s)
{
}
