/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_cred.c - the calls that ask for and change a task's ids, credentials(7)
 *
 * Each is: read the caller's set, make another of it as the manual page says, write
 * it back. What capabilities become of it is capabilities(7), "Effect of user ID
 * changes on capabilities".
 */
#include <errno.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "kernel/ids/guestids.h"
#include "kernel/util.h"

#define NO_ID UINT32_MAX	/* (uid_t)-1: leave it */

/* Those that setfsuid(2) gives up: capabilities(7) */
#define FS_CAPS (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | \
		 BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MKNOD) | \
		 BIT(CAP_MAC_OVERRIDE))

/* ---- asking --------------------------------------------------------------- */

static long one_id(struct kernel *k, struct call *c, bool group, enum id_kind kind)
{
	struct idcred cred;
	int err = guestids_caller(k, c, &cred);

	if (err < 0)
		return err;
	return group ? cred.gid[kind] : cred.uid[kind];
}

long ids_getuid(struct kernel *k, struct call *c)
{
	return one_id(k, c, false, ID_REAL);
}

long ids_geteuid(struct kernel *k, struct call *c)
{
	return one_id(k, c, false, ID_EFFECTIVE);
}

long ids_getgid(struct kernel *k, struct call *c)
{
	return one_id(k, c, true, ID_REAL);
}

long ids_getegid(struct kernel *k, struct call *c)
{
	return one_id(k, c, true, ID_EFFECTIVE);
}

static long three_ids(struct kernel *k, struct call *c, bool group)
{
	struct idcred cred;
	int err = guestids_caller(k, c, &cred);

	for (int i = ID_REAL; i <= ID_SAVED && err == 0; i++)
		err = arg_copy_out(c, i, group ? &cred.gid[i] : &cred.uid[i], sizeof(uint32_t));
	return err;
}

long ids_getresuid(struct kernel *k, struct call *c)
{
	return three_ids(k, c, false);
}

long ids_getresgid(struct kernel *k, struct call *c)
{
	return three_ids(k, c, true);
}

long ids_getgroups(struct kernel *k, struct call *c)
{
	struct idcred cred;
	int err = guestids_caller(k, c, &cred), size = arg_int(c, 0);

	if (err < 0)
		return err;
	if (size < 0 || (size && (uint32_t)size < cred.ngroups))
		return -EINVAL;
	if (size)
		err = arg_copy_out(c, 1, cred.group, cred.ngroups * sizeof(cred.group[0]));
	return err < 0 ? err : (long)cred.ngroups;
}

/* ---- changing ------------------------------------------------------------- */

static bool is_root(const struct idcred *c)
{
	return c->uid[ID_REAL] == 0 || c->uid[ID_EFFECTIVE] == 0 || c->uid[ID_SAVED] == 0;
}

