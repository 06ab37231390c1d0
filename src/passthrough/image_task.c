/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_task.c - changing the vDSO of a task
 *
 * By /proc/PID/mem: the vDSO is mapped read-only, and only this file writes
 * over that (FOLL_FORCE), on a copy of the page that becomes the process's
 * own. It does so for private mappings only; whatever else the guest may have
 * put where its vDSO was, no file and no other process is written to. A
 * descriptor of it belongs to the memory that was opened, not to the id: once
 * the caller is known to have waited all along, it cannot become another's.
 */
#include "passthrough/image.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define AUXV_MAX 64	/* entries; the kernel has about 25 */

ssize_t image_own(const void **ret)
{
	unsigned long base = getauxval(AT_SYSINFO_EHDR), from, to;
	cleanup_free char *line = NULL;
	ssize_t size = -ENOENT;
	size_t room = 0;
	FILE *f = base ? fopen("/proc/self/maps", "re") : NULL;

	while (f && size < 0 && getline(&line, &room, f) > 0)
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == base)
			size = to - from;
	if (f)
		fclose(f);
	*ret = (const void *)base;
	return size;
}

static int open_proc(pid_t tid, const char *name, int flags)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	fd = host_open(path, flags, 0);
	return fd == -ENOENT ? -ESRCH : fd;
}

/* The address of the vDSO, from the vector that the host keeps for the image. */
static int read_base(pid_t tid, uint64_t *ret)
{
	cleanup_fd int fd = open_proc(tid, "auxv", O_RDONLY);
	Elf64_auxv_t v[AUXV_MAX];
	ssize_t n;

	if (fd < 0)
		return fd;
	n = host_result(read(fd, v, sizeof(v)));
	if (n < 0)
		return n;
	for (size_t i = 0; i < n / sizeof(v[0]); i++)
		if (v[i].a_type == AT_SYSINFO_EHDR && v[i].a_un.a_val % 4096 == 0) {
			*ret = v[i].a_un.a_val;
			return *ret ? 0 : -ENOENT;
		}
	return -ENOENT;
}

/* Bytes of a vDSO as they are: 1 changed, 0 original, -ESTALE something else. The
 * place where the process keeps the page's address does not count. */
static int compare(const struct image *im, int mem, uint64_t base, const struct image_extent *x)
{
	unsigned char is[IMAGE_MAX_CHANGE];
	ssize_t n = host_result(pread(mem, is, x->len, base + x->at));

	if (n < 0)
		return n;
	if (n != (ssize_t)x->len)
		return -ESTALE;
	if (memcmp(is, im->original + x->at, x->len) == 0)
		return 0;
	if (im->how == IMAGE_READS && x->at == im->head)
		memcpy(is + offsetof(struct vclock_head, page),
		       im->changed + im->head + offsetof(struct vclock_head, page),
		       sizeof(uint64_t));
	return memcmp(is, im->changed + x->at, x->len) == 0 ? 1 : -ESTALE;
}

/* A whole vDSO: 1 changed, 0 original, -ESTALE. One that has the host's symbols is
 * the host's: where our code is to go, nothing else is, and each page that is only
 * read costs a fresh image a fault. */
static int compare_all(const struct image *im, int mem, uint64_t base)
{
	int is = compare(im, mem, base, &im->extent[im->nextents - 1]);

	if (is < 0 || (is == 0 && im->how == IMAGE_READS))
		return is;
	for (unsigned i = 0; i + 1 < im->nextents; i++) {
		int ret = compare(im, mem, base, &im->extent[i]);

		if (ret != is)
			return ret < 0 ? ret : -ESTALE;
	}
	return is;
}

/* Return: 1 changed, or why not. */
static int write_change(const struct image *im, int mem, uint64_t base)
{
	for (unsigned i = 0; i < im->nextents; i++) {
		const struct image_extent *x = &im->extent[i];
		ssize_t n = host_result(pwrite(mem, im->changed + x->at, x->len, base + x->at));

		if (n != (ssize_t)x->len)
			return n < 0 ? n : -EIO;
	}
	return 1;
}

