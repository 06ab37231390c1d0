/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pathflip.c - the strings of a trapped call change while it is made
 *
 *   pathflip CALL [COUNT [OUTSIDE]]
 *
 * Two threads flip the string between a harmless word and a bad one while the
 * call is made COUNT times. What the guest kernel decided on must be what it did:
 *
 *   mknod    the path flips between "in/node" and OUTSIDE/escaped; the runner
 *            looks on the host that nothing is there
 *   chroot   between "in" and "/missing"; the root is "in" or unchanged
 *   type     the file system type of mount flips between tmpfs and each type
 *            that is refused when asked for honestly; it is never mounted
 *   target   the target flips between two directories: a mount is at one of
 *            them, never at both, never elsewhere
 *   umount   the same for umount2
 *   pivot    pivot_root with a flipping new root
 *   host     sethostname: the name is never a mix that exceeds its length
 *   link     a directory and a link that points out change places (renameat2)
 *            while mknod and mount go through it
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "../guest/t.h"

#define ROOM 256

static char text[ROOM];
static const char *word[2];
static volatile int stop;

static void *flips(void *arg)
{
	long which = (long)arg;

	while (!stop) {
		for (int i = 0; i < 50; i++)
			memcpy(text, word[(which + i) & 1], strlen(word[(which + i) & 1]) + 1);
		sched_yield();
	}
	return NULL;
}

static pthread_t flippers[2];

static void start(const char *a, const char *b)
{
	word[0] = a;
	word[1] = b;
	strcpy(text, a);
	stop = 0;
	for (long i = 0; i < 2; i++)
		pthread_create(&flippers[i], NULL, flips, (void *)i);
}

static void end(void)
{
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(flippers[i], NULL);
}

static void flip_mknod(long count, const char *outside)
{
	char bad[ROOM];
	long made = 0;

	mkdir("in", 0755);
	snprintf(bad, sizeof(bad), "%s/escaped", outside);
	start("in/node", bad);
	for (long i = 0; i < count; i++) {
		made += mknod(text, S_IFIFO | 0600, 0) == 0;
		unlink("in/node");
		unlink(bad);
		/* A device is a mount as long as it is there. */
		if (mknod(text, S_IFCHR | 0666, 0x103) == 0)
			umount2("in/node", MNT_DETACH);
		unlink("in/node");
	}
	mknod(bad, S_IFIFO | 0600, 0);
	end();
	check("some were made", made > 0);
}

static void flip_chroot(long count)
{
	struct stat in, root, now;

	mkdir("in", 0755);
	need("stat", stat("in", &in));
	need("stat", stat("/", &root));
	start("in", "/missing");
	for (long i = 0; i < count && !t_failed; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			int ret = chroot(text);

			need("stat", stat("/", &now));
			_exit(!(ret == 0 ? now.st_ino == in.st_ino :
					   now.st_ino == root.st_ino && now.st_dev == root.st_dev));
		}
		waitpid(pid, &status, 0);
		if (status)
			failed("the root is neither");
	}
	end();
}

static void flip_type(long count)
{
	static const char *const types[] = { "overlay", "proc", "sysfs", "cgroup2", "cgroup",
					     "ext4", "fuse", "bpf", "debugfs", "ramfs", "devpts" };
	struct statfs fs;
	long tmpfs_magic, mounted = 0;

	mkdir("m", 0755);
	need("tmpfs", mount("none", "m", "tmpfs", 0, NULL));
	need("statfs", statfs("m", &fs));
	tmpfs_magic = fs.f_type;
	need("umount", umount("m"));
	for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
		if (mount("none", "m", types[t], 0, NULL) == 0) {
			umount("m");
			continue;	/* allowed: nothing to hide */
		}
		start("tmpfs", types[t]);
		for (long i = 0; i < count; i++) {
			if (mount("none", "m", text, 0, NULL) == -1)
				continue;
			mounted++;
			if (statfs("m", &fs) == 0 && fs.f_type != tmpfs_magic)
				failed("%s was mounted: %#lx", types[t], (long)fs.f_type);
			umount2("m", MNT_DETACH);
		}
		end();
	}
	check("some were mounted", mounted > 0);
}

static int mounts_below(const char *dir)
{
	static char info[1 << 19];
	int n = 0;

	read_file("/proc/self/mountinfo", info, sizeof(info));
	for (char *at = info; (at = strstr(at, dir)); at++)
		n++;
	return n;
}

