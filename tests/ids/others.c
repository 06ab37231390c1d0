/* SPDX-License-Identifier: Apache-2.0 */
/*
 * others.c - one user and another: signals, sockets, set-id programs
 *
 * Run by root in an empty directory; natively and in a guest the lines are the same.
 */
#include <grp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../guest/t.h"

static void become(uid_t uid, gid_t gid)
{
	gid_t groups[] = { gid, 2000 };

	if (setgroups(2, groups) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		dprintf(1, "FAILED to become %u\n", uid);
		_exit(1);
	}
}

/* A process of a user that waits for its end; it is ready when this returns. */
static pid_t sleeper(uid_t uid)
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe(p) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		become(uid, uid);
		close(p[0]);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		close(p[1]);
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		dprintf(1, "FAILED to start a sleeper\n");
	close(p[0]);
	return pid;
}

static const char *end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) == 0)
		return "lives";
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended";
}

/* The end of a killed process, which comes when it comes. */
static const char *await_end(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "ended";
}

static void signals(void)
{
	static const uid_t users[] = { 0, 1000, 1001 };
	char what[128];

	for (size_t from = 0; from < ARRAY_SIZE(users); from++)
		for (size_t to = 0; to < ARRAY_SIZE(users); to++) {
			pid_t target = sleeper(users[to]), pid = fork();

			if (pid == 0) {
				siginfo_t si = { .si_code = SI_QUEUE };
				int pidfd = syscall(SYS_pidfd_open, target, 0);

				become(users[from], users[from]);
				snprintf(what, sizeof(what), "%u to %u:", users[from], users[to]);
#undef TRY
#define TRY(name, call) dprintf(1, "%s %s %s\n", what, name, (call) < 0 ? t_errno(errno) : "ok")
				TRY("kill 0", kill(target, 0));
				TRY("tgkill 0", syscall(SYS_tgkill, target, target, 0));
				TRY("tkill 0", syscall(SYS_tkill, target, 0));
				si.si_signo = SIGCONT;
				TRY("sigqueue CONT", syscall(SYS_rt_sigqueueinfo, target, SIGCONT, &si));
				TRY("CONT", kill(target, SIGCONT));
				TRY("pidfd 0", syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
				TRY("TERM", kill(target, SIGTERM));
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			if (from == 0 || from == to)
				dprintf(1, "the target: %s\n", await_end(target));
			else
				dprintf(1, "the target: %s\n", end_of(target));
			kill(target, SIGKILL);
			waitpid(target, NULL, 0);
		}
}

static void many_signals(void)
{
	pid_t mine = sleeper(1000), other = sleeper(1001), pid;

	setpgid(mine, mine);
	setpgid(other, mine);
	pid = fork();
	if (pid == 0) {
		become(1000, 1000);
		say("kill the group", kill(-mine, SIGTERM));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	dprintf(1, "in a group: mine %s, other's %s\n", await_end(mine), end_of(other));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

/* Low ports are for who has CAP_NET_BIND_SERVICE. */
static void ports(void)
{
	static const struct {
		int family, type;
		uint16_t port;
	} rows[] = {
		{ AF_INET, SOCK_STREAM, 7 }, { AF_INET, SOCK_DGRAM, 1023 }, { AF_INET, SOCK_STREAM, 0 },
		{ AF_INET6, SOCK_STREAM, 7 }, { AF_INET6, SOCK_DGRAM, 0 },
	};
	static const uid_t users[] = { 0, 1000 };

	for (size_t u = 0; u < ARRAY_SIZE(users); u++)
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(rows[i].port),
						  .sin_addr.s_addr = htonl(0x7f4d0001) };
			struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port,
						    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
			bool six = rows[i].family == AF_INET6;
			int s = socket(rows[i].family, rows[i].type, 0), ret;
			pid_t pid = fork();

			if (pid == 0) {
				become(users[u], users[u]);
				ret = six ? bind(s, (struct sockaddr *)&in6, sizeof(in6)) :
					    bind(s, (struct sockaddr *)&in, sizeof(in));
				dprintf(1, "%u, family %d, port %u: %s\n", users[u], rows[i].family,
					rows[i].port, ret < 0 ? t_errno(errno) : "ok");
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			close(s);
		}
}

/* What user 1000 gets to see of a link and a file in a directory, several times over. */
static void look_inside(const char *when, const char *dir)
{
	char link_path[300], file_path[300], buf[64];
	struct stat st;
	pid_t pid;

	snprintf(link_path, sizeof(link_path), "%s/d/e/l", dir);
	snprintf(file_path, sizeof(file_path), "%s/d/e/f", dir);
	pid = fork();
	if (pid == 0) {
		become(1000, 1000);
		for (int i = 0; i < 3; i++) {
			int fd;

			say(when, readlink(link_path, buf, sizeof(buf)));
			say(when, stat(file_path, &st));
			fd = open(file_path, O_RDONLY);
			say(when, fd);
			say(when, access(file_path, R_OK));
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void make_inside(mode_t mode)
{
	mkdir("d/e", 0755);
	if (symlink("x", "d/e/l") < 0)
		say("symlink", -1);
	close(open("d/e/f", O_CREAT | O_WRONLY, 0644));
	chmod("d/e", mode);
}

/* A directory that a user has reached is closed to it, opened, and becomes another. */
static void reach(void)
{
	char dir[200];

	if (!getcwd(dir, sizeof(dir)) || mkdir("d", 0755) < 0)
		say("begin", -1);
	make_inside(0755);
	look_inside("open to all", dir);
	chmod("d", 0700);
	look_inside("closed above", dir);
	chmod("d", 0755);
	look_inside("opened above", dir);
	chmod("d/e", 0700);
	look_inside("closed", dir);
	if (chown("d/e", 1000, 0) < 0)
		say("chown", -1);
	look_inside("given away", dir);
	if (chown("d/e", 1001, 0) < 0)
		say("chown", -1);
	look_inside("given to another", dir);
	chmod("d/e", 0755);
	look_inside("opened", dir);
	rename("d/e", "d/before");
	look_inside("gone", dir);
	make_inside(0700);
	look_inside("another, closed", dir);
	chmod("d/e", 0755);
	look_inside("another, opened", dir);
	rename("d/e", "d/closed");
	chmod("d/closed", 0700);
	if (symlink("closed", "d/e") < 0)
		say("symlink", -1);
	look_inside("a link to a closed one", dir);
	unlink("d/e");
	rename("d/closed", "d/e");
	look_inside("the closed one itself", dir);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return a;
}

static void one_client(int listener, uid_t uid, const char *when)
{
	struct sockaddr_un a = address("s");
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int p[2], fd;
	char c;
	pid_t pid;

	if (pipe(p) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);

		become(uid, uid + 1);
		if (connect(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
			dprintf(1, "%s: connect by %u: %s\n", when, uid, t_errno(errno));
			_exit(1);
		}
		dprintf(1, "%s: connect by %u: %s\n", when, uid, "ok");
		close(p[1]);
		if (read(p[0], &c, 1) < 0)
			_exit(1);
		len = sizeof(peer);
		if (getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
			dprintf(1, "the server is %u:%u, %s\n", peer.uid, peer.gid,
				peer.pid == getppid() ? "my parent" : "another");
		_exit(0);
	}
	close(p[0]);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (;;) {
		siginfo_t si = {};

		fd = accept(listener, NULL, NULL);
		if (fd >= 0 || (waitid(P_PID, pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid))
			break;
		usleep(1000);
	}
	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		dprintf(1, "the client is %u:%u, %s\n", peer.uid, peer.gid,
			peer.pid == pid ? "my child" : "another");
	close(p[1]);
	waitpid(pid, NULL, 0);
	close(fd);
}

static void sockets(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		struct sockaddr_un a = address("s");
		struct stat st;

		say("mkdir", mkdir("pub", 0777));
		say("chmod", chmod("pub", 0777));
		say("chdir", chdir("pub"));
		if (fork() == 0) {	/* root stays our parent: clients need it to become others */
			become(1000, 1000);
			say("bind", bind(s, (struct sockaddr *)&a, sizeof(a)));
			if (stat("s", &st) == 0)
				dprintf(1, "the socket is %u:%u %06o\n", st.st_uid, st.st_gid, st.st_mode);
			say("bind again", bind(s, (struct sockaddr *)&a, sizeof(a)));
			_exit(0);
		}
		wait(NULL);
		say("listen", listen(s, 5));
		one_client(s, 1000, "0755");
		one_client(s, 1001, "0755");
		say("chmod", chmod("s", 0777));
		one_client(s, 1001, "0777");
		say("unlink", unlink("s"));
		chdir("..");
		rmdir("pub");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* What we are, after an exec. */
static void tell(const char *what)
{
	uid_t r, e, s;
	gid_t g[3];

	getresuid(&r, &e, &s);
	getresgid(&g[0], &g[1], &g[2]);
	dprintf(1, "%s: %u %u %u, group %u %u %u\n", what, r, e, s, g[0], g[1], g[2]);
}

static void program(const char *name, const char *self, uid_t uid, gid_t gid, mode_t mode)
{
	char buf[65536];
	int from = open(self, O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			dprintf(1, "FAILED to copy\n");
	close(from);
	close(to);
	say("chown", chown(name, uid, gid));
	say("chmod", chmod(name, mode));
}

static void run(const char *what, const char *name, bool no_new_privs)
{
	pid_t pid = fork();

	if (pid == 0) {
		become(1000, 1000);
		if (no_new_privs)
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		execl(name, name, "tell", what, NULL);
		dprintf(1, "%s: exec: %s\n", what, t_errno(errno));
		tell(what);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void set_ids(const char *self)
{
	int fd;

	program("p", self, 1001, 2001, 06755);
	run("set-uid and set-gid", "./p", false);
	run("with no_new_privs", "./p", true);
	say("chmod", chmod("p", 04755));
	run("set-uid", "./p", false);
	say("chmod", chmod("p", 02755));
	run("set-gid", "./p", false);
	say("chmod", chmod("p", 02745));
	run("set-gid, not for the group", "./p", false);
	say("chmod", chmod("p", 04700));
	run("set-uid, not for us", "./p", false);
	say("chmod", chmod("p", 06755));
	say("chown", chown("p", 1001, 2001));
	run("given away", "./p", false);
	program("r", self, 0, 0, 04755);
	run("set-uid root", "./r", false);
	fd = open("e", O_WRONLY | O_CREAT, 0755);
	close(fd);
	say("chmod", chmod("e", 04755));
	run("set-uid, no program", "./e", false);
	fd = open("b", O_WRONLY | O_CREAT, 0755);
	if (write(fd, "\177ELF garbage", 12) != 12)
		dprintf(1, "FAILED to write\n");
	close(fd);
	say("chmod", chmod("b", 04755));
	run("set-uid, a broken program", "./b", false);
	unlink("p");
	unlink("r");
	unlink("e");
	unlink("b");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "tell") == 0) {
		tell(argv[2]);
		return 0;
	}
	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	umask(022);
	chmod(".", 0777);
	signals();
	many_signals();
	ports();
	reach();
	sockets();
	set_ids(argv[0]);
	return 0;
}
