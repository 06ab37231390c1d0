/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.c - every place that tells a program of its machine, one line for each
 *
 * "KIND PLACE VALUE": cpus, memory (KiB), release, uptime (s), boot (s since
 * 1970), load (the three of them), cpu (where the program runs) and others. The
 * suite compares the values of one kind.
 */
#include <dirent.h>
#include <sched.h>
#include <sys/utsname.h>

#include "../guest/t.h"

#define TEXT (256 * 1024)

static char text[TEXT];

static const char *file(const char *path)
{
	if (read_file(path, text, sizeof(text)) < 0)
		snprintf(text, sizeof(text), "%s", t_errno(errno));
	return text;
}

static int lines_with(const char *path, const char *begin)
{
	int n = 0;

	for (const char *p = file(path); p; p = strchr(p, '\n')) {
		p += *p == '\n';
		n += strncmp(p, begin, strlen(begin)) == 0;
	}
	return n;
}

/* "0-3,5": how many. */
static int list_count(const char *list)
{
	int n = 0, a, b, used;

	while (sscanf(list, "%d%n", &a, &used) == 1) {
		list += used;
		b = a;
		if (*list == '-' && sscanf(list, "-%d%n", &b, &used) == 1)
			list += used;
		n += b - a + 1;
		list += *list == ',';
	}
	return n;
}

static int mask_count(const char *mask)
{
	int n = 0;

	for (; *mask; mask++) {
		int digit = *mask >= 'a' ? *mask - 'a' + 10 : *mask - '0';

		if (*mask != ',' && *mask != '\n')
			n += __builtin_popcount(digit);
	}
	return n;
}

/* "CPU0 CPU1 ...": of the first line. */
static int heads(const char *line)
{
	int n = 0;

	for (; *line && *line != '\n'; line++)
		n += strncmp(line, "CPU", 3) == 0;
	return n;
}

static int cpu_dirs(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0, cpu;

	while (d && (e = readdir(d)))
		n += sscanf(e->d_name, "cpu%d", &cpu) == 1;
	if (d)
		closedir(d);
	return n;
}

static int affinity(pid_t pid)
{
	cpu_set_t set[16];

	return sched_getaffinity(pid, sizeof(set), set) < 0 ? -1 : CPU_COUNT_S(sizeof(set), set);
}

