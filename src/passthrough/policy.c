/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.c - a policy, found, read with all it inherits, and resolved
 *
 * A policy decides what a guest may do, so the file must be as trustworthy as
 * the caller's own: a regular file, no link, owned by the caller or by root,
 * and writable by the owner only.
 */
#include "passthrough/policy.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/embedded.h"
#include "passthrough/hostcall.h"
#include "passthrough/lanes.h"
#include "passthrough/policy/policy_impl.h"

#define CHUNK_SIZE 16384
#define SUFFIX ".policy"

/* Memory that is never freed piece by piece. */
struct policy_strings {
	struct policy_strings *next;
	size_t used, size;	/* of text; used is a multiple of 8 */
	char text[];
};

static int load(struct loader *ld, const char *name, const struct policy_pos *from);

const char *policy_pos_text(const struct policy_pos *pos, char *buf, size_t size)
{
	if (pos->line)
		snprintf(buf, size, "%s:%d", pos->file, pos->line);
	else
		snprintf(buf, size, "%s", pos->file);
	return buf;
}

int policy_fail(struct policy_error *err, const struct policy_pos *pos, const char *fmt, ...)
{
	va_list ap;
	int len = 0;

	if (pos)
		len = snprintf(err->text, sizeof(err->text), "%s: ", POS_TEXT(pos));
	va_start(ap, fmt);
	if (len >= 0 && (size_t)len < sizeof(err->text))
		vsnprintf(err->text + len, sizeof(err->text) - len, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int policy_no_memory(struct policy_error *err)
{
	snprintf(err->text, sizeof(err->text), "no memory for the policy");
	return -ENOMEM;
}

void *policy_alloc(struct policy *p, size_t size)
{
	struct policy_strings *c = p->strings;
	void *ret;

	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		size_t room = MAX(size, CHUNK_SIZE);

		c = malloc(sizeof(*c) + room);
		if (!c)
			return NULL;
		*c = (struct policy_strings){ .next = p->strings, .size = room };
		p->strings = c;
	}
	ret = c->text + c->used;
	c->used += size;
	return memset(ret, 0, size);
}

/* Room for @len characters and a NUL, beginning with what of @s fits. */
char *policy_strndup(struct policy *p, const char *s, size_t len)
{
	char *ret = policy_alloc(p, len + 1);

	return ret ? memcpy(ret, s, strnlen(s, len)) : NULL;
}

char *policy_strdup(struct policy *p, const char *s)
{
	return policy_strndup(p, s, strlen(s));
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	while (p->strings) {
		struct policy_strings *next = p->strings->next;

		free(p->strings);
		p->strings = next;
	}
	free(p->rule);
	free(p);
}

static int apply_entry(struct loader *ld, const struct policy_entry *e)
{
	return streq(e->section, "syscalls") ? policy_rule_apply(ld, e) : policy_key_apply(ld, e);
}

static int inherit(struct loader *ld, const struct policy_entries *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct policy_entry *e = &all->entry[i];

		if (streq(e->section, "policy") && streq(e->key, "inherit"))
			return load(ld, e->value, &e->pos);
	}
	return 0;
}

static int apply_text(struct loader *ld, const char *file, const char *text, size_t len)
{
	struct policy_entries all = { 0 };
	const char *base = strrchr(file, '/');
	int r = policy_text_parse(ld, file, text, len, &all);

	if (r == 0)
		r = inherit(ld, &all);
	/* What the parent said of itself is not inherited. */
	base = base ? base + 1 : file;
	len = strlen(base);
	if (len > strlen(SUFFIX) && streq(base + len - strlen(SUFFIX), SUFFIX))
		len -= strlen(SUFFIX);
	ld->p->name = policy_strndup(ld->p, base, len);
	ld->p->description = NULL;
	if (r == 0 && !ld->p->name)
		r = policy_no_memory(ld->err);
	for (size_t i = 0; r == 0 && i < all.n; i++)
		r = apply_entry(ld, &all.entry[i]);
	if (r == 0)
		r = policy_entries_check(ld, &all);
	free(all.entry);
	return r;
}

