/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_root.c - roots built for real, in forked processes
 *
 * Each case forks the processes of a guest (kernel, agent, init), builds its
 * root, and runs a check inside it; the check's status is the case's. Run as
 * root, every case is done as root and again as the ordinary user "probeu", if
 * there is one; run as an ordinary user, as that user.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "check.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/ids.h"
#include "ns/net.h"
#include "ns/nsproxy.h"
#include "ns/root.h"
#include "passthrough/hostcall.h"

struct guest {
	uid_t uid;
	gid_t gid;
	struct root_config cfg;
	enum id_want want;
	const char *map;	/* ID_WANT_EXPLICIT */
	const char *mask;	/* WEIR_TEST_MASK */
	void (*inside)(void);	/* exits with 1 at the first failure */
	struct root *root;
	struct id_choice ids;
	int userns;
};

enum { REFUSED = 100, BROKEN = 101 };

static char last_error[256];	/* of a refused case, read back from the child */

static void __attribute__((noreturn)) refuse(int report, const struct ns_error *err)
{
	host_write(report, err->text, strlen(err->text));
	_exit(REFUSED);
}

static void hold(const int pair[2], const char *send)
{
	char c;

	if (host_write(pair[1], send, 1) < 0 || host_read(pair[1], &c, 1) != 1)
		_exit(BROKEN);
}

static void pair_open(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		_exit(BROKEN);
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		return BROKEN;
	return WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
}

static void become_root_here(void)
{
	setgroups(0, NULL);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		_exit(BROKEN);
}

static void __attribute__((noreturn)) init_main(struct guest *g, const int pair[2], int report)
{
	struct ns_error err = {};

	if (root_mount_proc(g->root, &err) < 0)
		refuse(report, &err);
	hold(pair, "p");
	if (chdir(root_cwd(g->root)) < 0)
		_exit(BROKEN);
	if (g->inside)
		g->inside();
	_exit(0);
}

/* What later requests use: pseudo-terminals, copies of /proc and of devices. */
static void check_kept(struct guest *g)
{
	struct root_kept kept;
	struct ns_error err = {};
	int master, slave, fd;
	char buf[4];

	CHECK(root_keep_console(g->root, &kept, &err) == 0);
	CHECK(root_keep(g->root, &kept, &err) == 0);
	CHECK(root_open_pty(g->root, &kept, &master, &slave, &err) == 0);
	CHECK(host_write(slave, "ok\n", 3) == 3 && host_read(master, buf, 4) == 4);
	CHECK(root_bind_console(g->root, &kept, slave, &err) == 0);
	for (int i = 0; i < NUM_ROOT_TREES; i++) {
		fd = root_clone_kept(&kept, i);
		CHECK(fd >= 0);
		close(fd);
	}
	fd = root_clone_device(&kept, root_device_index(1, 3));
	CHECK(fd >= 0);
	close(fd);
	CHECK(root_clone_kept(&kept, 17) == -EINVAL && root_clone_device(&kept, 17) == -EINVAL);
	CHECK(root_device_index(8, 0) == -ENODEV);
	if (root_verify(g->root, "/proc/1/mountinfo", &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	CHECK(!err.text[0]);
}

static void __attribute__((noreturn)) agent_main(struct guest *g, int report)
{
	struct ns_error err = {};
	struct nsproxy ns;
	int pair[2], status;
	pid_t pid;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (host_call(SYS_setns, g->userns, CLONE_NEWUSER) < 0)
		_exit(BROKEN);
	become_root_here();
	nsproxy_init(&ns);
	if (nsproxy_enter(&ns, &err) < 0 || root_build(g->root, &err) < 0 || net_up(&err) < 0 ||
	    unshare(CLONE_NEWPID) < 0)
		refuse(report, &err);
	root_check_cwd(g->root);
	pair_open(pair);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		init_main(g, pair, report);
	}
	close(pair[1]);
	if (host_read(pair[0], &c, 1) != 1)
		_exit(status_of(pid));
	if (root_enter(g->root, &err) < 0 || root_detach_old(g->root, &err) < 0)
		refuse(report, &err);
	check_kept(g);
	host_write(pair[0], "g", 1);
	status = status_of(pid);
	_exit(status);
}

static int make_userns(const struct id_choice *ids, struct ns_error *err)
{
	int pair[2], fd, ret;
	char path[64], c;
	pid_t pid;

	pair_open(pair);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(1);
		hold(pair, "u");
		_exit(0);
	}
	close(pair[1]);
	ret = host_read(pair[0], &c, 1) == 1 ? 0 : -EPERM;
	if (ret == 0)
		ret = ids_write_direct(pid, &ids->guest_uid, &ids->guest_gid, ids->deny_setgroups,
				       err);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = ret < 0 ? ret : host_open(path, O_RDONLY, 0);
	close(pair[0]);
	status_of(pid);
	return fd;
}

