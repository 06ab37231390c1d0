/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matrix.c - who may do what to which file: every answer, one line each
 *
 * Run by root in an empty directory. Makes files and directories of each owner,
 * group and mode of the tables, becomes each subject, and tries each operation. The
 * same program on a system with many ids is what the answers are compared with.
 */
#include <grp.h>
#include <sys/time.h>
#include <utime.h>

#include "../guest/t.h"

static const struct subject {
	uid_t uid;
	gid_t gid;
	gid_t groups[2];
	int ngroups;
} subjects[] = {
	{ 0, 0, { 0 }, 0 },
	{ 1000, 1000, { 0 }, 0 },
	{ 1000, 1000, { 2000, 1000 }, 2 },
	{ 1001, 1000, { 0 }, 0 },
	{ 1002, 1002, { 2000 }, 1 },
	{ 1002, 1002, { 0 }, 1 },
};

static const struct {
	uid_t uid;
	gid_t gid;
} owners[] = { { 0, 0 }, { 0, 2000 }, { 1000, 1000 }, { 1000, 2000 }, { 1001, 2000 }, { 1002, 0 } };

static const mode_t file_modes[] = { 0,	   0400, 0200, 0100, 0040, 0020, 0010, 0004, 0002, 0001,
				     0644, 0750, 0666, 0777, 0604, 0060, 04755, 02755, 06711 };
static const mode_t dir_modes[] = { 0,	  0700, 0755, 0711, 0300, 0070, 0030, 0007, 0003,
				    0777, 01777, 01770, 02775, 02777, 0555 };

static char who[64], what[128];

static void result(const char *operation, long ret)
{
	printf("%s %s %s: %s\n", who, what, operation, ret < 0 ? t_errno(errno) : "ok");
}

static void opened(const char *operation, int flags)
{
	int fd = open("f", flags);

	result(operation, fd);
	if (fd >= 0)
		close(fd);
}

/* Owner and mode of what was made, and away with it. */
static void made(const char *operation, const char *name, long ret)
{
	struct stat st;

	result(operation, ret);
	if (ret < 0)
		return;
	if (lstat(name, &st) < 0)
		printf("%s %s %s: cannot be asked about: %s\n", who, what, operation, t_errno(errno));
	else
		printf("%s %s %s: %u:%u %06o\n", who, what, operation, st.st_uid, st.st_gid,
		       st.st_mode);
	result("remove it", S_ISDIR(st.st_mode) ? rmdir(name) : unlink(name));
}

