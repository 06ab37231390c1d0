/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall.c - the system-call table of the guest kernel
 */
#include "kernel/syscall.h"

#include <errno.h>
#include <stdio.h>

#include "kernel/ids/guestids.h"
#include "kernel/util.h"

struct syscall_entry {
	const char *name;
	long (*handler)(struct kernel *k, struct call *c);
};

static const struct syscall_entry sys_call_table[] = {
#define SYSCALL(nr, name) [nr] = { #name, sys_##name },
#include "kernel/syscalls.def"
#undef SYSCALL
};

/* Those that a guest with ids of its own does otherwise. */
static const struct syscall_entry ids_call_table[] = {
#define IDS_CALL(nr, name) [nr] = { #name, ids_##name },
#include "kernel/ids/ids_calls.def"
#undef IDS_CALL
};

static const struct syscall_entry *find_entry(int nr, bool ids)
{
	if (nr < 0)
		return NULL;
	if (ids && (size_t)nr < ARRAY_SIZE(ids_call_table) && ids_call_table[nr].handler)
		return &ids_call_table[nr];
	if ((size_t)nr < ARRAY_SIZE(sys_call_table) && sys_call_table[nr].handler)
		return &sys_call_table[nr];
	return NULL;
}

bool syscall_has_handler(int nr, bool ids)
{
	return find_entry(nr, ids);
}

long syscall_handle(void *kernel, struct call *c)
{
	struct kernel *k = kernel;
	const struct syscall_entry *e = find_entry(c->nr, k->ids);

	return e ? e->handler(k, c) : -ENOSYS;
}

int syscall_check(const struct lanes *l, bool ids, struct policy_error *err)
{
	for (unsigned i = 0; i < lanes_count(l); i++) {
		const struct lane_rule *r = lanes_rule(l, i);

		if ((r->lane != LANE_TRAP && r->lane != LANE_FIX) || syscall_has_handler(r->nr, ids))
			continue;
		snprintf(err->text, sizeof(err->text),
			 "%s:%d: the guest kernel cannot do %s; write watch, pass or deny ERRNO",
			 r->pos->file, r->pos->line, syscall_name(r->nr));
		return -EINVAL;
	}
	return 0;
}

int arg_copy_in(struct call *c, int n, void *to, size_t len)
{
	int ret = copy_from_guest(c->tid, to, uaddr(c->arg[n]), len);

	if (ret == 0 && !call_valid(c))
		return -ESRCH;
	return ret;
}

ssize_t arg_string_in(struct call *c, int n, char *to, size_t size)
{
	ssize_t ret = copy_string_from_guest(c->tid, to, uaddr(c->arg[n]), size);

	if (ret >= 0 && !call_valid(c))
		return -ESRCH;
	return ret;
}

int arg_copy_out(struct call *c, int n, const void *from, size_t len)
{
	if (!call_valid(c))
		return -ESRCH;
	return copy_to_guest(c->tid, uaddr(c->arg[n]), from, len);
}
