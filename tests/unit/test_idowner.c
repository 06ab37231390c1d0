/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_idowner.c - owners of files: beside them or in the list, and what the list's log
 * keeps whatever happens to its writer
 *
 * Includes idowner.c to count what is written to the log, and to end its writer in the
 * middle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long writes_left = -1;	/* then the process ends; -1: never */

static ssize_t counted_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (writes_left >= 0 && writes_left-- == 0)
		_exit(0);
	return pwrite(fd, buf, len, at);
}

#define pwrite counted_pwrite
#include "../../src/kernel/ids/idowner.c"
#undef pwrite

#define FILES 10
#define OUTDATED (2 * FILES + SLACK + 1)	/* records that make the log be written anew */

static char dir[] = "/tmp/idowner-XXXXXX";

static void path_of(const char *name, char ret[64])
{
	snprintf(ret, 64, "%s/%s", dir, name);
}

static int open_log(int flags)
{
	char path[64];
	int fd;

	path_of("log", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	assert_true(fd >= 0);
	return fd;
}

static off_t log_size(void)
{
	char path[64];
	struct stat st;

	path_of("log", path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* A link, which takes no attributes: its owner is in the list. */
static int open_link(const char *name, struct stat *st)
{
	char path[64];
	int fd;

	path_of(name, path);
	if (symlink("nowhere", path) < 0)
		assert_int_equal(errno, EEXIST);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, st), 0);
	return fd;
}

static void set_link(struct idowner_list *l, const char *name, uint32_t uid)
{
	const struct idowner o = { uid, uid + 1, 0 };
	struct stat st;
	int fd = open_link(name, &st);

	assert_int_equal(idowner_set(l, fd, &st, &o), 0);
	close(fd);
}

static uint32_t uid_of_link(struct idowner_list *l, const char *name)
{
	struct idowner o;
	struct stat st;
	int fd = open_link(name, &st);

	idowner_get(l, fd, &st, &o);
	close(fd);
	if (o.uid != st.st_uid)
		assert_int_equal(o.gid, o.uid + 1);
	return o.uid;
}

static uint32_t uid_after_restart(const char *name)
{
	struct idowner_list *l = idowner_open(open_log(0));
	uint32_t uid = uid_of_link(l, name);

	idowner_close(l);
	return uid;
}

static void test_beside_a_file(void **state)
{
	const struct idowner set = { 1000, 1001, S_ISUID };
	struct idowner_list *l = idowner_open(-1);
	struct idowner got;
	char path[64];
	struct stat st;
	mode_t mode;
	uint32_t uid, gid;
	int fd;

	path_of("file", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	idowner_get(l, fd, &st, &got);
	assert_int_equal(got.uid, getuid());
	for (unsigned i = 0; i < 3; i++) {
		const struct idowner o = { set.uid + i, set.gid + i, set.bits };

		assert_int_equal(idowner_set(l, fd, &st, &o), 0);
		idowner_get(l, fd, &st, &got);
		assert_int_equal(got.uid, o.uid);
		assert_int_equal(got.gid, o.gid);
		assert_int_equal(got.bits, S_ISUID);
	}
	mode = S_IFREG | 0755;
	idowner_show(&got, &uid, &gid, &mode);
	assert_int_equal(uid, 1002);
	assert_int_equal(mode, S_IFREG | S_ISUID | 0755);
	close(fd);
	idowner_close(l);
}

static void test_log_is_read_again(void **state)
{
	struct idowner_list *l = idowner_open(open_log(O_TRUNC));

	set_link(l, "a", 1000);
	set_link(l, "b", 2000);
	set_link(l, "a", 3000);
	idowner_close(l);
	assert_int_equal(log_size(), 3 * sizeof(struct record));
	assert_int_equal(uid_after_restart("a"), 3000);
	assert_int_equal(uid_after_restart("b"), 2000);
}

/* An inode that is used again is another file: its time of birth tells. */
static void test_a_new_file_has_no_owner(void **state)
{
	struct idowner_list *l = idowner_open(-1);
	struct record key;
	struct stat st;
	char path[64];
	int fd;

	fd = open_link("reborn", &st);
	key_of(fd, &st, &key);
	close(fd);
	if (!key.birth_ns)
		skip();
	set_link(l, "reborn", 1000);
	path_of("reborn", path);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(unlink(path), 0);
		assert_int_equal(uid_of_link(l, "reborn"), getuid());
	}
	idowner_close(l);
}

static void test_torn_end(void **state)
{
	struct idowner_list *l;

	for (size_t torn = 1; torn < sizeof(struct record); torn++) {
		l = idowner_open(open_log(O_TRUNC));
		set_link(l, "a", 1000);
		set_link(l, "a", 2000);
		idowner_close(l);
		assert_int_equal(log_size(), 2 * sizeof(struct record));
		int fd = open_log(0);
		assert_int_equal(ftruncate(fd, sizeof(struct record) + torn), 0);
		l = idowner_open(fd);
		assert_int_equal(uid_of_link(l, "a"), 1000);
		set_link(l, "b", 3000);
		idowner_close(l);
		assert_int_equal(uid_after_restart("a"), 1000);
		assert_int_equal(uid_after_restart("b"), 3000);
	}
}

/* What is no record ends the log: nothing behind it is taken for one. */
static void test_damage(void **state)
{
	struct idowner_list *l = idowner_open(open_log(O_TRUNC));
	uint32_t zero = 0;
	int fd;

	set_link(l, "a", 1000);
	set_link(l, "a", 2000);
	set_link(l, "a", 3000);
	idowner_close(l);
	fd = open_log(0);
	assert_int_equal(pwrite(fd, &zero, sizeof(zero), sizeof(struct record)), sizeof(zero));
	close(fd);
	assert_int_equal(uid_after_restart("a"), 1000);
	assert_int_equal(log_size(), sizeof(struct record));
}

/* A record of which the disk took a part was none, and spoils none that follow. */
static void test_full_disk(void **state)
{
	struct rlimit old, part;
	struct idowner_list *l = idowner_open(open_log(O_TRUNC));
	const struct idowner o = { 2000, 2001, 0 };
	struct stat st;
	int fd;

	set_link(l, "a", 1000);
	fd = open_link("a", &st);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	part = (struct rlimit){ sizeof(struct record) * 3 / 2, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &part), 0);
	assert_true(idowner_set(l, fd, &st, &o) < 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	close(fd);
	set_link(l, "b", 3000);
	set_link(l, "a", 4000);
	idowner_close(l);
	assert_int_equal(uid_after_restart("b"), 3000);
	assert_int_equal(uid_after_restart("a"), 4000);
}

static void name_of(int i, char ret[16])
{
	snprintf(ret, 16, "link%d", i);
}

/* Of FILES links, nearly all of their records outdated. */
static void make_outdated_log(void)
{
	struct idowner_list *l = idowner_open(open_log(O_TRUNC));
	char name[16];

	for (int i = 0; i < OUTDATED; i++) {
		name_of(i % FILES, name);
		set_link(l, name, 1000 + i);
	}
	idowner_close(l);
	assert_int_equal(log_size(), OUTDATED * sizeof(struct record));
}

static void assert_last_owners(void)
{
	char name[16];

	for (int i = 0; i < FILES; i++) {
		int last = OUTDATED - 1 - (OUTDATED - 1 - i) % FILES;

		name_of(i, name);
		assert_int_equal(uid_after_restart(name), 1000 + last);
	}
}

static void test_outdated_log_is_written_anew(void **state)
{
	make_outdated_log();
	idowner_close(idowner_open(open_log(0)));
	assert_int_equal(log_size(), FILES * sizeof(struct record));
	assert_last_owners();
}

/* It was once written over itself from its beginning: killed there, it had lost owners. */
static void test_killed_while_written_anew(void **state)
{
	for (int n = 0; n <= 2 * FILES; n++) {
		pid_t pid;
		int status;

		make_outdated_log();
		pid = fork();
		if (pid == 0) {
			writes_left = n;
			idowner_open(open_log(0));
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status == 0, n < 2 * FILES);
		assert_last_owners();
	}
}

/* What idowner_set() has returned from is there, whenever the writer is killed. */
static void test_kill_loses_nothing(void **state)
{
	_Atomic uint32_t *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(done != MAP_FAILED);
	for (unsigned round = 0; round < 20; round++) {
		pid_t pid;

		*done = 0;
		pid = fork();
		if (pid == 0) {
			struct idowner_list *l = idowner_open(open_log(O_TRUNC));

			for (uint32_t uid = 1000;; uid++) {
				set_link(l, "a", uid);
				*done = uid;
			}
		}
		while (*done < 1000 + 50 * round)
			usleep(100);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		uint32_t got = uid_after_restart("a");
		assert_true(got == *done || got == *done + 1);
	}
	munmap((void *)done, 4096);
}

static int make_dir(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "log", "file", "a", "b", "reborn" };
	char path[64], name[16];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		path_of(names[i], path);
		unlink(path);
	}
	for (int i = 0; i < FILES; i++) {
		name_of(i, name);
		path_of(name, path);
		unlink(path);
	}
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside_a_file),
		cmocka_unit_test(test_log_is_read_again),
		cmocka_unit_test(test_a_new_file_has_no_owner),
		cmocka_unit_test(test_torn_end),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_outdated_log_is_written_anew),
		cmocka_unit_test(test_killed_while_written_anew),
		cmocka_unit_test(test_kill_loses_nothing),
	};

	return cmocka_run_group_tests_name("idowner", tests, make_dir, remove_dir);
}