static void __attribute__((noreturn)) kernel_main(struct guest *g, const int pair[2], int report)
{
	struct ns_error err = {};
	pid_t pid;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!g->cfg.as_root) {
		int ret = host_result(unshare(CLONE_NEWUSER));

		if (ret < 0) {
			ids_explain_userns(ret, &err);
			refuse(report, &err);
		}
		host_write(pair[1], "u", 1);
		if (host_read(pair[1], &c, 1) != 1)
			_exit(BROKEN);
		become_root_here();
	}
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(BROKEN);
	g->userns = make_userns(&g->ids, &err);
	if (g->userns < 0)
		refuse(report, &err);
	g->cfg.userns_fd = g->cfg.as_root ? g->userns : -1;
	if (root_prepare(&g->cfg, &g->root, &err) < 0)
		refuse(report, &err);
	pid = fork();
	if (pid == 0)
		agent_main(g, report);
	_exit(status_of(pid));
}

/* The caller's process: an ordinary user's writes the kernel's maps. */
static void __attribute__((noreturn)) caller_main(struct guest *g, int report)
{
	struct id_request rq = { .caller = g->uid, .caller_gid = g->gid, .name = "test",
				 .want_uid = g->want, .want_gid = g->want };
	struct ns_error err = {};
	int pair[2];
	pid_t pid;
	char c;

	alarm(30);
	if (g->uid != getuid() &&
	    (setgroups(0, NULL) < 0 || setresgid(g->gid, g->gid, g->gid) < 0 ||
	     setresuid(g->uid, g->uid, g->uid) < 0))
		_exit(BROKEN);
	/* Cleared by the change of ids; without it our maps are not ours to write. */
	prctl(PR_SET_DUMPABLE, 1);
	if (g->mask)
		setenv("WEIR_TEST_MASK", g->mask, 1);
	if (g->map) {
		rq.want_uid = rq.want_gid = ID_WANT_EXPLICIT;
		if (ids_parse(g->map, &rq.uid) < 0)
			_exit(BROKEN);
		rq.gid = rq.uid;
	}
	if (ids_choose(&rq, &g->ids, &err) < 0)
		refuse(report, &err);
	g->cfg.identity_risk = g->ids.identity_risk;
	pair_open(pair);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		kernel_main(g, pair, report);
	}
	close(pair[1]);
	if (!g->cfg.as_root && host_read(pair[0], &c, 1) == 1) {
		if (ids_write_kernel(pid, &g->ids, &err) < 0)
			refuse(report, &err);
		host_write(pair[0], "g", 1);
	}
	_exit(status_of(pid));
}

static int run_guest(struct guest g)
{
	int report[2];
	ssize_t n;
	pid_t pid;

	g.cfg.as_root = g.uid == 0;
	g.cfg.own_net = g.cfg.own_cgroup = true;
	g.userns = -1;
	if (pipe2(report, O_CLOEXEC) < 0)
		return BROKEN;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(report[0]);
		caller_main(&g, report[1]);
	}
	close(report[1]);
	n = host_read(report[0], last_error, sizeof(last_error) - 1);
	last_error[MAX(n, 0)] = '\0';
	close(report[0]);
	return status_of(pid);
}

/* ---- who ---------------------------------------------------------------- */

