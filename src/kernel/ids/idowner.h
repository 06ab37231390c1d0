/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idowner.h - owners of files that the guest kernel keeps itself
 *
 * To the host all files of a guest with one id belong to that id. Who owns them
 * inside, and their set-id bits, which on the host would mean the host's user, are
 * written beside them: as an extended attribute of the file, "user.weir.owner",
 * "UID:GID:BITS" (BITS octal), so that they go where the file goes, and end with it.
 * Where there can be none (links, sockets, devices, file systems without) they are in
 * a list of ours, by device, inode and time of birth. A file without a record is
 * root's.
 */
#ifndef WEIR_KERNEL_IDOWNER_H
#define WEIR_KERNEL_IDOWNER_H

#include <stdint.h>
#include <sys/stat.h>

#define IDOWNER_XATTR "user.weir.owner"
#define IDOWNER_PREFIX "user.weir."	/* not for guests to see */
#define IDOWNER_BITS (S_ISUID | S_ISGID)

struct idowner {
	uint32_t uid, gid;
	uint32_t bits;		/* of IDOWNER_BITS */
};

struct idowner_list;

/**
 * idowner_open() - The list of what has no attributes
 * @log: a descriptor of the file that keeps it, the list's from now on; -1: it ends
 *       with the guest
 *
 * Return: NULL without memory.
 */
struct idowner_list *idowner_open(int log);
void idowner_close(struct idowner_list *l);

/* The owner of the file behind @fd (O_PATH will do); @st is its fstat(2). */
void idowner_get(struct idowner_list *l, int fd, const struct stat *st, struct idowner *ret);

/* Return: 0, or what the host says of a file that cannot be changed (-EROFS ...). */
int idowner_set(struct idowner_list *l, int fd, const struct stat *st, const struct idowner *o);

/* @st as the guest shall see it. */
void idowner_show(const struct idowner *o, uint32_t *uid, uint32_t *gid, mode_t *mode);

#endif
