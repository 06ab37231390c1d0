/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time_image.c - the page that shows the clocks, and the vDSO that reads it
 *
 * Both are made once, at boot, and the vDSO is tried on a scratch process
 * before any program of the guest gets it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/time/timekeeper.h"
#include "ns/feature.h"
#include "passthrough/embedded.h"
#include "passthrough/hostcall.h"

#define PAGE_BYTES 4096

/* Linux 5.1 and 6.3; not in Debian 12's headers. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

_Static_assert(sizeof(struct vclock_page) <= PAGE_BYTES, "the page holds the clocks");

/* Made by meson: vdso_clock.c, linked as plain bytes. */
extern const struct embedded_file vdso_files[];

/* A page that we can write and nobody else can, whatever descriptor they have. */
int time_image_page(struct timekeeper *t)
{
	cleanup_fd int fd = host_result(memfd_create("weir-time", MFD_CLOEXEC | MFD_ALLOW_SEALING |
							  MFD_NOEXEC_SEAL));
	void *p;
	int ret;

	if (fd == -EINVAL)
		fd = host_result(memfd_create("weir-time", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (fd < 0)
		return fd;
	ret = host_result(ftruncate(fd, PAGE_BYTES));
	if (ret < 0)
		return ret;
	p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return host_result(-1);
	t->page = p;
	ret = host_result(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW |
				F_SEAL_SEAL));
	if (ret == 0)
		t->page_fd = take_fd(&fd);
	return ret;
}

/* The host's vDSO, changed so that our code reads the clocks; or else so that
 * it makes the calls. */
static int make_image(struct timekeeper *t, enum image_how how, const char **why)
{
	const void *vdso;
	ssize_t size = image_own(&vdso);
	int ret;

	if (size < 0) {
		*why = "this host has no vDSO";
		return size;
	}
	ret = image_prepare(&t->image, how, vdso, size, vdso_files[0].data, vdso_files[0].size, why);
	if (ret == 0)
		ret = image_try(&t->image, t->page, why);
	if (ret < 0)
		image_free(&t->image);
	return ret;
}

int time_image_prepare(struct timekeeper *t, struct ns_error *err)
{
	const char *why = "hidden by a test";
	int ret = host_feature_masked("vdso") ? -ENOSPC : make_image(t, IMAGE_READS, &why);

	if (ret == 0) {
		log_info("time: clocks are read in the vDSO: %u bytes of code at %#x of %zu",
			 t->image.head_size, t->image.head, t->image.size);
		return 0;
	}
	log_warn("time: clocks are read by trapped calls: %s", why);
	ret = make_image(t, IMAGE_STUBS, &why);
	/* Without a vDSO, programs make the calls by themselves. */
	if (ret == 0 || ret == -ENOENT)
		return 0;
	return ns_fail(err, ret, "time: the guest's programs would read the host's clock: %s (%s)",
		       why, strerror(-ret));
}
