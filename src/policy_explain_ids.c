/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_explain_ids.c - which ids a guest gets here, and why: for weir run, and as
 * weir policy explain ids
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd.h"
#include "id_request.h"
#include "kernel/util.h"
#include "policy_table.h"

static void id_request_of(const struct policy *p, const char *name, struct id_request *ret)
{
	static const enum id_want want[] = {
		[IDS_AUTO] = ID_WANT_AUTO,
		[IDS_SINGLE] = ID_WANT_SINGLE,
		[IDS_RANGE] = ID_WANT_EXPLICIT,
	};
	const struct policy_ids *from[] = { &p->uid, &p->gid };
	struct id_map *to[] = { &ret->uid, &ret->gid };

	*ret = (struct id_request){
		.want_uid = want[p->uid.mode],
		.want_gid = want[p->gid.mode],
		.caller = geteuid(),
		.caller_gid = getegid(),
		.name = name,
	};
	for (int i = 0; i < 2; i++) {
		to[i]->n = from[i]->nextents;
		for (unsigned e = 0; e < from[i]->nextents; e++)
			to[i]->e[e] = (struct id_extent){ from[i]->extent[e].guest,
							  from[i]->extent[e].host,
							  from[i]->extent[e].count };
	}
}

enum mode { MODE_RANGE, MODE_SINGLE, MODE_KEPT, MODE_HOST, NUM_MODES };

static const struct {
	const char *name, *meaning;
} modes[NUM_MODES] = {
	[MODE_RANGE] = { "range", "each id of the guest is one of the host's; the host checks "
				  "users against each other" },
	[MODE_SINGLE] = { "single, root only", "the guest has root and no other user; [ids] uid = "
					       "single gives it users that the guest kernel keeps" },
	[MODE_KEPT] = { "single, with users", "the guest kernel keeps users and the owners of "
					      "files over one host id: fidelity, no isolation "
					      "between users of the guest" },
	[MODE_HOST] = { "host", "no user namespace of its own: ids are the host's" },
};

static enum mode mode_of(const struct policy *p, const struct id_choice *c)
{
	if (p->ns[POLICY_NS_USER].mode != NS_MODE_NEW)
		return MODE_HOST;
	if (policy_keeps_ids(p))
		return MODE_KEPT;
	return c->how == IDS_HOW_RANGE ? MODE_RANGE : MODE_SINGLE;
}

static json_t *map_json(const struct id_map *map)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < map->n; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:I}", "guest",
						      (json_int_t)map->e[i].inner, "outer",
						      (json_int_t)map->e[i].outer, "count",
						      (json_int_t)map->e[i].count));
	return list;
}

static void print_map(const char *what, const struct id_map *map)
{
	for (unsigned i = 0; i < map->n; i++)
		printf("  %s %u-%u\n", what, map->e[i].inner, map->e[i].inner + map->e[i].count - 1);
}

static const char *line_of(const struct policy_pos *pos)
{
	static char buf[300];

	snprintf(buf, sizeof(buf), pos->line ? "%.280s:%d" : "%.280s", pos->file, pos->line);
	return buf;
}

int ids_for_guest(const struct policy *p, const char *name, struct id_choice *ret)
{
	struct ns_error err = {};
	struct id_request rq;

	if (policy_keeps_ids(p) && geteuid() == 0 && ids_own_all())
		return cmd_fail(EXIT_USAGE, "%s: ids: uid = single, for root, would make guest root host "
				"root; root has an id for each user of a guest: write auto, or run weir "
				"as an ordinary user", line_of(&p->uid.pos));
	id_request_of(p, name, &rq);
	if (ids_choose(&rq, ret, &err) < 0)
		return cmd_fail(EXIT_USAGE, "%s: %s", line_of(&p->uid.pos), err.text);
	return 0;
}

int policy_explain_ids(const struct policy *p, bool json)
{
	struct id_choice c;
	int status;
	enum mode mode;

	status = ids_for_guest(p, "example", &c);
	if (status)
		return status;
	mode = mode_of(p, &c);
	if (json)
		return policy_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "policy",
						   p->name, "mode", modes[mode].name, "reason", c.reason,
						   "rule", line_of(&p->uid.pos), "meaning",
						   modes[mode].meaning, "uid", map_json(&c.guest_uid),
						   "gid", map_json(&c.guest_gid)));
	printf("ids of a guest of policy %s, started here by uid %u\n  %s: %s\n  by %s\n", p->name,
	       geteuid(), modes[mode].name, c.reason, line_of(&p->uid.pos));
	if (mode == MODE_RANGE) {
		print_map("uid", &c.guest_uid);
		print_map("gid", &c.guest_gid);
	}
	printf("  %s\n", modes[mode].meaning);
	return EXIT_SUCCESS;
}