static void cpus(void)
{
	struct {
		const char *place;
		int n;
	} all[] = {
		{ "sched_getaffinity(0)", affinity(0) },
		{ "sched_getaffinity(1)", affinity(1) },
		{ "sched_getaffinity(getpid())", affinity(getpid()) },
		{ "_SC_NPROCESSORS_ONLN", sysconf(_SC_NPROCESSORS_ONLN) },
		{ "_SC_NPROCESSORS_CONF", sysconf(_SC_NPROCESSORS_CONF) },
		{ "/proc/cpuinfo", lines_with("/proc/cpuinfo", "processor\t:") },
		{ "/proc/stat", lines_with("/proc/stat", "cpu") - 1 },
		{ "/proc/interrupts", heads(file("/proc/interrupts")) },
		{ "/proc/softirqs", heads(file("/proc/softirqs")) },
		{ "/sys cpu/online", list_count(file("/sys/devices/system/cpu/online")) },
		{ "/sys cpu/possible", list_count(file("/sys/devices/system/cpu/possible")) },
		{ "/sys cpu/present", list_count(file("/sys/devices/system/cpu/present")) },
		{ "/sys cpu/cpuN", cpu_dirs("/sys/devices/system/cpu") },
		{ "/sys cpu0 package_cpus_list",
		  list_count(file("/sys/devices/system/cpu/cpu0/topology/package_cpus_list")) },
		{ "/sys cpu0 package_cpus",
		  mask_count(file("/sys/devices/system/cpu/cpu0/topology/package_cpus")) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		printf("cpus %s\t%d\n", all[i].place, all[i].n);
	/* A kernel without NUMA has none of these. */
	if (access("/sys/devices/system/node/node0", F_OK) == 0) {
		printf("cpus /sys node0/cpulist\t%d\n",
		       list_count(file("/sys/devices/system/node/node0/cpulist")));
		printf("cpus /sys node0/cpumap\t%d\n",
		       mask_count(file("/sys/devices/system/node/node0/cpumap")));
	}
	if (access("/proc/schedstat", F_OK) == 0)
		printf("cpus /proc/schedstat\t%d\n", lines_with("/proc/schedstat", "cpu"));
}

static void current_cpu(void)
{
	unsigned cpu = -1u, node = -1u;

	if (syscall(SYS_getcpu, &cpu, &node, NULL) == 0)
		printf("cpu getcpu\t%u\nnode getcpu\t%u\n", cpu, node);
}

static unsigned long long field(const char *path, const char *name)
{
	const char *p = strstr(file(path), name);

	return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

static void memory(bool node)
{
	struct sysinfo si;

	sysinfo(&si);
	printf("memory sysinfo\t%llu\n", (unsigned long long)si.totalram * si.mem_unit / 1024);
	printf("memory _SC_PHYS_PAGES\t%llu\n",
	       (unsigned long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 1024);
	printf("memory /proc/meminfo\t%llu\n", field("/proc/meminfo", "MemTotal:"));
	if (node && access("/sys/devices/system/node/node0", F_OK) == 0)
		printf("memory /sys node0/meminfo\t%llu\n",
		       field("/sys/devices/system/node/node0/meminfo", "MemTotal:"));
	printf("free sysinfo\t%llu\n", (unsigned long long)si.freeram * si.mem_unit / 1024);
	printf("free /proc/meminfo\t%llu\n", field("/proc/meminfo", "MemFree:"));
	printf("free /proc/vmstat\t%llu\n", field("/proc/vmstat", "nr_free_pages") * 4);
	printf("free _SC_AVPHYS_PAGES\t%llu\n",
	       (unsigned long long)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE) / 1024);
	printf("swap sysinfo\t%llu\n", (unsigned long long)si.totalswap * si.mem_unit / 1024);
	printf("swap /proc/meminfo\t%llu\n", field("/proc/meminfo", "SwapTotal:"));
}

static void release(void)
{
	struct utsname u;
	char word[128] = "";

	uname(&u);
	printf("release uname\t%s\n", u.release);
	printf("release /proc/sys/kernel/osrelease\t%.*s\n",
	       (int)strcspn(file("/proc/sys/kernel/osrelease"), "\n"), text);
	if (sscanf(file("/proc/version"), "Linux version %127s", word) == 1)
		printf("release /proc/version\t%s\n", word);
	printf("version uname\t%s\n", u.version);
	printf("version /proc/sys/kernel/version\t%.*s\n",
	       (int)strcspn(file("/proc/sys/kernel/version"), "\n"), text);
	printf("name uname\t%s\n", u.nodename);
	printf("name /proc/sys/kernel/hostname\t%.*s\n",
	       (int)strcspn(file("/proc/sys/kernel/hostname"), "\n"), text);
}

static double clock_s(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Field 22 of stat, proc_pid_stat(5), in ticks: of this process, that has just begun. */
static double start_time(void)
{
	char *p = strrchr((char *)file("/proc/self/stat"), ')');

	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtod(p, NULL) / sysconf(_SC_CLK_TCK) : -1;
}

static void times(void)
{
	struct sysinfo si;

	sysinfo(&si);
	printf("uptime CLOCK_BOOTTIME\t%.2f\n", clock_s(CLOCK_BOOTTIME));
	printf("uptime /proc/uptime\t%.2f\n", strtod(file("/proc/uptime"), NULL));
	printf("uptime sysinfo\t%ld\n", (long)si.uptime);
	printf("uptime start of this process\t%.2f\n", start_time());
	printf("boot /proc/stat\t%llu\n", field("/proc/stat", "btime"));
	printf("boot clocks\t%.2f\n", clock_s(CLOCK_REALTIME) - clock_s(CLOCK_BOOTTIME));
}

static void load(void)
{
	struct sysinfo si;
	double a[3] = {}, avg[3] = {};
	unsigned procs = 0;

	sysinfo(&si);
	getloadavg(avg, 3);
	sscanf(file("/proc/loadavg"), "%lf %lf %lf", &a[0], &a[1], &a[2]);
	printf("load sysinfo\t%.2f %.2f %.2f\n", si.loads[0] / 65536.0, si.loads[1] / 65536.0,
	       si.loads[2] / 65536.0);
	printf("load /proc/loadavg\t%.2f %.2f %.2f\n", a[0], a[1], a[2]);
	printf("load getloadavg\t%.2f %.2f %.2f\n", avg[0], avg[1], avg[2]);
	printf("procs sysinfo\t%u\n", si.procs);
	sscanf(file("/proc/loadavg"), "%*s %*s %*s %*[0-9]/%u", &procs);
	printf("procs /proc/loadavg\t%u\n", procs);
}

int main(int argc, char **argv)
{
	cpus();
	current_cpu();
	memory(argc > 1);
	release();
	times();
	load();
	return 0;
}
