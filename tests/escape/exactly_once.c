/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exactly_once.c - a signal every millisecond during each trapped call, which has its
 * effect once
 *
 * A table of calls with an effect that a second time would show: an error (EEXIST, ENOENT),
 * or a count that has grown by other than one. With SA_RESTART no call of the table says
 * EINTR but those that signal(7) lists. Without it EINTR means that nothing was done, and
 * the call is made again. Each call is made until signals have come during it.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "../guest/t.h"
#include "raw.h"

#define TICKS 40	/* signals during a call's turn */
#define MOST 20000	/* calls of a turn, if signals are rare */
#define SOON_US 80	/* the first signal comes within so long */

static volatile sig_atomic_t ticks;
static int sem_id, sock;
static long got;	/* what the call returned */
static mqd_t queue;
static bool restart;

static void on_tick(int sig)
{
	ticks++;
}

/* From some moment of the next call on. */
static void storm(bool on)
{
	static unsigned random = 1;
	struct itimerval ms = { { 0, 1000 }, { 0, 0 } }, off = { 0 };

	random = random * 1103515245 + 12345;
	ms.it_value.tv_usec = 1 + (random >> 16) % SOON_US;
	/* In all-trap it may be interrupted itself, and has done nothing then. */
	while (setitimer(ITIMER_REAL, on ? &ms : &off, NULL) == -1 && errno == EINTR)
		;
}

/* ---- counts ----------------------------------------------------------------- */

static long count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	long n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static long count_mounts(void)
{
	static char info[1 << 19];
	long n = 0;

	read_file("/proc/self/mountinfo", info, sizeof(info));
	for (char *at = info; (at = strchr(at, '\n')); at++)
		n++;
	return n;
}

static long count_messages(void)
{
	struct mq_attr a = {};

	mq_getattr(queue, &a);
	return a.mq_curmsgs;
}

static long count_segments(void)
{
	struct shm_info i = {};

	shmctl(0, SHM_INFO, (struct shmid_ds *)&i);
	return i.used_ids;
}

static long count_sem(void)
{
	return semctl(sem_id, 0, GETVAL);
}

static long count_bytes(void)
{
	struct stat st;

	return stat("bytes", &st) == 0 ? st.st_size : -1;
}

static long count_filters(void)
{
	char text[4096], *at;

	read_file("/proc/self/status", text, sizeof(text));
	at = strstr(text, "\nSeccomp_filters:");
	return at ? atol(at + 17) : 0;
}

static long count_children(void)
{
	long n = 0;

	for (;;) {
		if (wait(NULL) > 0)
			n++;
		else if (errno == ECHILD)
			return n;
	}
}

/* ---- calls; each may be made again after EINTR ---------------------------------- */

static char name[32];