/* Note that a file is open; -EINVAL if it inherits itself. */
static int enter(struct loader *ld, const char *file, uint64_t dev, uint64_t ino,
		 const struct policy_pos *from)
{
	for (unsigned i = 0; i < ld->depth; i++)
		if (ld->open[i].ino ? ld->open[i].dev == dev && ld->open[i].ino == ino :
				      streq(ld->open[i].file, file))
			return policy_fail(ld->err, from,
					   "a loop of inherit: %s is read already; remove this line",
					   file);
	if (ld->depth > POLICY_MAX_INHERIT)
		return policy_fail(ld->err, from, "more than %d policies inherit each other; use fewer",
				   POLICY_MAX_INHERIT);
	ld->open[ld->depth].file = file;
	ld->open[ld->depth].dev = dev;
	ld->open[ld->depth].ino = ino;
	ld->depth++;
	return 0;
}

static int check_file(struct loader *ld, int fd, const struct policy_pos *pos, struct stat *ret)
{
	if (host_result(fstat(fd, ret)) < 0)
		return policy_fail(ld->err, pos, "cannot be looked at");
	if (S_ISDIR(ret->st_mode))
		return policy_fail(ld->err, pos, "is a directory; name a file in it");
	if (!S_ISREG(ret->st_mode))
		return policy_fail(ld->err, pos, "is not a regular file; copy it to one");
	if (ret->st_uid != geteuid() && ret->st_uid != 0)
		return policy_fail(ld->err, pos,
				   "belongs to user %u; a policy must belong to you or to root",
				   ret->st_uid);
	if (ret->st_mode & (S_IWGRP | S_IWOTH))
		return policy_fail(ld->err, pos, "is %s-writable; run chmod go-w on it",
				   ret->st_mode & S_IWOTH ? "world" : "group");
	if (ret->st_size > POLICY_MAX_FILE)
		return policy_fail(ld->err, pos, "has %lld bytes; a policy has at most %d",
				   (long long)ret->st_size, POLICY_MAX_FILE);
	return 0;
}

/* -ENOENT without a message if there is no such file. */
static int load_file(struct loader *ld, const char *path, const struct policy_pos *from)
{
	struct policy_pos pos = { policy_strdup(ld->p, path), 0 };
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t len;
	int r;

	if (!pos.file)
		return policy_no_memory(ld->err);
	fd = host_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	if (fd == -ELOOP)
		return policy_fail(ld->err, &pos, "is a symbolic link; name the file it points to");
	if (fd < 0)
		return policy_fail(ld->err, &pos, "cannot be read: %s", strerror(-fd));
	r = check_file(ld, fd, &pos, &st);
	if (r < 0)
		return r;
	r = enter(ld, pos.file, st.st_dev, st.st_ino, from ? from : &pos);
	if (r < 0)
		return r;

	text = malloc(POLICY_MAX_FILE + 1);
	if (!text)
		return policy_no_memory(ld->err);
	len = host_read(fd, text, POLICY_MAX_FILE + 1);
	if (len < 0)
		return policy_fail(ld->err, &pos, "cannot be read: %s", strerror(-len));
	if (len > POLICY_MAX_FILE)
		return policy_fail(ld->err, &pos, "has more than %d bytes", POLICY_MAX_FILE);
	r = apply_text(ld, pos.file, text, len);
	ld->depth--;
	return r;
}

static int load_embedded(struct loader *ld, const char *file, const struct policy_pos *from)
{
	for (const struct embedded_file *f = weir_policies; f->name; f++) {
		int r;

		if (!streq(f->name, file))
			continue;
		r = enter(ld, f->name, 0, 0, from);
		if (r == 0)
			r = apply_text(ld, f->name, (const char *)f->data, f->size);
		ld->depth--;
		return r;
	}
	return -ENOENT;
}

