/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_confine.c - the guest kernel's filters, run by the interpreter
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kernel/util.h"
#include "passthrough/bpf.h"
#include "passthrough/confine.h"

#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

static uint32_t answer(enum confine_filter which, int nr, unsigned arg, uint64_t value)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };

	d.args[arg] = value;
	return bpf_run(confine_kernel[which].insn, &d).action;
}

static void all_are_programs(void **state)
{
	for (int i = 0; i < NUM_CONFINE_FILTERS; i++)
		assert_int_equal(bpf_check(confine_kernel[i].insn, confine_kernel[i].len), 0);
}

static void listed_calls_pass(void **state)
{
	for (const int *nr = confine_kernel_calls; *nr >= 0; nr++) {
		assert_int_equal(answer(CONFINE_ALLOW, *nr, 0, UINT64_MAX), SECCOMP_RET_ALLOW);
		assert_int_equal(answer(CONFINE_MORE, *nr, 0, UINT64_MAX), SECCOMP_RET_ALLOW);
		assert_int_equal(answer(CONFINE_QUIET, *nr, 0, 0), SECCOMP_RET_ALLOW);
	}
	for (const int *nr = confine_more_calls; *nr >= 0; nr++) {
		assert_int_equal(answer(CONFINE_ALLOW, *nr, 0, 0), REFUSED);
		assert_int_equal(answer(CONFINE_MORE, *nr, 0, 0), SECCOMP_RET_ALLOW);
	}
	for (const int *nr = confine_disk_calls; *nr >= 0; nr++)
		assert_int_equal(answer(CONFINE_DISK, *nr, 0, 0), SECCOMP_RET_ALLOW);
}

static void what_a_captured_kernel_wants_is_refused(void **state)
{
	static const int calls[] = {
		SYS_execve, SYS_execveat, SYS_fork, SYS_vfork, SYS_ptrace, SYS_mount, SYS_umount2,
		SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_setuid, SYS_setresuid,
		SYS_setgroups, SYS_capset, SYS_bpf, SYS_init_module, SYS_kexec_load, SYS_reboot,
		SYS_keyctl, SYS_settimeofday, SYS_clock_settime, SYS_open_by_handle_at,
		SYS_io_uring_setup, SYS_personality, SYS_iopl, SYS_swapon, SYS_connect, SYS_bind,
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		assert_int_equal(answer(CONFINE_ALLOW, calls[i], 0, 0), REFUSED);
	for (int nr = 470; nr < 1024; nr++)
		assert_int_equal(answer(CONFINE_ALLOW, nr, 0, 0), REFUSED);
}

static void arguments_decide(void **state)
{
	assert_int_equal(answer(CONFINE_ALLOW, SYS_clone, 0, CLONE_THREAD | CLONE_VM), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_clone, 0, CLONE_VM), REFUSED);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_mprotect, 2, PROT_READ | PROT_WRITE), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_mprotect, 2, PROT_READ | PROT_EXEC), REFUSED);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_mmap, 2, PROT_READ | PROT_EXEC), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_mmap, 2, PROT_WRITE | PROT_EXEC), REFUSED);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_socket, 0, AF_UNIX), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(CONFINE_ALLOW, SYS_socket, 0, AF_NETLINK), REFUSED);
}

static void clone3_has_a_way_around(void **state)
{
	assert_int_equal(answer(CONFINE_ALLOW, SYS_clone3, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(CONFINE_QUIET, SYS_clone3, 0, 0), SECCOMP_RET_ERRNO | ENOSYS);
}

static void other_doors_kill(void **state)
{
	struct seccomp_data d = { .nr = SYS_read, .arch = AUDIT_ARCH_I386 };

	for (int i = 0; i < NUM_CONFINE_FILTERS; i++)
		assert_int_equal(bpf_run(confine_kernel[i].insn, &d).action, SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_programs),
		cmocka_unit_test(listed_calls_pass),
		cmocka_unit_test(what_a_captured_kernel_wants_is_refused),
		cmocka_unit_test(arguments_decide),
		cmocka_unit_test(clone3_has_a_way_around),
		cmocka_unit_test(other_doors_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