static void fix_caps(const struct idcred *old, struct idcred *new)
{
	if (new->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (is_root(old) && !is_root(new)) {
		if (!(new->securebits & SECBIT_KEEP_CAPS))
			new->permitted = new->effective = 0;
		new->ambient = 0;
	}
	if (old->uid[ID_EFFECTIVE] == 0 && new->uid[ID_EFFECTIVE] != 0)
		new->effective = 0;
	if (old->uid[ID_EFFECTIVE] != 0 && new->uid[ID_EFFECTIVE] == 0)
		new->effective = new->permitted;
}

static bool one_of_three(const uint32_t id[ID_KINDS], uint32_t v, bool saved_too)
{
	return v == id[ID_REAL] || v == id[ID_EFFECTIVE] || (saved_too && v == id[ID_SAVED]);
}

/* What each family of calls does with the ids of one kind. Return: 0 or -EPERM. */
typedef int (*id_change)(const struct call *c, const uint32_t old[ID_KINDS], bool free,
			 uint32_t id[ID_KINDS]);

static int change_one(const struct call *c, const uint32_t old[ID_KINDS], bool free,
		      uint32_t id[ID_KINDS])
{
	uint32_t v = arg_u32(c, 0);

	if (v == NO_ID)
		return -EINVAL;
	if (free)
		id[ID_REAL] = id[ID_SAVED] = v;
	else if (v != old[ID_REAL] && v != old[ID_SAVED])
		return -EPERM;
	id[ID_EFFECTIVE] = id[ID_FS] = v;
	return 0;
}

/* setregid(2) allows for the effective id what setreuid(2) does. */
static int change_two(const struct call *c, const uint32_t old[ID_KINDS], bool free,
		      uint32_t id[ID_KINDS])
{
	uint32_t r = arg_u32(c, 0), e = arg_u32(c, 1);

	if (r != NO_ID && !free && !one_of_three(old, r, false))
		return -EPERM;
	if (e != NO_ID && !free && !one_of_three(old, e, true))
		return -EPERM;
	if (r != NO_ID)
		id[ID_REAL] = r;
	if (e != NO_ID)
		id[ID_EFFECTIVE] = e;
	if (r != NO_ID || (e != NO_ID && e != old[ID_REAL]))
		id[ID_SAVED] = id[ID_EFFECTIVE];
	id[ID_FS] = id[ID_EFFECTIVE];
	return 0;
}

static int change_three(const struct call *c, const uint32_t old[ID_KINDS], bool free,
			uint32_t id[ID_KINDS])
{
	for (int i = ID_REAL; i <= ID_SAVED; i++) {
		uint32_t v = arg_u32(c, i);

		if (v != NO_ID && !free && !one_of_three(old, v, true))
			return -EPERM;
		if (v != NO_ID)
			id[i] = v;
	}
	id[ID_FS] = id[ID_EFFECTIVE];
	return 0;
}

static long change(struct kernel *k, struct call *c, bool group, id_change how)
{
	struct idcred old, new;
	int err = guestids_caller(k, c, &old);

	if (err < 0)
		return err;
	new = old;
	err = group ? how(c, old.gid, idcred_capable(&old, CAP_SETGID), new.gid) :
		      how(c, old.uid, idcred_capable(&old, CAP_SETUID), new.uid);
	if (err == 0 && !group)
		fix_caps(&old, &new);
	if (err == 0 && !call_valid(c))
		err = -ESRCH;
	return err < 0 ? err : idcred_set(k->ids->creds, c->tid, &new);
}

long ids_setuid(struct kernel *k, struct call *c)
{
	return change(k, c, false, change_one);
}

long ids_setgid(struct kernel *k, struct call *c)
{
	return change(k, c, true, change_one);
}

long ids_setreuid(struct kernel *k, struct call *c)
{
	return change(k, c, false, change_two);
}

long ids_setregid(struct kernel *k, struct call *c)
{
	return change(k, c, true, change_two);
}

long ids_setresuid(struct kernel *k, struct call *c)
{
	return change(k, c, false, change_three);
}

long ids_setresgid(struct kernel *k, struct call *c)
{
	return change(k, c, true, change_three);
}

/* setfsuid(2) and setfsgid(2) answer with the id that held before, and with no error. */
static long change_fs(struct kernel *k, struct call *c, bool group)
{
	struct idcred cred;
	uint32_t *id, v = arg_u32(c, 0), old;
	int err = guestids_caller(k, c, &cred);

	if (err < 0)
		return err;
	id = group ? cred.gid : cred.uid;
	old = id[ID_FS];
	if (v == NO_ID || !(one_of_three(id, v, true) || v == old ||
			    idcred_capable(&cred, group ? CAP_SETGID : CAP_SETUID)))
		return old;
	id[ID_FS] = v;
	if (!group && old == 0 && v != 0)
		cred.effective &= ~FS_CAPS;
	if (!group && old != 0 && v == 0)
		cred.effective |= cred.permitted & FS_CAPS;
	if (v != old && call_valid(c))
		idcred_set(k->ids->creds, c->tid, &cred);
	return old;
}

long ids_setfsuid(struct kernel *k, struct call *c)
{
	return change_fs(k, c, false);
}

long ids_setfsgid(struct kernel *k, struct call *c)
{
	return change_fs(k, c, true);
}

long ids_setgroups(struct kernel *k, struct call *c)
{
	uint32_t n = arg_u32(c, 0);
	struct idcred cred;
	int err = guestids_caller(k, c, &cred);

	if (err < 0)
		return err;
	if (!idcred_capable(&cred, CAP_SETGID))
		return -EPERM;
	if (n > IDCRED_MAX_GROUPS)
		return -EINVAL;
	memset(cred.group, 0, sizeof(cred.group));
	cred.ngroups = n;
	err = arg_copy_in(c, 1, cred.group, n * sizeof(cred.group[0]));
	return err < 0 ? err : idcred_set(k->ids->creds, c->tid, &cred);
}

/* ---- the limit that carries it -------------------------------------------- */

static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

/* RLIMIT_LOCKS has no effect: what is set is forgotten, what is asked is as it was. */
long ids_setrlimit(struct kernel *k, struct call *c)
{
	return arg_u32(c, 0) == RLIMIT_LOCKS ? 0 : sys_setrlimit(k, c);
}

long ids_getrlimit(struct kernel *k, struct call *c)
{
	if (arg_u32(c, 0) != RLIMIT_LOCKS)
		return ids_continue(c);
	return arg_copy_out(c, 1, &unlimited, sizeof(unlimited));
}

long ids_prlimit64(struct kernel *k, struct call *c)
{
	if (arg_u32(c, 1) != RLIMIT_LOCKS)
		return sys_prlimit64(k, c);
	return c->arg[3] ? arg_copy_out(c, 3, &unlimited, sizeof(unlimited)) : 0;
}
