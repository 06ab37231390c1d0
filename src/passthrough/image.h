/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - the vDSO of fresh images: found, checked, changed
 *
 * A process reads its clocks in the vDSO, which the host maps into each image
 * at execve. The same bytes are in every process of a host, weir's own
 * included: from those the changed vDSO is made once (image_prepare()), tried
 * on a scratch child (image_try()), and then written over that of each fresh
 * image (image_change()) while it waits in its first trapped call.
 *
 * The vDSO is private memory of the process, so that a write reaches no other.
 * What has not, byte for byte, the symbols of the vDSO that was prepared for is
 * left alone.
 */
#ifndef WEIR_PASSTHROUGH_IMAGE_H
#define WEIR_PASSTHROUGH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "passthrough/image_guess.h"
#include "passthrough/vdso_clock.h"

#define IMAGE_MAX_BYTES 65536	/* of a vDSO: 8 KiB or 12 KiB on hosts of today */
#define IMAGE_MAX_EXTENTS 4
#define IMAGE_MAX_CHANGE 4096	/* bytes of one extent */
#define IMAGE_MAX_CALLS 32	/* syscall instructions in the original code */

enum image_how {
	IMAGE_READS,	/* our code reads the clocks: no call */
	IMAGE_STUBS,	/* the functions make the system call, which is trapped */
};

/* Bytes of the vDSO that change. */
struct image_extent {
	uint32_t at, len;
};

struct image {
	enum image_how how;
	size_t size;			/* whole pages */
	unsigned char *original, *changed;	/* owned, @size bytes each */
	struct image_extent extent[IMAGE_MAX_EXTENTS];	/* in the order they are written */
	unsigned nextents;
	uint32_t head;			/* IMAGE_READS: offset of struct vclock_head */
	uint32_t head_size;
	uint32_t gettime, gettimeofday, time;	/* offsets of the functions, changed */
	bool unwinds;			/* there was room for the tables of vdso_return.S, so it can be used */
	uint32_t back[NUM_VCLOCK_BACK];	/* its entries */
	uint32_t call[IMAGE_MAX_CALLS];	/* offsets behind the original syscall instructions */
	unsigned ncalls;
};

/**
 * image_prepare() - Make the changed vDSO
 * @vdso, @size: an ELF image as the host maps it, whole pages
 * @code, @code_size: vdso_clock.c, linked; not used for IMAGE_STUBS
 * @why: on failure, what is not as expected; a constant string
 *
 * Return: 0; -ENOEXEC if this is no vDSO that we understand, -ENOSPC if there
 * is no room in it. On success to be freed by image_free().
 */
int image_prepare(struct image *im, enum image_how how, const void *vdso, size_t size,
		  const void *code, size_t code_size, const char **why);
void image_free(struct image *im);

/**
 * image_own() - The vDSO of this process
 *
 * Return: its size in bytes with its address in @ret, or -ENOENT.
 */
ssize_t image_own(const void **ret);

/**
 * image_try() - Change the vDSO of a scratch child and read every clock in it
 * @page: the page as the child shall use it, mapped; not being changed meanwhile
 *
 * Return: 0 if the child read what the page says, else a negative errno with
 * what went wrong in @why, a constant string.
 */
int image_try(const struct image *im, const struct vclock_page *page, const char **why);

/* Is the caller of a system call still the same? Asked after something was
 * opened by its id, before it is used. */
struct image_caller {
	pid_t tid;
	uint64_t ip;			/* of the call, for a guess */
	struct image_guess *guess;	/* NULL: none is made */
	bool (*valid)(const void *ctx);
	const void *ctx;
};

/**
 * image_change() - Change the vDSO of a task that waits in a system call
 * @ret_base: where its vDSO is, or 0 if it has none
 *
 * Return: 1 if it was changed, 0 if it had been, or a negative errno: -ENOENT
 * it has no vDSO; -ESTALE what is there is not the host's vDSO; -ESRCH the
 * caller is gone; others as open(2) and write(2) of /proc/PID/mem.
 */
int image_change(const struct image *im, const struct image_caller *who, uint64_t *ret_base);

/**
 * image_tell() - Store where a task has mapped the page
 * @head: where our head is in its memory, as the task says
 * @page: address, or VCLOCK_PAGE_NEVER
 *
 * Return: 0 or a negative errno; -ESTALE if there is no changed vDSO there.
 */
int image_tell(const struct image *im, const struct image_caller *who, uint64_t head, uint64_t page);

/* Was a call made by the host's own code of a vDSO that begins at the page this
 * gives in @ret_base? By the address behind the syscall instruction. */
bool image_original_call(const struct image *im, uint64_t ip, uint64_t *ret_base);

#endif