/* Where a guess leads. Return: as compare_all(); then it is right. */
static int find_by_guess(const struct image *im, const struct image_caller *who, int mem,
			 uint64_t *ret_base)
{
	uint64_t base = who->guess ? image_guess(who->guess, who->ip) : 0;
	int ret = base ? compare_all(im, mem, base) : -ENOENT;

	if (ret >= 0)
		*ret_base = base;
	else if (base)
		image_guess_learn(who->guess, who->ip, 0);
	return ret;
}

/* Where the host says that it is. Return: as compare_all(). */
static int find_by_host(const struct image *im, const struct image_caller *who, int mem,
			uint64_t *ret_base)
{
	int ret = read_base(who->tid, ret_base);

	if (!who->valid(who->ctx))
		return -ESRCH;
	if (ret == 0)
		ret = compare_all(im, mem, *ret_base);
	if (ret >= 0 && who->guess)
		image_guess_learn(who->guess, who->ip, *ret_base);
	return ret;
}

int image_change(const struct image *im, const struct image_caller *who, uint64_t *ret_base)
{
	cleanup_fd int mem = open_proc(who->tid, "mem", O_RDWR);
	int ret;

	*ret_base = 0;
	/* It was the caller's if that still waits. */
	if (!who->valid(who->ctx))
		return -ESRCH;
	if (mem < 0)
		return mem;
	ret = find_by_guess(im, who, mem, ret_base);
	if (ret < 0)
		ret = find_by_host(im, who, mem, ret_base);
	if (ret)
		return MIN(ret, 0);
	return write_change(im, mem, *ret_base);
}

int image_tell(const struct image *im, const struct image_caller *who, uint64_t head, uint64_t page)
{
	uint64_t base = head - im->head;
	cleanup_fd int mem = -1;
	ssize_t n;
	int ret;

	if (im->how != IMAGE_READS || base % 4096)
		return -ESTALE;
	mem = open_proc(who->tid, "mem", O_RDWR);
	if (!who->valid(who->ctx))
		return -ESRCH;
	if (mem < 0)
		return mem;
	for (unsigned i = 0; i < im->nextents; i++) {
		ret = compare(im, mem, base, &im->extent[i]);
		if (ret != 1)
			return ret < 0 ? ret : -ESTALE;
	}
	n = host_result(pwrite(mem, &page, sizeof(page),
			       head + offsetof(struct vclock_head, page)));
	return n == sizeof(page) ? 0 : n < 0 ? n : -EIO;
}

/* ---- the scratch child -------------------------------------------------- */

static const struct vclock_page *try_page;	/* the child's */
static bool try_stubs;

/* The host's clock, by the call; then what the page makes of it. */
static uint64_t expected(int id)
{
	const struct vclock_map *m = &try_page->map[vclock_of_id(id)];
	struct timespec ts = {};
	uint64_t ns;

	host_call(SYS_clock_gettime,
		  try_stubs || (try_page->seq & 1) ? (unsigned)id : vclock_host_id(id, m->steady), &ts);
	ns = ts.tv_sec * VCLOCK_NSEC + ts.tv_nsec;
	if (try_stubs || (try_page->seq & 1))
		return ns;
	ns = m->scaled ? vclock_scale(ns, m->h0, m->g0, m->mult) :
			 ns + m->off_sec * VCLOCK_NSEC + m->off_nsec;
	return id == CLOCK_TAI ? ns + try_page->tai_sec * VCLOCK_NSEC : ns;
}

