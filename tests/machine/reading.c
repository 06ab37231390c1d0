/* SPDX-License-Identifier: Apache-2.0 */
/* reading.c - the guest's own files behave as those of /proc do */
#include <dirent.h>
#include <sys/mount.h>

#include "../guest/t.h"

static double uptime_at(int fd)
{
	char line[64] = "";

	if (pread(fd, line, sizeof(line) - 1, 0) <= 0)
		return -1;
	return strtod(line, NULL);
}

static void nap_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static void fresh(void)
{
	int fd = need("open uptime", open("/proc/uptime", O_RDONLY));
	double first = uptime_at(fd), second;
	char line[64] = "";

	nap_ms(250);
	second = uptime_at(fd);
	check("pread at 0 is of now", second - first > 0.1 && second - first < 30);
	nap_ms(250);
	need("lseek", lseek(fd, 0, SEEK_SET));
	check("read after lseek", read(fd, line, sizeof(line) - 1) > 0);
	check("read after lseek is of now", strtod(line, NULL) - second > 0.1);
	close(fd);
	first = -1;
	for (int i = 0; i < 50; i++) {
		struct timespec now;

		fd = open("/proc/uptime", O_RDONLY);
		second = uptime_at(fd);
		close(fd);
		clock_gettime(CLOCK_BOOTTIME, &now);
		if (second < first || now.tv_sec + now.tv_nsec / 1e9 - second > 2)
			failed("an opened file is of %f", second);
		first = second;
		nap_ms(7);
	}
}

/* In parts it is the text of the first read from the beginning. */
static void parts(const char *path)
{
	static char whole[1 << 16], part[1 << 16];
	int fd = need(path, open(path, O_RDONLY));
	ssize_t n = 0, len;

	for (ssize_t got; (got = read(fd, whole + n, 7)) > 0;)
		n += got;
	check("a text ends with its line", n == 0 || whole[n - 1] == '\n');
	check("behind the end is nothing", pread(fd, part, sizeof(part), n + 4096) == 0);
	len = pread(fd, part, sizeof(part), n / 2);
	check("the second half", len == n - n / 2 && memcmp(part, whole + n / 2, len) == 0);
	close(fd);
}

static ssize_t read_on(int fd, char *text, size_t size)
{
	ssize_t len = 0;

	for (ssize_t n; (n = read(fd, text + len, size - 1 - len)) > 0;)
		len += n;
	text[len] = '\0';
	return len;
}

static unsigned long long ticks(const char *text)
{
	unsigned long long busy = 0, idle = 0;

	sscanf(text, "cpu %llu %*u %*u %llu", &busy, &idle);
	return busy + idle;
}

/* The host may keep these texts for whoever reads them: never for the next, never
 * for long, and never so that a reader who takes its time gets two. */
static void kept(const char *path, const char *begins)
{
	static char text[2][1 << 16], line[64];
	int fd = need(path, open(path, O_RDONLY)), second;
	ssize_t len = read_on(fd, text[0], sizeof(text[0]));

	for (int i = 0; i < 3; i++) {
		nap_ms(40);
		check("the end stays the end", read(fd, line, sizeof(line)) == 0);
	}
	nap_ms(200);
	second = need("second open", open(path, O_RDONLY));
	check("the second reads a text", read_on(second, text[1], sizeof(text[1])) > 0);
	check("the second's is whole", strncmp(text[1], begins, strlen(begins)) == 0 &&
	      text[1][strlen(text[1]) - 1] == '\n');
	if (ticks(text[0]))
		check("the second's is of now", ticks(text[1]) > ticks(text[0]) + 10);
	need("lseek", lseek(fd, 0, SEEK_SET));
	check("the first's has its length", read_on(fd, text[1], sizeof(text[1])) == len);
	check("the first's is whole", strncmp(text[1], begins, strlen(begins)) == 0 &&
	      text[1][len - 1] == '\n');
	if (ticks(text[0]))
		check("the first's is of now", ticks(text[1]) > ticks(text[0]) + 10);
	close(fd);
	close(second);
}

/* Who opens a file that nobody has open gets a text of now, though the host has one of a moment ago. */
static void opened_after(void)
{
	unsigned long long before = 0, now;
	char text[8192];

	for (int i = 0; i < 20; i++) {
		text[0] = '\0';
		read_file("/proc/stat", text, sizeof(text));
		now = ticks(text);
		if (i && now < before + 4)
			failed("after 50 ms %llu ticks are %llu", before, now);
		before = now;
		nap_ms(50);
	}
	check("time has passed for whoever opens it", before > 0);
}

