/* SPDX-License-Identifier: Apache-2.0 */
/* privileged.c - what only a host's root does, each with arguments that would work there */
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/swap.h>

#include "../guest/t.h"
#include "raw.h"

int main(void)
{
	struct perf_event_attr perf = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(perf),
					.config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1 };
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4,
			       .max_entries = 1 };
	char ldt[16] = "";

	check("keyctl join", refused(raw64(SYS_keyctl, 1, 0, 0, 0, 0, 0)));
	check("keyctl get", refused(raw64(SYS_keyctl, 0, -3, 1, 0, 0, 0)));
	check("add_key", refused(raw64(SYS_add_key, (long)"user", (long)"k", (long)"v", 1, -3, 0)));
	check("request_key", refused(raw64(SYS_request_key, (long)"user", (long)"k", 0, -3, 0, 0)));
	check("bpf map", refused(raw64(SYS_bpf, BPF_MAP_CREATE, (long)&map, sizeof(map), 0, 0, 0)));
	check("perf", refused(raw64(SYS_perf_event_open, (long)&perf, 0, -1, -1, 0, 0)));
	check("userfaultfd", refused(raw64(SYS_userfaultfd, O_CLOEXEC | 1, 0, 0, 0, 0, 0)));
	check("userfaultfd by device", open("/dev/userfaultfd", O_RDWR) == -1);
	check("kexec_load", refused(raw64(SYS_kexec_load, 0, 0, 0, 0, 0, 0)));
	check("kexec_file_load", refused(raw64(SYS_kexec_file_load, 0, 0, 0, (long)"", 0, 0)));
	check("init_module", refused(raw64(SYS_init_module, (long)"", 0, (long)"", 0, 0, 0)));
	check("finit_module", refused(raw64(SYS_finit_module, 0, (long)"", 0, 0, 0, 0)));
	check("delete_module", refused(raw64(SYS_delete_module, (long)"x", 0, 0, 0, 0, 0)));
	check("iopl", refused(raw64(SYS_iopl, 3, 0, 0, 0, 0, 0)));
	check("ioperm", refused(raw64(SYS_ioperm, 0x80, 1, 1, 0, 0, 0)));
	check("swapon", refused(raw64(SYS_swapon, (long)"/dev/vda", 0, 0, 0, 0, 0)));
	check("acct", refused(raw64(SYS_acct, 0, 0, 0, 0, 0, 0)));
	check("quotactl", raw64(SYS_quotactl, 0x800000 << 8, (long)"/dev/vda", 0, 0, 0, 0) < 0);
	check("lookup_dcookie", refused(raw64(SYS_lookup_dcookie, 0, (long)ldt, 16, 0, 0, 0)));
	check("clock_settime", refused(raw64(SYS_clock_settime, 0, (long)&(struct timespec){ 0, 0 }, 0,
					     0, 0, 0)));
	check("settimeofday of a zone",
	      refused(raw64(SYS_settimeofday, 0, (long)&(int[2]){ 0, 0 }, 0, 0, 0, 0)));
	check("vhangup", raw64(SYS_vhangup, 0, 0, 0, 0, 0, 0) <= 0);
	check("mount of a disk", mount("/dev/vda", "/mnt", "ext4", 0, NULL) == -1);
	check("mount of debugfs", mount("none", "/mnt", "debugfs", 0, NULL) == -1);
	check("mount of securityfs", mount("none", "/mnt", "securityfs", 0, NULL) == -1);
	check("mount of bpf", mount("none", "/mnt", "bpf", 0, NULL) == -1);
	check("mount of tracefs", mount("none", "/mnt", "tracefs", 0, NULL) == -1);
	check("mount of configfs", mount("none", "/mnt", "configfs", 0, NULL) == -1);
	check("a trapped call still works", answers());
	return t_failed;
}
