/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_show.c - the resolved policy as a policy file
 *
 * Everything is written out, with the line that decided behind each rule as a
 * comment above it; the result loads again to the same policy.
 */
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"

/* May a line go on here? What begins a comment, a section or a setting would be read as that. */
static bool may_break(const char *s)
{
	const char *after = s + strcspn(s, " ");

	after += strspn(after, " ");
	return s[0] != ' ' && !strchr("#;[=", s[0]) && after[0] != '=';
}

/* Long text in lines of its own, at single spaces, so that it is the same when read again. */
void policy_show_text(const char *s, FILE *f)
{
	size_t column = 20;

	while (*s) {
		size_t len = strcspn(s, " ");

		fprintf(f, "%.*s", (int)len, s);
		column += len;
		s += len;
		if (!*s)
			return;
		s++;
		if (column > 80 && may_break(s)) {
			fputs("\n ", f);
			column = 0;
		} else {
			fputc(' ', f);
		}
	}
}

static void show_guest(const struct policy *p, FILE *f)
{
	static const char *const writable[] = {
		[WRITABLE_AUTO] = "auto", [WRITABLE_NO] = "no",
		[WRITABLE_OVERLAY] = "overlay", [WRITABLE_YES] = "yes",
	};

	fprintf(f, "\n[guest]\ninit = %s\n", p->init);
	if (p->hostname)
		fprintf(f, "hostname = %s\n", p->hostname);
	if (p->vcpus)
		fprintf(f, "vcpus = %u\n", p->vcpus);
	else
		fprintf(f, "vcpus = host\n");
	if (p->memory)
		fprintf(f, "memory = %" PRIu64 "\n", p->memory);
	else
		fprintf(f, "memory = unlimited\n");
	if (p->root)
		fprintf(f, "root = %s\n", p->root);
	fprintf(f, "writable = %s\n", writable[p->writable]);
	if (p->kernel_release)
		fprintf(f, "kernel_release = %s\n", p->kernel_release);
	if (p->cwd)
		fprintf(f, "cwd = %s\n", p->cwd);
	if (p->hotplug)
		fprintf(f, "hotplug = yes\n");
	for (char *const *e = p->env; *e; e++) {
		int len = strcspn(*e, "=");

		fprintf(f, "env.%.*s = ", len, *e);
		policy_show_text(*e + len + 1, f);
		fputc('\n', f);
	}
}

static void show_ids(const struct policy_ids *ids, const char *key, FILE *f)
{
	fprintf(f, "%s =", key);
	if (ids->mode != IDS_RANGE)
		fprintf(f, " %s", ids->mode == IDS_AUTO ? "auto" : "single");
	for (unsigned i = 0; i < ids->nextents; i++)
		fprintf(f, "%s%u %u %u", i ? ",\n " : " ", ids->extent[i].guest,
			ids->extent[i].host, ids->extent[i].count);
	fputc('\n', f);
}

static void show_caps(const struct policy *p, FILE *f)
{
	unsigned n = 0;

	fprintf(f, "\n[caps]\nkeep =");
	for (cap_value_t c = 0; c <= CAP_LAST_CAP; c++) {
		char *name = p->caps & BIT(c) ? cap_to_name(c) : NULL;

		if (name)
			fprintf(f, "%s%s", n && n % 6 == 0 ? "\n " : " ", name + strlen("cap_"));
		n += !!name;
		cap_free(name);
	}
	fprintf(f, "%s\nno_new_privs = %s\n", n ? "" : " none", p->no_new_privs ? "yes" : "no");
}

static void show_lane(enum lane lane, int err, FILE *f)
{
	const char *name = policy_errno_name(err);

	fputs(lane_str[lane], f);
	if (lane == LANE_DENY && name)
		fprintf(f, " %s", name);
}

/* The tests as the author wrote them. */
static void show_tests(const char *text, FILE *f)
{
	const char *s = strstr(text, " if ");

	if (!s)
		return;
	fputs(" if ", f);
	policy_show_text(s + strlen(" if "), f);
}

/* Rules of one call are in the table newest first; in a file the newest is last. */
static void show_rules(const struct lanes *l, FILE *f)
{
	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		for (unsigned i = l->first[nr + 1]; i > l->first[nr]; i--) {
			const struct lane_rule *r = &l->rule[i - 1];

			fprintf(f, "# %s\n%s = ", POS_TEXT(r->pos), syscall_name(nr));
			show_lane(r->lane, r->err, f);
			if (r->rule->ntests)
				show_tests(r->rule->text, f);
			fputc('\n', f);
		}
}

void policy_show(const struct policy *p, FILE *f)
{
	static const char *const console[] = {
		[CONSOLE_AUTO] = "auto", [CONSOLE_FD] = "fd:0,fd:1",
		[CONSOLE_PTY] = "pty", [CONSOLE_NULL] = "null",
	};
	struct policy_error err;
	struct lanes *l;

	fprintf(f, "[policy]\nname = %s\n", p->name);
	if (p->description) {
		fputs("description = ", f);
		policy_show_text(p->description, f);
		fputc('\n', f);
	}
	show_guest(p, f);
	fprintf(f, "\n[namespaces]\n");
	for (int i = 0; i < POLICY_NUM_NS; i++)
		fprintf(f, "%s = %s\n", policy_ns_str[i],
			p->ns[i].mode == NS_MODE_NEW  ? "new" :
			p->ns[i].mode == NS_MODE_HOST ? "host" :
							p->ns[i].path);
	fprintf(f, "\n[ids]\n");
	show_ids(&p->uid, "uid", f);
	show_ids(&p->gid, "gid", f);
	show_caps(p, f);
	fprintf(f, "\n[time]\n");
	policy_show_time(p, f);
	fprintf(f, "\n[sched]\nsource = %s\nplacement = %s\n",
		policy_sched_source_str[p->sched_source], policy_sched_placement_str[p->placement]);
	policy_show_memory(p, f);
	fprintf(f, "\n[console]\ncon0 = %s\n", console[p->console]);
	policy_show_disks(p, f);
	policy_show_nets(p, f);
	fprintf(f, "\n[syscalls]\ndefault = ");
	show_lane(p->default_lane, p->default_err, f);
	fputc('\n', f);
	if (lanes_resolve(p, &l, &err) < 0) {
		fprintf(f, "# %s\n", err.text);
		return;
	}
	show_rules(l, f);
	lanes_free(l);
}
