/* SPDX-License-Identifier: Apache-2.0 */
/* newmount.c - the new mount calls do not exist, so programs fall back to mount(2) */
#include "../guest/t.h"
#include "raw.h"

int main(void)
{
	static const struct {
		int nr;
		const char *name;
	} calls[] = {
		{ 428, "open_tree" }, { 429, "move_mount" },	{ 430, "fsopen" },
		{ 431, "fsconfig" },  { 432, "fsmount" },	{ 433, "fspick" },
		{ 442, "mount_setattr" }, { 457, "statmount" }, { 458, "listmount" },
		{ 467, "open_tree_attr" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		check(calls[i].name, raw64(calls[i].nr, (long)"tmpfs", 0, 0, 0, 0, 0) == -ENOSYS);
		check(calls[i].name, raw64(calls[i].nr, -100, (long)"/", 1, 0, 0, 0) == -ENOSYS);
	}
	return t_failed;
}