/* The child reads each clock between two readings that it makes itself. */
static int read_all(const struct image *im, const unsigned char *vdso)
{
	int (*gettime)(int, struct timespec *) = (void *)(vdso + im->gettime);
	int (*gettimeofday_)(struct timeval *, void *) = (void *)(vdso + im->gettimeofday);
	int64_t (*time_)(int64_t *) = (void *)(vdso + im->time);
	struct timespec ts;
	struct timeval tv;
	uint64_t before, after, got;
	int64_t sec = 0;

	for (int id = 0; id <= CLOCK_TAI; id++) {
		if (!(VCLOCK_IDS >> id & 1))
			continue;
		before = expected(id);
		if (gettime(id, &ts))
			return 1;
		after = expected(id);
		got = ts.tv_sec * VCLOCK_NSEC + ts.tv_nsec;
		if (got < before || got > after)
			return 1;
	}
	before = expected(CLOCK_REALTIME) / 1000;
	if (gettimeofday_(&tv, NULL))
		return 2;
	after = expected(CLOCK_REALTIME) / 1000;
	got = tv.tv_sec * UINT64_C(1000000) + tv.tv_usec;
	if (got < before || got > after)
		return 2;
	before = expected(CLOCK_REALTIME_COARSE) / VCLOCK_NSEC;
	got = time_(&sec);
	after = expected(CLOCK_REALTIME_COARSE) / VCLOCK_NSEC;
	return got < before || got > after || (uint64_t)sec != got ? 3 : 0;
}

static void __attribute__((noreturn)) scratch(const struct image *im, int go, const void *vdso)
{
	char c;

	/* For /proc/PID/mem: not to be opened by anybody but our own kind. */
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (host_write(go, "r", 1) != 1 || host_read(go, &c, 1) != 1)
		_exit(9);
	_exit(read_all(im, vdso));
}

static bool always(const void *ctx)
{
	return true;
}

static int judge(int status, const char **why)
{
	static const char *const said[] = {
		NULL, "its clock_gettime reads a wrong time", "its gettimeofday reads a wrong time",
		"its time reads a wrong time",
	};
	unsigned code = WIFEXITED(status) ? WEXITSTATUS(status) : ARRAY_SIZE(said);

	*why = code < ARRAY_SIZE(said) ? said[code] : "it crashes";
	return code == 0 ? 0 : -EPROTO;
}

/* The parent's part: change the child, tell it where the page is, let it read. */
static int change_scratch(const struct image *im, const struct vclock_page *page, int go, pid_t pid,
			  const void *vdso, const char **why)
{
	struct image_caller who = { .tid = pid, .valid = always };
	uint64_t base;
	char c;
	int ret;

	*why = "the scratch process ended";
	if (host_read(go, &c, 1) != 1)
		return -ECHILD;
	*why = "the vDSO of a process cannot be written through /proc/PID/mem on this host";
	ret = image_change(im, &who, &base);
	if (ret == 0 || (ret > 0 && base != (uintptr_t)vdso))
		ret = -ESTALE;
	if (ret > 0 && im->how == IMAGE_READS)
		ret = image_tell(im, &who, base + im->head, (uintptr_t)page);
	if (ret < 0)
		return ret;
	return host_write(go, "g", 1) == 1 ? 0 : -ECHILD;
}

int image_try(const struct image *im, const struct vclock_page *page, const char **why)
{
	int go[2], status = 0, ret;
	const void *vdso;
	pid_t pid;

	if (image_own(&vdso) < 0)
		return -ENOENT;
	ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, go));
	if (ret < 0)
		return ret;
	try_page = page;
	try_stubs = im->how == IMAGE_STUBS;
	pid = fork();
	if (pid == 0) {
		close(go[0]);
		scratch(im, go[1], vdso);
	}
	close(go[1]);
	ret = pid < 0 ? -EAGAIN : change_scratch(im, page, go[0], pid, vdso, why);
	if (pid > 0) {
		if (ret < 0)
			kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		if (ret == 0)
			ret = judge(status, why);
	}
	close(go[0]);
	return ret;
}