/* The path that a line of inherit means: beside the file it is in. */
static int load_path(struct loader *ld, const char *path, const struct policy_pos *from)
{
	const char *slash = from ? strrchr(from->file, '/') : NULL;
	struct policy_pos pos = { path, 0 };
	char buf[PATH_MAX];
	int r;

	if (from && str_starts(path, "./"))
		path += 2;
	if (slash && path[0] != '/') {
		snprintf(buf, sizeof(buf), "%.*s/%s", (int)(slash - from->file), from->file, path);
		path = buf;
	}
	r = load_file(ld, path, from);
	if (r == -ENOENT && from)
		return policy_fail(ld->err, from, "there is no file %s; correct the path", path);
	if (r == -ENOENT)
		return policy_fail(ld->err, &pos, "there is no such file; correct the path");
	return r;
}

static int load_by_name(struct loader *ld, const char *name, const struct policy_pos *from)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char dir[3][PATH_MAX / 4] = { "", "/etc/weir", WEIR_POLICY_DIR };
	char path[PATH_MAX], hint[64];
	struct near_word near;
	int r;

	if (config && config[0] == '/')
		snprintf(dir[0], sizeof(dir[0]), "%s/weir", config);
	else if (home && home[0] == '/')
		snprintf(dir[0], sizeof(dir[0]), "%s/.config/weir", home);
	for (size_t i = 0; i < ARRAY_SIZE(dir) && !ld->shipped_only; i++) {
		if (!dir[i][0])
			continue;
		snprintf(path, sizeof(path), "%s/%s" SUFFIX, dir[i], name);
		r = load_file(ld, path, from);
		if (r != -ENOENT)
			return r;
	}
	snprintf(path, sizeof(path), "%.200s" SUFFIX, name);
	r = load_embedded(ld, path, from);
	if (r != -ENOENT)
		return r;
	near_init(&near, path);
	for (const struct embedded_file *f = weir_policies; f->name; f++)
		near_offer(&near, f->name);
	near.best[strcspn(near.best, ".")] = '\0';
	return policy_fail(ld->err, from,
			   "there is no policy %.64s%s; write a name, or ./FILE for a file here", name,
			   near_hint(&near, hint, sizeof(hint)));
}

static int load(struct loader *ld, const char *name, const struct policy_pos *from)
{
	if (!name[0])
		return policy_fail(ld->err, from, "the policy has no name; write one such as base");
	if (strlen(name) >= PATH_MAX / 4)
		return policy_fail(ld->err, from, "the policy's name is too long");
	return strchr(name, '/') ? load_path(ld, name, from) : load_by_name(ld, name, from);
}

/* "SECTION.KEY=VALUE" of --set */
static int apply_set(struct loader *ld, const char *set)
{
	size_t len = strlen(set) + sizeof("--set ");
	char *where = policy_strndup(ld->p, "", len), *text = policy_strdup(ld->p, set);
	struct policy_entry e = { .pos = { "--set", 0 } };
	struct policy_pos pos = { where, 0 };
	char *dot, *equals, *value;
	int r;

	if (!where || !text)
		return policy_no_memory(ld->err);
	snprintf(where, len, "--set %s", set);
	equals = strchr(text, '=');
	dot = strchr(text, '.');
	if (!equals || !dot || dot > equals || dot == text || dot + 1 == equals)
		return policy_fail(ld->err, &pos, "not a setting; write --set SECTION.KEY=VALUE");
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return policy_fail(ld->err, &pos, "a control character; write plain text");
	*dot = *equals = '\0';
	for (char *end = equals; end > dot + 1 && end[-1] == ' ';)
		*--end = '\0';
	value = equals + 1 + strspn(equals + 1, " ");
	for (char *end = value + strlen(value); end > value && end[-1] == ' ';)
		*--end = '\0';
	e.section = text;
	e.key = dot + 1;
	e.value = value;

	/* Errors quote the whole option, what is kept says "--set". */
	r = policy_section_check(ld, &pos, e.section);
	if (r == 0)
		r = apply_entry(ld, &e);
	if (r == -EINVAL && str_starts(ld->err->text, "--set: ")) {
		struct policy_error old = *ld->err;

		policy_fail(ld->err, &pos, "%s", old.text + strlen("--set: "));
	}
	return r;
}