static void flip_target(long count, bool by_umount)
{
	long mounted = 0, gone = 0;
	int before;

	mkdir("a", 0755);
	mkdir("b", 0755);
	before = mounts_below(t_dir);
	start("a", "b");
	for (long i = 0; i < count; i++) {
		int n;

		if (mount("none", by_umount ? "a" : text, "tmpfs", 0, NULL) == 0)
			mounted++;
		if (by_umount) {
			gone += umount2(text, 0) == 0;
			continue;
		}
		n = umount("a") == 0;
		n += umount("b") == 0;
		gone += n;
		if (n != 1)
			failed("%d mounts after one call", n);
	}
	end();
	while (umount("a") == 0)
		gone++;
	fact("mounted and gone", "%s", mounted == gone ? "equal" : "different");
	check("as many umounts as mounts", mounted == gone);
	check("none is left", mounts_below(t_dir) == before);
}

static void flip_pivot(long count)
{
	mkdir("new", 0755);
	mkdir("new2", 0755);
	start("new", "/missing");
	for (long i = 0; i < count && !t_failed; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct stat st;
			int ret;

			need("unshare", unshare(CLONE_NEWNS));
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
			need("tmpfs", mount("none", "new", "tmpfs", 0, NULL));
			mkdir("new/old", 0755);
			ret = syscall(SYS_pivot_root, text, "new/old");
			if (ret == 0)
				_exit(stat("/old", &st) == 0 ? 0 : 1);
			_exit(stat("/etc", &st) == 0 ? 0 : 2);
		}
		waitpid(pid, &status, 0);
		if (status)
			failed("the root is neither old nor new");
	}
	end();
}

static void flip_host(long count)
{
	struct utsname u;

	start("aaaaaaaaaaaaaaaa", "bbbb");
	for (long i = 0; i < count; i++) {
		if (sethostname(text, 16) == -1)
			failed("sethostname: %s", t_errno(errno));
		uname(&u);
		if (strlen(u.nodename) > 16 || strspn(u.nodename, "ab") != strlen(u.nodename))
			failed("the name is %s", u.nodename);
	}
	end();
}

static void *swaps(void *arg)
{
	(void)arg;
	while (!stop)
		syscall(SYS_renameat2, AT_FDCWD, "swap", AT_FDCWD, "link", 2);
	return NULL;
}

static void flip_link(long count, const char *outside)
{
	static const char *const ups[] = { "/proc/1/root", "/proc/1/cwd", "/proc/self/root", "/",
					   "../../../../../../../..", "/proc/1/root/.." };
	char target[ROOM * 2], path[ROOM * 2];
	pthread_t t;

	for (size_t u = 0; u < ARRAY_SIZE(ups); u++) {
		/* Nodes made by an earlier turn may be mount points: begin anew. */
		snprintf(path, sizeof(path), "turn%zu", u);
		need("mkdir", mkdir(path, 0755));
		need("chdir", chdir(path));
		mkdir("swap", 0755);
		snprintf(target, sizeof(target), "%s%s", ups[u], outside);
		need("symlink", symlink(target, "link"));
		stop = 0;
		pthread_create(&t, NULL, swaps, NULL);
		for (long i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "swap/%ld", i);
			mknod(path, S_IFIFO | 0600, 0);
			snprintf(path, sizeof(path), "link/%ld", i);
			mknod(path, S_IFCHR | 0600, 0x103);
			if (i % 10 == 0 && mount("none", "swap", "tmpfs", 0, NULL) == 0)
				while (umount2("swap", 0) == -1 && umount2("link", 0) == -1 && !stop)
					;
		}
		stop = 1;
		pthread_join(t, NULL);
		need("chdir", chdir(".."));
	}
}

int main(int argc, char **argv)
{
	const char *call = argc > 1 ? argv[1] : "mknod";
	long count = argc > 2 ? atol(argv[2]) : 1000;
	const char *outside = argc > 3 ? argv[3] : "/tmp";

	enter_dir();
	if (strcmp(call, "mknod") == 0)
		flip_mknod(count, outside);
	else if (strcmp(call, "chroot") == 0)
		flip_chroot(count);
	else if (strcmp(call, "type") == 0)
		flip_type(count);
	else if (strcmp(call, "target") == 0)
		flip_target(count, false);
	else if (strcmp(call, "umount") == 0)
		flip_target(count, true);
	else if (strcmp(call, "pivot") == 0)
		flip_pivot(count);
	else if (strcmp(call, "host") == 0)
		flip_host(count);
	else if (strcmp(call, "link") == 0)
		flip_link(count, outside);
	else
		return 2;
	check("the guest kernel answers", sethostname("flipped", 7) == 0);
	return t_failed;
}