/* clang-format off */
static long do_mkdir(void) { return mkdir(name, 0755); }
static void undo_mkdir(void) { rmdir(name); }
static void prepare_dir(void) { mkdir(name, 0755); }
static long do_rmdir(void) { return rmdir(name); }
static long do_fifo(void) { return mknod(name, S_IFIFO | 0600, 0); }
static long do_device(void) { return mknod(name, S_IFCHR | 0600, 0x103); }
static void undo_device(void) { umount2(name, MNT_DETACH); unlink(name); }
static long do_nodeat(void) { return mknodat(AT_FDCWD, name, S_IFIFO | 0600, 0); }
static long do_symlink(void) { return symlink("x", name); }
static long do_link(void) { return link("bytes", name); }
static void undo_file(void) { unlink(name); }
static long do_create(void) { return open(name, O_CREAT | O_EXCL | O_WRONLY, 0600); }
static void undo_create(void) { close(got); unlink(name); }
static void prepare_file(void) { close(open(name, O_CREAT | O_WRONLY, 0600)); }
static long do_unlink(void) { return unlink(name); }
static long do_rename(void) { return rename(name, "renamed"); }
static long do_setxattr(void) { return setxattr(name, "user.once", "x", 1, XATTR_CREATE); }
static long do_removexattr(void) { return removexattr(name, "user.once"); }
static void prepare_xattr(void)
{
	prepare_file();
	setxattr(name, "user.once", "x", 1, 0);
}
static void prepare_bind(void) { sock = socket(AF_UNIX, SOCK_DGRAM, 0); }
static void undo_bind(void) { close(sock); unlink(name); }
static long do_bind(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, name);
	return bind(sock, (struct sockaddr *)&a, sizeof(a));
}
static long do_mount(void) { return mount("none", "m", "tmpfs", 0, NULL); }
static void undo_mount(void) { umount2("m", MNT_DETACH); }
static long do_umount(void) { return umount("m"); }
static void prepare_mount(void) { mount("none", "m", "tmpfs", 0, NULL); }
static long do_socket(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static long do_memfd(void) { return syscall(SYS_memfd_create, "once", 0); }
static long do_timerfd(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static long do_dup(void) { return dup(0); }
static long do_open(void) { return open("bytes", O_RDONLY); }
static void undo_fd(void) { close(got); }
static void prepare_write(void) { sock = open("bytes", O_WRONLY | O_APPEND); }
static void undo_write(void) { close(sock); }
static long do_write(void) { return write(sock, "x", 1); }
static long do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}
static long do_clone(void)
{
	long pid = raw64(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	errno = pid < 0 ? -pid : 0;
	return pid < 0 ? -1 : pid;
}
static long do_semop(void)
{
	struct sembuf b = { 0, 1, 0 };
	struct timespec ts = { 5, 0 };

	return semtimedop(sem_id, &b, 1, &ts);
}
static void undo_semop(void) { semctl(sem_id, 0, SETVAL, 1); }
static long do_mq_send(void)
{
	struct timespec ts = { INT32_MAX, 0 };

	return mq_timedsend(queue, "x", 1, 0, &ts);
}
static void undo_mq_send(void)
{
	char buf[64];
	struct timespec past = { 0, 0 };

	while (count_messages() > 0)
		mq_timedreceive(queue, buf, sizeof(buf), NULL, &past);
}
static long do_shmget(void) { return shmget(IPC_PRIVATE, 4096, 0600); }
static void undo_shmget(void)
{
	struct shm_info i;
	int max = shmctl(0, SHM_INFO, (struct shmid_ds *)&i);
	struct shmid_ds ds;

	for (int n = 0; n <= max; n++) {
		int id = shmctl(n, SHM_STAT, &ds);

		if (id >= 0)
			shmctl(id, IPC_RMID, NULL);
	}
}
static long do_filter(void)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { 1, allow };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

static const struct row {
	const char *name;
	long (*call)(void);
	void (*prepare)(void), (*undo)(void);	/* without signals */
	long (*count)(void);			/* grows by one; NULL: a second one would fail */
	bool interruptible;			/* EINTR in spite of SA_RESTART, signal(7) */
	unsigned most;				/* calls of a turn, if they leave something */
} rows[] = {
	{ "mkdir", do_mkdir, NULL, undo_mkdir },
	{ "rmdir", do_rmdir, prepare_dir, NULL },
	{ "mknod of a FIFO", do_fifo, NULL, undo_file },
	{ "mknod of a device", do_device, NULL, undo_device },
	{ "mknodat", do_nodeat, NULL, undo_file },
	{ "symlink", do_symlink, NULL, undo_file },
	{ "link", do_link, NULL, undo_file },
	{ "open with O_EXCL", do_create, NULL, undo_create },
	{ "unlink", do_unlink, prepare_file, NULL },
	{ "rename", do_rename, prepare_file, NULL },
	{ "setxattr", do_setxattr, prepare_file, undo_file },
	{ "removexattr", do_removexattr, prepare_xattr, undo_file },
	{ "bind to a name", do_bind, prepare_bind, undo_bind },
	{ "mount", do_mount, NULL, undo_mount, count_mounts },
	{ "umount", do_umount, prepare_mount, NULL },
	{ "socket", do_socket, NULL, undo_fd, count_fds },
	{ "memfd_create", do_memfd, NULL, undo_fd, count_fds },
	{ "timerfd_create", do_timerfd, NULL, undo_fd, count_fds },
	{ "dup", do_dup, NULL, undo_fd, count_fds },
	{ "open", do_open, NULL, undo_fd, count_fds },
	{ "write", do_write, prepare_write, undo_write, count_bytes },
	{ "fork", do_fork, NULL, NULL, count_children },
	{ "clone", do_clone, NULL, NULL, count_children },
	{ "semtimedop", do_semop, NULL, undo_semop, count_sem, true },
	{ "mq_timedsend", do_mq_send, NULL, undo_mq_send, count_messages },
	{ "shmget", do_shmget, NULL, undo_shmget, count_segments },
	{ "seccomp", do_filter, NULL, NULL, count_filters, false, 30 },
};
/* clang-format on */

/* One call, again as often as it says EINTR. Return: did it succeed? */
static bool make(const struct row *r)
{
	do {
		got = r->call();
		if (got == -1 && errno == EINTR && restart && !r->interruptible)
			failed("%s: EINTR in spite of SA_RESTART", r->name);
	} while (got == -1 && errno == EINTR);
	return got != -1;
}

/* Return: was the call made, and its effect there once? */
static bool once(const struct row *r, bool signals)
{
	long before, after;
	bool made;

	if (r->prepare)
		r->prepare();
	before = r->count ? r->count() : 0;
	storm(signals);
	made = make(r);
	if (!made && signals)
		failed("%s: %s", r->name, t_errno(errno));
	storm(false);
	after = r->count ? r->count() : 1;
	if (made && after != before + 1)
		failed("%s: from %ld to %ld by one call", r->name, before, after);
	if (r->undo)
		r->undo();
	return made;
}

static const struct row *row;

/* In a process of its own: of filters there is no way back. */
static void one_row(void)
{
	struct sigaction sa = { .sa_handler = on_tick };

	snprintf(name, sizeof(name), "name-%d", (int)getpid());
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!once(row, false)) {
		fact(row->name, "not here");
		return;
	}
	for (int i = 0; i < 2; i++) {
		restart = i == 0;
		sa.sa_flags = restart ? SA_RESTART : 0;
		sigaction(SIGALRM, &sa, NULL);
		ticks = 0;
		for (unsigned n = 0; n < (row->most ? row->most : MOST) && ticks < TICKS && !t_failed; n++)
			once(row, true);
	}
	check(row->name, !t_failed);
}

int main(void)
{
	struct mq_attr attr = { .mq_maxmsg = 5, .mq_msgsize = 64 };

	enter_dir();
	mkdir("m", 0755);
	write_file("bytes", "x");
	sem_id = semget(IPC_PRIVATE, 1, 0600);
	semctl(sem_id, 0, SETVAL, 1);
	queue = mq_open("/exactly-once", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attr);
	mq_unlink("/exactly-once");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		row = &rows[i];
		in_child(one_row);
	}
	semctl(sem_id, 0, IPC_RMID);
	check("the guest kernel answers", answers());
	return t_failed;
}
