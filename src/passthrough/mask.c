/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.c - the lane table as a seccomp program
 *
 * libseccomp makes the frame: the check of the arch and the search by number,
 * with a constant action for each call that needs no look at its arguments, so
 * that the kernel can answer those from its bitmap. A call with argument tests
 * gets a mark there, which is then replaced by a jump to a chain of our own:
 * libseccomp orders overlapping rules as it likes and cannot compare 32 bits
 * for "less", a chain keeps first-match order and the width of each argument.
 *
 * The whole program is then run against the table. One that disagrees with it
 * anywhere is not returned. For the tables of the shipped policies all of this
 * was done when weir was built (shipped.h).
 */
#include "passthrough/mask.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/bpf.h"
#include "passthrough/chain.h"
#include "passthrough/edges.h"
#include "passthrough/frame.h"
#include "passthrough/hostcall.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"
#include "passthrough/policy/shipped.h"

#define MAX_TRIES 2000000	/* argument combinations of one call */

struct program {
	struct sock_filter insn[BPF_MAXINSNS];
	unsigned len;
};

static int mask_fail(struct policy_error *err, int r, const char *what)
{
	snprintf(err->text, sizeof(err->text), "cannot build the mask: %s: %s", what, strerror(-r));
	return r;
}

/* Put the chain of a call behind the program. */
static int append_chain(const struct lanes *l, int nr, struct chain *c, struct program *p)
{
	unsigned last = l->first[nr + 1] - 1, next;

	chain_init(c);
	if (lane_rule_always(&l->rule[last]))
		next = chain_return(c, frame_action(&l->rule[last--]));
	else
		next = chain_return(c, frame_action(&l->rule[LANES_DEFAULT]));
	for (unsigned i = last + 1; i > l->first[nr]; i--) {
		unsigned yes = chain_return(c, frame_action(&l->rule[i - 1]));

		next = chain_rule(c, l->rule[i - 1].rule, yes, next);
	}
	if (c->overflow || p->len + c->n > BPF_MAXINSNS)
		return -E2BIG;
	memcpy(&p->insn[p->len], &c->insn[CHAIN_MAX - c->n], c->n * sizeof(c->insn[0]));
	p->len += c->n;
	return 0;
}

/* Replace the marks by jumps to the chains. */
static int link_chains(const struct lanes *l, struct program *p)
{
	cleanup_free struct chain *c = malloc(sizeof(*c));
	unsigned frame = p->len;

	if (!c)
		return -ENOMEM;
	for (unsigned i = 0; i < frame; i++) {
		struct sock_filter *f = &p->insn[i];
		unsigned start = p->len;
		uint32_t mark = f->k;
		int r;

		if (f->code != (BPF_RET | BPF_K) ||
		    (mark & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_TRACE)
			continue;
		r = append_chain(l, (mark & SECCOMP_RET_DATA) - 1, c, p);
		if (r < 0)
			return r;
		for (unsigned k = i; k < frame; k++)
			if (p->insn[k].code == f->code && p->insn[k].k == mark && k != i)
				p->insn[k] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
									  start - k - 1);
		*f = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, start - i - 1);
	}
	return 0;
}

/* Does the program do with this call what the table says? */
static bool agrees(const struct lanes *l, const struct program *p, const struct seccomp_data *d,
		   uint32_t *ret_loaded)
{
	struct bpf_result r = bpf_run(p->insn, d);
	uint64_t arg[6];

	memcpy(arg, d->args, sizeof(arg));
	*ret_loaded = r.loaded;
	return r.action == frame_action(lanes_lookup(l, d->arch, d->nr, arg));
}

static int disagree(const struct seccomp_data *d, struct policy_error *err)
{
	snprintf(err->text, sizeof(err->text),
		 "the mask built by libseccomp is wrong for arch %#x, call %d, arguments %#llx %#llx %#llx %#llx %#llx %#llx",
		 d->arch, d->nr, d->args[0], d->args[1], d->args[2], d->args[3], d->args[4],
		 d->args[5]);
	return -EPROTO;
}

static int verify_arguments(const struct lanes *l, const struct program *p, int nr,
			    struct edges *e, struct policy_error *err)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
	uint32_t loaded;

	edges_init(e);
	for (unsigned i = l->first[nr]; i < l->first[nr + 1]; i++) {
		const struct policy_rule *r = l->rule[i].rule;

		for (unsigned k = 0; k < r->ntests; k++)
			edges_add(e, r->test[k].arg, &r->test[k]);
	}
	if (edges_count(e) > MAX_TRIES) {
		const struct policy_pos *pos = l->rule[l->first[nr]].pos;

		snprintf(err->text, sizeof(err->text),
			 "%s: too many tests on the arguments of %s to verify them all; use fewer",
			 POS_TEXT(pos), syscall_name(nr));
		return -E2BIG;
	}
	do {
		for (unsigned i = 0; i < 6; i++)
			d.args[i] = edges_value(e, i);
		if (!agrees(l, p, &d, &loaded))
			return disagree(&d, err);
	} while (edges_next(e));
	return 0;
}