static struct guest who[2];
static unsigned num_who;
static char dir[] = "/tmp/weir-test-root-XXXXXX";

static void add_who(uid_t uid, gid_t gid)
{
	who[num_who++] = (struct guest){ .uid = uid, .gid = gid };
}

static int setup(void **state)
{
	struct passwd *pw;

	if (getuid() == 0) {
		add_who(0, 0);
		pw = getpwnam("probeu");
		if (pw)
			add_who(pw->pw_uid, pw->pw_gid);
		else
			print_message("no user probeu: only root's cases are run\n");
	} else {
		add_who(getuid(), getgid());
	}
	return mkdtemp(dir) && chmod(dir, 0755) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

/* A root with one file, owned by the one who runs the guest. */
static void make_root(const struct guest *g, char *path, size_t size)
{
	char file[128];
	int fd;

	snprintf(path, size, "%s/r%u", dir, g->uid);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(file, sizeof(file), "%s/file", path);
	fd = open(file, O_CREAT | O_WRONLY, 0640);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(chown(path, g->uid, g->gid), 0);
	assert_int_equal(chown(file, g->uid, g->gid), 0);
}

static const char *const own_dirs[] = { "proc", "dev", "sys", "run", "tmp" };

static void remove_root(const char *path)
{
	char name[160];

	for (unsigned i = 0; i < ARRAY_SIZE(own_dirs); i++) {
		snprintf(name, sizeof(name), "%s/%s", path, own_dirs[i]);
		rmdir(name);
	}
	snprintf(name, sizeof(name), "%s/file", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s/new", path);
	unlink(name);
	assert_int_equal(rmdir(path), 0);
}

static bool in_root(const char *path, const char *name)
{
	char file[160];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	return access(file, F_OK) == 0;
}

/* ---- checks inside ------------------------------------------------------ */

static bool is_device(const char *path, unsigned major, unsigned minor)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(major, minor);
}

static bool touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void inside_common(void)
{
	struct statvfs fs;
	char buf[64];
	int fd;

	CHECK(getpid() == 1 && getuid() == 0 && getgid() == 0);
	CHECK(is_device("/dev/null", 1, 3) && is_device("/dev/zero", 1, 5));
	CHECK(is_device("/dev/full", 1, 7) && is_device("/dev/tty", 5, 0));
	CHECK(is_device("/dev/random", 1, 8) && is_device("/dev/urandom", 1, 9));
	CHECK(is_device("/dev/console", 136, 0));
	fd = open("/dev/null", O_RDWR | O_CREAT | O_TRUNC, 0666);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	/* the node is the host's, whoever owns it */
	CHECK(fchmod(fd, 0) < 0 && fchown(fd, 0, 0) < 0);
	close(fd);
	CHECK(readlink("/dev/fd", buf, sizeof(buf)) == 13 && readlink("/dev/ptmx", buf, 64) == 8);
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	CHECK(fd >= 0);
	close(fd);
	CHECK(touch("/dev/shm/x") && touch("/run/lock/x"));
	/* the host's files lie in it */
	CHECK(mkstemp((char []){ "/tmp/x-XXXXXX" }) >= 0);
	CHECK(access("/dev/mqueue", X_OK) == 0);
	CHECK(statvfs("/sys", &fs) == 0 && (fs.f_flag & ST_RDONLY) && (fs.f_flag & ST_NOSUID));
	CHECK(statvfs("/proc", &fs) == 0 && (fs.f_flag & ST_NOSUID) && (fs.f_flag & ST_NODEV));
	CHECK(statvfs("/", &fs) == 0 && !(fs.f_flag & ST_NOSUID));
	CHECK(host_read_file(AT_FDCWD, "/proc/keys", buf, sizeof(buf)) <= 0);
	CHECK(open("/proc/sysrq-trigger", O_WRONLY) < 0);
	CHECK(open("/proc/sys/vm/drop_caches", O_WRONLY) < 0);
	CHECK(open("/proc/sys/kernel/core_pattern", O_WRONLY) < 0);
	CHECK(host_read_file(AT_FDCWD, "/proc/sys/kernel/ostype", buf, sizeof(buf)) > 0);
	CHECK(chdir("/..") == 0 && getcwd(buf, sizeof(buf)) && streq(buf, "/"));
}

static void inside_writable(void)
{
	struct stat st;

	inside_common();
	CHECK(stat("/file", &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	CHECK((st.st_mode & 07777) == 0640);
	CHECK(touch("/new") && touch("/file"));
}

static void inside_readonly(void)
{
	inside_common();
	CHECK(access("/file", R_OK) == 0);
	CHECK(!touch("/new") && errno == EROFS);
}

static void inside_host_overlay(void)
{
	inside_common();
	CHECK(access("/usr/bin", X_OK) == 0 && access("/etc/passwd", R_OK) == 0);
	CHECK(touch("/weir-test-made") && touch("/usr/weir-test-made") &&
	      touch("/var/tmp/weir-test-made"));
}

static void inside_host_readonly(void)
{
	inside_common();
	CHECK(access("/usr/bin", X_OK) == 0);
	CHECK(!touch("/weir-test-made") && errno == EROFS);
	CHECK(!touch("/usr/weir-test-made"));
}

/* ---- cases -------------------------------------------------------------- */

static char *mountinfo_copy(void)
{
	static char buf[2][1 << 20];
	static int turn;
	char *b = buf[turn ^= 1];

	assert_true(host_read_file(AT_FDCWD, "/proc/self/mountinfo", b, sizeof(buf[0])) > 0);
	return b;
}

#define EACH_WHO(w) for (struct guest *w = who; w < who + num_who; w++)

static void test_host_overlay(void **state)
{
	EACH_WHO (w) {
		struct guest g = *w;
		char *before = mountinfo_copy();

		g.cfg.mode = ROOT_OVERLAY;
		g.inside = inside_host_overlay;
		assert_int_equal(run_guest(g), 0);
		assert_int_not_equal(access("/weir-test-made", F_OK), 0);
		assert_int_not_equal(access("/usr/weir-test-made", F_OK), 0);
		assert_int_not_equal(access("/var/tmp/weir-test-made", F_OK), 0);
		assert_string_equal(before, mountinfo_copy());
	}
}

static void test_host_readonly(void **state)
{
	EACH_WHO (w) {
		struct guest g = *w;

		g.cfg.mode = ROOT_RO;
		g.inside = inside_host_readonly;
		assert_int_equal(run_guest(g), 0);
	}
}

static void inside_cwd(void)
{
	char buf[256];

	CHECK(getcwd(buf, sizeof(buf)) && strstr(buf, "weir-test-root"));
}

static void inside_slash(void)
{
	char buf[256];

	CHECK(getcwd(buf, sizeof(buf)) && streq(buf, "/"));
}

static void test_cwd(void **state)
{
	EACH_WHO (w) {
		struct guest g = *w;

		g.cfg.mode = ROOT_OVERLAY;
		g.cfg.cwd = dir;
		g.inside = inside_cwd;
		assert_int_equal(run_guest(g), 0);
		g.cfg.cwd = "/proc/1";		/* the host's, not there */
		g.inside = inside_slash;
		assert_int_equal(run_guest(g), 0);
	}
}

static void test_dir(void **state)
{
	EACH_WHO (w) {
		struct guest g = *w;
		char path[64];

		make_root(w, path, sizeof(path));
		g.cfg.dir = path;
		g.cfg.mode = ROOT_RO;
		assert_int_equal(run_guest(g), REFUSED);
		assert_non_null(strstr(last_error, "no directory /"));
		g.cfg.mode = ROOT_OVERLAY;
		g.inside = inside_writable;
		assert_int_equal(run_guest(g), 0);
		assert_false(in_root(path, "new"));
		assert_false(in_root(path, "dev"));
		g.cfg.mode = ROOT_RW;
		assert_int_equal(run_guest(g), 0);
		assert_true(in_root(path, "new"));
		g.cfg.mode = ROOT_RO;
		g.inside = inside_readonly;
		remove_root(path);
		make_root(w, path, sizeof(path));
		for (unsigned i = 0; i < ARRAY_SIZE(own_dirs); i++) {
			char name[128];

			snprintf(name, sizeof(name), "%s/%s", path, own_dirs[i]);
			assert_int_equal(mkdir(name, 0755), 0);
		}
		assert_int_equal(run_guest(g), 0);
		remove_root(path);
	}
}

/* A root whose /dev leads out of it: nothing may be mounted there. */
static void test_hostile_links(void **state)
{
	EACH_WHO (w) {
		char path[64], name[128];
		struct guest g = *w;

		make_root(w, path, sizeof(path));
		g.cfg.dir = path;
		g.cfg.mode = ROOT_RW;
		snprintf(name, sizeof(name), "%s/dev", path);
		assert_int_equal(symlink("/etc", name), 0);
		assert_int_equal(run_guest(g), REFUSED);
		unlink(name);
		assert_int_equal(symlink("../../../../etc", name), 0);
		assert_int_equal(run_guest(g), REFUSED);
		unlink(name);
		remove_root(path);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *dir;
		enum root_mode mode;
		const char *says;
	} cases[] = {
		{ "/etc/passwd", ROOT_OVERLAY, "not a directory" },
		{ "/nonexistent/root", ROOT_OVERLAY, "No such file" },
		{ NULL, ROOT_RW, "needs -r DIR" },
		{ "/", ROOT_RW, "another directory" },
	};

	EACH_WHO (w) {
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct guest g = *w;

			g.cfg.dir = cases[i].dir;
			g.cfg.mode = cases[i].mode;
			assert_int_equal(run_guest(g), REFUSED);
			assert_non_null(strstr(last_error, cases[i].says));
		}
	}
}

static void test_masked(void **state)
{
	static const struct {
		const char *mask;
		int status;
		const char *says;
	} cases[] = {
		{ "overlay", REFUSED, "overlay" },
		{ "open_tree", REFUSED, "open_tree" },
		{ "devpts", REFUSED, "devpts" },
		{ "mqueue", 0, "" },
		{ "sysfs", 0, "" },
		{ "cgroup2", 0, "" },
		{ "newuidmap", 0, "" },
		{ "subuid", 0, "" },
	};

	EACH_WHO (w) {
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
			struct guest g = *w;

			g.cfg.mode = ROOT_OVERLAY;
			g.mask = cases[i].mask;
			assert_int_equal(run_guest(g), cases[i].status);
			assert_non_null(strstr(last_error, cases[i].says));
		}
	}
}

static void test_single_id(void **state)
{
	EACH_WHO (w) {
		struct guest g = *w;

		g.cfg.mode = ROOT_OVERLAY;
		g.want = ID_WANT_SINGLE;
		assert_int_equal(run_guest(g), 0);
	}
}

/* Guest root is host root: what the ids no longer protect, mounts must. */
static void test_identity(void **state)
{
	struct guest g = who[0];

	if (g.uid != 0) {
		skip();
		return;
	}
	g.cfg.mode = ROOT_OVERLAY;
	g.map = "0 0 65536";
	g.inside = inside_host_overlay;
	assert_int_equal(run_guest(g), 0);
}

static void test_no_idmap(void **state)
{
	struct guest g = who[0];
	char path[64];

	if (g.uid != 0) {
		skip();
		return;
	}
	make_root(&g, path, sizeof(path));
	g.cfg.dir = path;
	g.cfg.mode = ROOT_RW;
	g.mask = "idmap";
	assert_int_equal(run_guest(g), REFUSED);
	assert_non_null(strstr(last_error, "[ids] uid = 0 0 65536"));
	g.cfg.mode = ROOT_OVERLAY;
	assert_int_equal(run_guest(g), 0);
	remove_root(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_overlay), cmocka_unit_test(test_host_readonly),
		cmocka_unit_test(test_cwd), cmocka_unit_test(test_dir),
		cmocka_unit_test(test_hostile_links), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_masked), cmocka_unit_test(test_single_id),
		cmocka_unit_test(test_identity), cmocka_unit_test(test_no_idmap),
	};

	return cmocka_run_group_tests_name("root", tests, setup, teardown);
}
