/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_numbered.c - sections of which there are several: [disk.0], [net.3]
 *
 * --set writes disk.0.image: there the section is "disk" and the key "0.image".
 */
#include <string.h>

#include "kernel/util.h"
#include "passthrough/policy/policy_impl.h"

int policy_number(const char *s, int max, const char **rest)
{
	size_t len = strspn(s, "0123456789");
	int n = 0;

	if (len == 0 || len > 2 || (len == 2 && s[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++)
		n = 10 * n + (s[i] - '0');
	*rest = s + len;
	return n < max ? n : -1;
}

int policy_numbered_section(struct loader *ld, const struct numbered *t, const struct policy_pos *pos,
			    const char *name)
{
	size_t len = strlen(t->section);
	const char *rest = "x";

	/* Of --set: policy_numbered_key() looks at the number. */
	if (streq(name, t->section) && pos->line == 0)
		return 0;
	if (str_starts(name, t->section) && name[len] == '.' && policy_number(name + len + 1, t->max, &rest) >= 0 &&
	    !*rest)
		return 0;
	return policy_fail(ld->err, pos, "[%s] is no %s; write [%s.0] to [%s.%d]", name, t->noun, t->section,
			   t->section, t->max - 1);
}

int policy_numbered_key(struct loader *ld, const struct numbered *t, const struct policy_entry *e,
			const char **ret_key)
{
	bool set = streq(e->section, t->section);
	const char *rest = NULL;
	int n = policy_number(set ? e->key : e->section + strlen(t->section) + 1, t->max, &rest);

	if (set && (n < 0 || *rest != '.'))
		return policy_fail(ld->err, &e->pos, "%s.%s is no key of a %s; write %s.0.%s and the like", t->section,
				   e->key, t->noun, t->section, t->example);
	*ret_key = set ? rest + 1 : e->key;
	return n;
}