static int verify_native(const struct lanes *l, const struct program *p, struct policy_error *err)
{
	cleanup_free struct edges *e = malloc(sizeof(*e));

	if (!e)
		return mask_fail(err, -ENOMEM, "verification");
	for (int nr = 0; nr < LANES_MAX_NR; nr++) {
		struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
		uint32_t loaded;
		int r;

		if (!lanes_constant_rule(l, nr)) {
			r = verify_arguments(l, p, nr, e, err);
			if (r < 0)
				return r;
			continue;
		}
		/* Without a look at the arguments the answer holds for any. */
		if (!agrees(l, p, &d, &loaded) || loaded != (BPF_WORD(arch) | BPF_WORD(nr)))
			return disagree(&d, err);
	}
	return 0;
}

static int verify_foreign(const struct lanes *l, const struct program *p, struct policy_error *err)
{
	static const uint32_t arches[] = {
		AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64 ^ 1, 0, UINT32_MAX,
	};
	static const uint32_t numbers[] = {
		LANES_MAX_NR, 0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
	};
	struct seccomp_data d = { 0 };
	uint32_t loaded;

	/* Without a look at the number the answer holds for any. */
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		d.arch = arches[i];
		if (!agrees(l, p, &d, &loaded) || loaded != BPF_WORD(arch))
			return disagree(&d, err);
	}
	d.arch = AUDIT_ARCH_X86_64;
	for (unsigned nr = 0; nr < LANES_MAX_NR + ARRAY_SIZE(numbers); nr++) {
		d.nr = nr < LANES_MAX_NR ? nr | 0x40000000 : numbers[nr - LANES_MAX_NR];
		if (!agrees(l, p, &d, &loaded) || loaded != (BPF_WORD(arch) | BPF_WORD(nr)))
			return disagree(&d, err);
	}
	return 0;
}

static int verify(const struct lanes *l, const struct program *p, struct policy_error *err)
{
	int r = bpf_check(p->insn, p->len);

	if (r < 0)
		return mask_fail(err, r, "the program");
	if (p->insn[0].code != (BPF_LD | BPF_W | BPF_ABS) ||
	    p->insn[0].k != offsetof(struct seccomp_data, arch) ||
	    p->insn[1].code != (BPF_JMP | BPF_JEQ | BPF_K) || p->insn[1].k != AUDIT_ARCH_X86_64)
		return mask_fail(err, -EPROTO, "it does not begin with the check of the arch");
	r = verify_native(l, p, err);
	return r < 0 ? r : verify_foreign(l, p, err);
}

/* Make the program of a table that weir was not built with. */
static int build(const struct lanes *l, struct program *p, struct policy_error *err)
{
	int r = frame_build(l, p->insn);

	if (r < 0)
		return mask_fail(err, r, "libseccomp");
	p->len = r;
	r = link_chains(l, p);
	if (r == -E2BIG) {
		snprintf(err->text, sizeof(err->text),
			 "the policy needs more than %d instructions of seccomp; use fewer tests",
			 BPF_MAXINSNS);
		return r;
	}
	if (r < 0)
		return mask_fail(err, r, "argument tests");
	return verify(l, p, err);
}

static int keep(const struct lanes *l, const struct sock_filter *from, unsigned len,
		struct mask *ret, struct policy_error *err)
{
	struct sock_filter *insn = malloc(len * sizeof(*insn));

	if (!insn)
		return mask_fail(err, -ENOMEM, "memory");
	memcpy(insn, from, len * sizeof(*insn));
	*ret = (struct mask){
		.insn = insn,
		.len = len,
		.listens = lanes_stop(l),
	};
	return 0;
}

int mask_compile(const struct lanes *l, struct mask *ret, struct policy_error *err)
{
	cleanup_free struct program *p = NULL;
	int r;

	if (l->shipped)
		return keep(l, l->shipped->insn, l->shipped->len, ret, err);
	p = malloc(sizeof(*p));
	if (!p)
		return mask_fail(err, -ENOMEM, "memory");
	r = build(l, p, err);
	return r < 0 ? r : keep(l, p->insn, p->len, ret, err);
}

void mask_free(struct mask *m)
{
	free(m->insn);
	*m = (struct mask){ 0 };
}

int mask_load(const struct mask *m)
{
	struct sock_fprog prog = { .len = m->len, .filter = m->insn };
	unsigned flags = 0;
	int r;

	if (m->listens)
		flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	r = host_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (r < 0 || m->listens)
		return r;
	return -ENODATA;
}