static void set_defaults(struct policy *p)
{
	static const struct policy_pos built_in = { "(built in)", 0 };

	p->init = policy_strdup(p, "/sbin/init");
	for (int i = 0; i < POLICY_NUM_NS; i++) {
		p->ns[i].mode = i == POLICY_NS_TIME ? NS_MODE_HOST : NS_MODE_NEW;
		p->ns[i].pos = built_in;
	}
	p->uid.pos = p->gid.pos = built_in;
	p->vcpus_pos = p->memory_pos = p->kernel_release_pos = p->writable_pos = built_in;
	p->sched_source_pos = p->placement_pos = built_in;
	policy_memory_defaults(&p->mem, &built_in);
	p->clock = (struct policy_clock){
		.rate = POLICY_RATE_ONE,
		.waits = WAITS_AUTO,
		.realtime_pos = built_in,
		.rate_pos = built_in,
		.settable_pos = built_in,
		.waits_pos = built_in,
		.idle_pos = built_in,
		.cpu_pos = built_in,
		.calendar_pos = built_in,
	};
	p->default_lane = LANE_DENY;
	p->default_err = ENOSYS;
	p->default_pos = built_in;
}

static int finish(struct loader *ld)
{
	int r = policy_time_finish(ld);

	if (r == 0)
		r = policy_disk_finish(ld);
	if (r == 0)
		r = policy_net_finish(ld);
	if (r == 0)
		r = policy_memory_finish(ld);
	if (r == 0)
		r = policy_derive(ld);
	return r < 0 ? r : policy_ids_finish(ld);
}

/* Give back the room for rules that did not come. */
static void trim(struct policy *p)
{
	struct policy_rule *rules = p->nrules ? realloc(p->rule, p->nrules * sizeof(*rules)) : NULL;

	if (rules)
		p->rule = rules;
}

/* Return: 0, or -ENOMEM with @ld->err; then ld->p is to be freed all the same. */
static int begin(struct loader *ld)
{
	ld->err->text[0] = '\0';
	if (!ld->p)
		return policy_no_memory(ld->err);
	set_defaults(ld->p);
	return ld->p->init ? 0 : policy_no_memory(ld->err);
}

/* The end of loading, @r: how it went so far. */
static int end(struct loader *ld, int r, struct policy **ret)
{
	if (r == 0)
		r = finish(ld);
	if (r < 0) {
		policy_free(ld->p);
		return r;
	}
	trim(ld->p);
	*ret = ld->p;
	return 0;
}

static int load_all(struct loader *ld, const char *name, char *const *set, size_t nset,
		    struct policy **ret)
{
	int r = begin(ld);

	if (r == 0)
		r = load(ld, name, NULL);
	for (size_t i = 0; r == 0 && i < nset; i++)
		r = apply_set(ld, set[i]);
	return end(ld, r, ret);
}

int policy_load_text(const char *file, const char *text, size_t len, struct policy **ret,
		     struct policy_error *err)
{
	struct loader ld = { .p = calloc(1, sizeof(*ld.p)), .err = err };
	const char *name;
	int r = begin(&ld);

	if (r == 0 && len > POLICY_MAX_FILE) {
		struct policy_pos pos = { file, 0 };

		r = policy_fail(err, &pos, "has more than %d bytes", POLICY_MAX_FILE);
	}
	if (r == 0) {
		name = policy_strdup(ld.p, file);
		r = name ? enter(&ld, name, 0, 0, NULL) : policy_no_memory(err);
	}
	if (r == 0)
		r = apply_text(&ld, ld.open[0].file, text, len);
	ld.depth = 0;
	return end(&ld, r, ret);
}

int policy_load(const char *name, char *const *set, size_t nset, struct policy **ret,
		struct policy_error *err)
{
	struct loader ld = { .p = calloc(1, sizeof(*ld.p)), .err = err };

	return load_all(&ld, name, set, nset, ret);
}

int policy_load_shipped(const char *name, struct policy **ret, struct policy_error *err)
{
	struct loader ld = {
		.p = calloc(1, sizeof(*ld.p)), .err = err, .shipped_only = true,
	};

	return load_all(&ld, name, NULL, 0, ret);
}