static void many(void)
{
	int bad = 0;

	for (int i = 0; i < 64; i++) {
		if (need("fork", fork()))
			continue;
		for (int n = 0; n < 30; n++) {
			char buf[8192];
			int fd = open(n % 2 ? "/proc/stat" : "/proc/loadavg", O_RDONLY);
			ssize_t got = read(fd, buf, sizeof(buf));

			if (got <= 0 || buf[got - 1] != '\n' || (n % 2 && memcmp(buf, "cpu ", 4) != 0))
				_exit(1);
			close(fd);
		}
		_exit(0);
	}
	for (int i = 0, status; i < 64; i++) {
		wait(&status);
		bad += status != 0;
	}
	check("64 readers at once", bad == 0);
}

static void pressure(const char *path)
{
	const char trigger[] = "some 500000 2000000";
	struct pollfd p = { .events = POLLPRI };
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		fact(path, "%s", errno == EOPNOTSUPP || errno == ENXIO ? "hidden" : t_errno(errno));
		return;
	}
	close(fd);
	p.fd = fd = open(path, O_RDWR);
	if (fd < 0) {
		fact(path, "no trigger: %s", t_errno(errno));
		return;
	}
	if (write(fd, trigger, sizeof(trigger)) < 0)
		fact(path, "no trigger: %s", t_errno(errno));
	else
		fact(path, "trigger, poll says %s", poll(&p, 1, 100) < 0 || p.revents & POLLERR ? "error" : "ok");
	close(fd);
}

static void cannot_be_changed(void)
{
	/* Root passes modes, not a read-only mount; natively it is EACCES or EIO. */
	check("no writing", open("/proc/uptime", O_WRONLY) == -1);
	check("no truncating", truncate("/proc/stat", 0) == -1);
	check("no removing", unlink("/proc/stat") == -1);
	check("no chmod", chmod("/proc/stat", 0777) == -1);
}

static bool is_ours(const char *path)
{
	char line[8192] = "";

	return read_file(path, line, sizeof(line)) > 0 && strncmp(line, "weir=", 5) == 0;
}

static void ways_past(void)
{
	enter_dir();
	mkdir("p", 0755);
	mkdir("q", 0755);
	say("umount cmdline", umount("/proc/cmdline"));
	say("umount cmdline, lazily", umount2("/proc/cmdline", MNT_DETACH));
	say("umount uptime by a link", symlink("/proc/uptime", "link") == 0 ? umount("link") : -1);
	say("move cmdline away", mount("/proc/cmdline", "link", NULL, MS_MOVE, NULL));
	say("remount it writable", mount(NULL, "/proc/cmdline", NULL, MS_REMOUNT | MS_BIND, NULL));
	check("cmdline is ours", is_ours("/proc/cmdline"));
	say("mount proc", mount("proc", "p", "proc", 0, NULL));
	check("cmdline of another proc", is_ours("p/cmdline"));
	say("umount of its cmdline", umount("p/cmdline"));
	say("umount proc", umount("p"));
	check("that proc is gone", access("p/cmdline", F_OK) == -1);
	say("bind proc", mount("/proc", "p", NULL, MS_BIND, NULL));
	check("cmdline of the bind", is_ours("p/cmdline"));
	say("bind of the bind", mount("p", "q", NULL, MS_BIND, NULL));
	check("cmdline of that", is_ours("q/cmdline"));
	say("umount the bind", umount("q"));
	say("umount the other", umount("p"));
	say("umount proc itself", umount("/proc"));
	check("proc is there", is_ours("/proc/cmdline"));
}

static void stat_busy(unsigned long long *busy, unsigned long long *idle)
{
	char line[8192] = "";

	read_file("/proc/stat", line, sizeof(line));
	if (sscanf(line, "cpu %llu %*u %*u %llu", busy, idle) != 2)
		failed("no first line in /proc/stat");
}

/* 300 ms of CPU time, however long they take. */
static void spin(void)
{
	unsigned long long busy[2], idle[2];
	struct timespec now;

	stat_busy(&busy[0], &idle[0]);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec == 0 && now.tv_nsec < 300000000);
	stat_busy(&busy[1], &idle[1]);
	printf("busy %llu idle %llu\n", busy[1] - busy[0], idle[1] - idle[0]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "spin") == 0) {
		/* The observer begins a moment after init does. */
		nap_ms(100);
		spin();
		return t_failed;
	}
	if (argc > 1 && strcmp(argv[1], "kept") == 0) {
		kept("/proc/stat", "cpu  ");
		kept("/proc/meminfo", "MemTotal: ");
		opened_after();
		return t_failed;
	}
	fresh();
	parts("/proc/stat");
	parts("/proc/filesystems");
	parts("/proc/softirqs");
	many();
	pressure("/proc/pressure/cpu");
	pressure("/proc/pressure/memory");
	pressure("/proc/pressure/io");
	cannot_be_changed();
	if (argc > 1)
		ways_past();
	return t_failed;
}
