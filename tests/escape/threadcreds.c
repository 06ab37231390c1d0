/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threadcreds.c - a thread has credentials, directory, root and umask of its own
 *
 * The guest kernel acts for the thread that called, not for the leader.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "../guest/t.h"

static void *weak(void *arg)
{
	(void)arg;
	/* Raw calls change this thread alone. */
	need("setresuid", syscall(SYS_setresuid, 1000, 1000, 1000));
	check("a weak thread: sethostname", sethostname("weak", 4) == -1 && errno == EPERM);
	check("a weak thread: mount", mount("none", "m", "tmpfs", 0, NULL) == -1 && errno == EPERM);
	check("a weak thread: mknod", mknod("null", S_IFCHR | 0600, 0x103) == -1);
	check("a weak thread: chroot", chroot("m") == -1 && errno == EPERM);
	check("a weak thread: unshare", unshare(CLONE_NEWNS) == -1);
	check("a weak thread: root's files", open("private", O_RDONLY) == -1 && errno == EACCES);
	return NULL;
}

static void *away(void *arg)
{
	struct stat st;

	(void)arg;
	need("unshare", unshare(CLONE_FS));
	need("chdir", chdir("sub"));
	umask(077);
	check("a fifo by a relative path", mknod("fifo", S_IFIFO | 0666, 0) == 0);
	check("is in this thread's directory",
	      stat("fifo", &st) == 0 && access("../fifo", F_OK) == -1);
	check("with this thread's umask", (st.st_mode & 0777) == 0600);
	need("mkdir", mkdir("root", 0755));
	need("mkdir", mkdir("root/m", 0755));
	check("chroot of this thread", chroot("root") == 0);
	check("a mount by this thread's root", mount("none", "/m", "tmpfs", 0, NULL) == 0);
	check("umount", umount("/m") == 0);
	check("a node by this thread's root", mknod("/fifo", S_IFIFO | 0666, 0) == 0);
	return NULL;
}

static void run(void *(*fn)(void *))
{
	pthread_t t;

	pthread_create(&t, NULL, fn, NULL);
	pthread_join(t, NULL);
}

int main(void)
{
	enter_dir();
	chmod(".", 0777);
	mkdir("m", 0755);
	mkdir("sub", 0777);
	write_file("private", "x");
	chmod("private", 0600);
	umask(022);
	run(away);
	check("the leader's root is as before", access("/etc", F_OK) == 0);
	check("the fifo is in the thread's root", access("sub/root/fifo", F_OK) == 0);
	if (other_id() > 0)
		run(weak);
	check("the leader is strong still", sethostname("strong", 6) == 0);
	return t_failed;
}