static void on_file(void)
{
	struct timeval tv[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;
	int fd;

	opened("open to read", O_RDONLY);
	opened("open to write", O_WRONLY);
	opened("open for both", O_RDWR);
	opened("open to create", O_WRONLY | O_CREAT);
	opened("create alone", O_WRONLY | O_CREAT | O_EXCL);
	opened("open the path", O_PATH);
	result("access R", access("f", R_OK));
	result("access W", access("f", W_OK));
	result("access X", access("f", X_OK));
	result("access F", access("f", F_OK));
	result("eaccess RW", faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
	result("truncate", truncate("f", 0));
	result("touch", utimes("f", NULL));
	result("set times", utimes("f", tv));
	if (stat("f", &st) == 0)
		printf("%s %s is %u:%u %06o\n", who, what, st.st_uid, st.st_gid, st.st_mode);
	fd = open("f", O_PATH);
	result("reopen", open("f", O_RDONLY | O_NOFOLLOW));
	close(fd);
}

static void on_dir(void)
{
	struct stat st;
	int fd;

	result("list", open("d", O_RDONLY | O_DIRECTORY));
	result("stat inside", stat("d/in", &st));
	result("read inside", open("d/in", O_RDONLY));
	result("stat what is not there", stat("d/none", &st));
	fd = open("d/new", O_WRONLY | O_CREAT | O_EXCL, 0666);
	made("create", "d/new", fd);
	if (fd >= 0)
		close(fd);
	made("mkdir", "d/new", mkdir("d/new", 0777));
	made("symlink", "d/new", symlink("nowhere", "d/new"));
	made("mkfifo", "d/new", mkfifo("d/new", 0640));
	if (rename("d/in", "d/out") == 0) {
		result("rename", 0);
		result("rename back", rename("d/out", "d/in"));
	} else {
		result("rename", -1);
	}
	result("chdir", chdir("d"));
	if (stat("in", &st) == 0)
		result("back", chdir(".."));
	else
		result("back by ..", chdir(".."));
}

/* What changes an owner or a mode, with what came of it; by root it is put back. */
static void on_owner(void)
{
	static const struct {
		uid_t uid;
		gid_t gid;
	} give[] = { { -1, 1000 }, { -1, 2000 }, { 1000, -1 }, { 1002, 1002 }, { -1, -1 } };
	static const mode_t set[] = { 0600, 02755, 04755 };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
		result("chmod", chmod("f", set[i]));
		if (stat("f", &st) == 0)
			printf("%s %s is %u:%u %06o\n", who, what, st.st_uid, st.st_gid, st.st_mode);
	}
	for (size_t i = 0; i < ARRAY_SIZE(give); i++) {
		result("chown", chown("f", give[i].uid, give[i].gid));
		if (stat("f", &st) == 0)
			printf("%s %s is %u:%u %06o\n", who, what, st.st_uid, st.st_gid, st.st_mode);
	}
}

static void as(const struct subject *s, void (*try)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgroups(s->ngroups, s->groups) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
		    setresuid(s->uid, s->uid, s->uid) < 0) {
			printf("FAILED to become %u:%u: %s\n", s->uid, s->gid, t_errno(errno));
			exit(1);
		}
		snprintf(who, sizeof(who), "%u:%u+%d(%u)", s->uid, s->gid, s->ngroups, s->groups[0]);
		try();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void must(long ret, const char *text)
{
	if (ret < 0) {
		printf("FAILED %s: %s\n", text, t_errno(errno));
		exit(1);
	}
}

static void new_file(size_t o, mode_t mode)
{
	unlink("f");
	must(close(open("f", O_WRONLY | O_CREAT | O_EXCL, 0600)), "create f");
	must(chown("f", owners[o].uid, owners[o].gid), "chown f");
	must(chmod("f", mode), "chmod f");
	snprintf(what, sizeof(what), "file %u:%u %05o", owners[o].uid, owners[o].gid, mode);
}

static void files(void (*try)(void), bool fresh)
{
	for (size_t o = 0; o < ARRAY_SIZE(owners); o++)
		for (size_t m = 0; m < ARRAY_SIZE(file_modes); m++) {
			new_file(o, file_modes[m]);
			for (size_t s = 0; s < ARRAY_SIZE(subjects); s++) {
				if (fresh)
					new_file(o, file_modes[m]);
				as(&subjects[s], try);
			}
		}
	unlink("f");
}

static void dirs(void)
{
	for (size_t o = 0; o < ARRAY_SIZE(owners); o++)
		for (size_t m = 0; m < ARRAY_SIZE(dir_modes); m++) {
			must(mkdir("d", 0700), "mkdir d");
			must(close(open("d/in", O_WRONLY | O_CREAT, 0644)), "create d/in");
			must(chown("d/in", 1001, 1000), "chown d/in");
			must(chown("d", owners[o].uid, owners[o].gid), "chown d");
			must(chmod("d", dir_modes[m]), "chmod d");
			snprintf(what, sizeof(what), "dir %u:%u %05o", owners[o].uid, owners[o].gid,
				 dir_modes[m]);
			for (size_t s = 0; s < ARRAY_SIZE(subjects); s++)
				as(&subjects[s], on_dir);
			must(unlink("d/in"), "unlink d/in");
			must(rmdir("d"), "rmdir d");
		}
}

int main(int argc, char **argv)
{
	setlinebuf(stderr);
	if (argc != 3 || chdir(argv[2]) < 0) {
		fprintf(stderr, "usage: matrix files|dirs|owners DIRECTORY\n");
		return 2;
	}
	umask(022);
	must(chmod(".", 0777), "chmod .");
	if (strcmp(argv[1], "files") == 0)
		files(on_file, false);
	else if (strcmp(argv[1], "owners") == 0)
		files(on_owner, true);
	else
		dirs();
	return 0;
}
