/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - the calls of a file's life: create, link, rename, xattr, truncate, copy, remove */
#include <dirent.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <utime.h>

#include "t.h"

int main(void)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH };
	struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	struct stat st;
	struct statx sx;
	struct dirent *e;
	char buf[256] = "";
	int fd, out, n = 0;
	loff_t off = 0;
	DIR *d;

	umask(022);
	enter_dir();
	say("create", write_file("a", "some text"));
	say("link", link("a", "b"));
	check("two links", stat("a", &st) == 0 && st.st_nlink == 2);
	say("symlink", symlink("a", "s"));
	check("readlink", readlink("s", buf, sizeof(buf)) == 1 && buf[0] == 'a');
	say("lstat of a link to nothing", (symlink("nothing", "dangling"), lstat("dangling", &st)));
	say("stat of a link to nothing", stat("dangling", &st));
	say("rename", rename("b", "c"));
	say("rename without replacing",
	    syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "a", RENAME_NOREPLACE));
	say("exchange", syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "s", RENAME_EXCHANGE));
	say("mkdir", mkdir("d", 0750));
	say("rmdir of a full one", (write_file("d/x", ""), rmdir("d")));
	say("setxattr", setxattr("a", "user.test", "value", 5, 0));
	say_number("getxattr", getxattr("a", "user.test", buf, sizeof(buf)));
	say("a trusted xattr", setxattr("a", "trusted.test", "value", 5, 0));
	say("chmod", chmod("a", 0640));
	say("chown to self", chown("a", getuid(), getgid()));
	say("utimensat", utimensat(AT_FDCWD, "a", times, 0));
	check("times are kept", stat("a", &st) == 0 && st.st_atime == 1000 && st.st_mtime == 2000);
	say("statx", syscall(SYS_statx, AT_FDCWD, "a", 0, STATX_BASIC_STATS, &sx));
	fact("mode, size, links", "%o %ld %d", sx.stx_mode, (long)sx.stx_size, (int)sx.stx_nlink);
	say("truncate", truncate("a", 1 << 20));
	fd = open("a", O_RDWR);
	say("fallocate", fallocate(fd, 0, 0, 4096));
	say("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	out = open("copy", O_RDWR | O_CREAT, 0600);
	say_number("copy_file_range", copy_file_range(fd, &off, out, NULL, 1000, 0));
	off = 0;
	say_number("sendfile", sendfile(out, fd, &off, 1000));
	say("fsync", fsync(out));
	say("syncfs", syncfs(out));
	say("fadvise", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	say_number("seek to data", lseek(out, 0, SEEK_END));
	say("openat2 beneath", syscall(SYS_openat2, AT_FDCWD, "d/x", &how, sizeof(how)));
	say("openat2 upwards", syscall(SYS_openat2, AT_FDCWD, "../x", &how, sizeof(how)));
	say("open a directory to write", open("d", O_WRONLY));
	say("exclusive create of what is there", open("a", O_CREAT | O_EXCL, 0600));
	say("no-follow of a link", open("dangling", O_RDONLY | O_NOFOLLOW));
	say("access", faccessat(AT_FDCWD, "a", R_OK | W_OK, AT_EACCESS));
	say("unnamed file", open(".", O_TMPFILE | O_RDWR, 0600));
	d = opendir(".");
	while (d && (e = readdir(d)))
		n++;
	fact("entries", "%d", n);
	say("unlink", unlink("a"));
	check("an open file lives on", fstat(fd, &st) == 0 && st.st_size == 1 << 20);
	say("write through /proc/self/fd", open("/proc/self/fd/1", O_WRONLY));
	return t_failed;
}
