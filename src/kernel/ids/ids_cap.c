/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_cap.c - capabilities of a guest user, capabilities(7)
 */
#include <errno.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "kernel/ids/guestids.h"
#include "kernel/util.h"

/* capget(2): version 1 has 32 bits of each set. */
static int words_of(uint32_t version)
{
	switch (version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return 1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return 2;
	default:
		return -EINVAL;
	}
}

/* Return: words, or -EINVAL after telling the version that we speak. */
static int read_header(struct call *c, struct __user_cap_header_struct *h)
{
	int ret = arg_copy_in(c, 0, h, sizeof(*h)), words;
	uint32_t best = _LINUX_CAPABILITY_VERSION_3;

	if (ret < 0)
		return ret;
	words = words_of(h->version);
	if (words < 0) {
		ret = arg_copy_out(c, 0, &best, sizeof(best));
		return ret < 0 ? ret : words;
	}
	return words;
}

static bool is_caller(const struct call *c, pid_t pid)
{
	pid_t tid = 0;

	return pid == 0 || (guestids_guest_pid(c->tid, &tid) > 0 && tid == pid);
}

long ids_capget(struct kernel *k, struct call *c)
{
	struct __user_cap_data_struct d[2];
	struct __user_cap_header_struct h;
	int words = read_header(c, &h), err;
	struct idcred cred;

	if (words < 0)
		return words == -EINVAL && !c->arg[1] ? 0 : words;
	if (h.pid < 0)
		return -EINVAL;
	err = guestids_of_pid(k, c, is_caller(c, h.pid) ? 0 : h.pid, &cred);
	if (err < 0)
		return err;
	for (int i = 0; i < words; i++)
		d[i] = (struct __user_cap_data_struct){
			.effective = cred.effective >> 32 * i,
			.permitted = cred.permitted >> 32 * i,
			.inheritable = cred.inheritable >> 32 * i,
		};
	return c->arg[1] ? arg_copy_out(c, 1, d, words * sizeof(d[0])) : 0;
}

/* The rules of capabilities(7), "Programmatically adjusting capability sets". */
static int check_change(const struct idcred *old, const struct idcred *new)
{
	if (new->inheritable & ~(old->inheritable | old->bounding))
		return -EPERM;
	if (!idcred_capable(old, CAP_SETPCAP) &&
	    (new->inheritable & ~(old->inheritable | old->permitted)))
		return -EPERM;
	if (new->permitted & ~old->permitted)
		return -EPERM;
	return new->effective & ~new->permitted ? -EPERM : 0;
}

long ids_capset(struct kernel *k, struct call *c)
{
	struct __user_cap_data_struct d[2] = {};
	struct __user_cap_header_struct h;
	int words = read_header(c, &h), err;
	struct idcred old, new;

	if (words < 0)
		return words;
	if (!is_caller(c, h.pid))
		return -EPERM;
	err = arg_copy_in(c, 1, d, words * sizeof(d[0]));
	if (err == 0)
		err = guestids_caller(k, c, &old);
	if (err < 0)
		return err;
	new = old;
	new.effective = d[0].effective | (uint64_t)d[1].effective << 32;
	new.permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	new.inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	/* Bits beyond the last capability are not looked at, as by the host. */
	new.effective &= BIT(CAP_LAST_CAP + 1) - 1;
	new.permitted &= BIT(CAP_LAST_CAP + 1) - 1;
	new.inheritable &= BIT(CAP_LAST_CAP + 1) - 1;
	err = check_change(&old, &new);
	new.ambient &= new.permitted & new.inheritable;
	return err < 0 ? err : idcred_set(k->ids->creds, c->tid, &new);
}

/* ---- prctl(2) ------------------------------------------------------------- */

static long bounding_read(struct idcred *cred, uint64_t cap, uint64_t unused)
{
	return cap <= CAP_LAST_CAP ? (long)(cred->bounding >> cap & 1) : -EINVAL;
}

static long bounding_drop(struct idcred *cred, uint64_t cap, uint64_t unused)
{
	if (!idcred_capable(cred, CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	cred->bounding &= ~BIT(cap);
	return 0;
}

static long securebits_get(struct idcred *cred, uint64_t unused, uint64_t unused2)
{
	return cred->securebits;
}

static long securebits_set(struct idcred *cred, uint64_t bits, uint64_t unused)
{
	uint32_t old = cred->securebits, locked = (old & SECURE_ALL_LOCKS) >> 1;

	if ((locked & (old ^ bits)) || (old & SECURE_ALL_LOCKS & ~bits) ||
	    (bits & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)) ||
	    !idcred_capable(cred, CAP_SETPCAP))
		return -EPERM;
	cred->securebits = bits;
	return 0;
}

static long keep_caps_get(struct idcred *cred, uint64_t unused, uint64_t unused2)
{
	return !!(cred->securebits & SECBIT_KEEP_CAPS);
}

static long keep_caps_set(struct idcred *cred, uint64_t on, uint64_t unused)
{
	if (on > 1)
		return -EINVAL;
	if (cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	cred->securebits &= ~SECBIT_KEEP_CAPS;
	cred->securebits |= on ? SECBIT_KEEP_CAPS : 0;
	return 0;
}

static long ambient(struct idcred *cred, uint64_t what, uint64_t cap)
{
	if (what == PR_CAP_AMBIENT_CLEAR_ALL) {
		cred->ambient = 0;
		return 0;
	}
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	switch (what) {
	case PR_CAP_AMBIENT_IS_SET:
		return cred->ambient >> cap & 1;
	case PR_CAP_AMBIENT_LOWER:
		cred->ambient &= ~BIT(cap);
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		if (!(cred->permitted & cred->inheritable & BIT(cap)) ||
		    (cred->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
		cred->ambient |= BIT(cap);
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct {
	int option;
	long (*act)(struct idcred *cred, uint64_t a, uint64_t b);
} options[] = {
	{ PR_CAPBSET_READ, bounding_read },
	{ PR_CAPBSET_DROP, bounding_drop },
	{ PR_GET_SECUREBITS, securebits_get },
	{ PR_SET_SECUREBITS, securebits_set },
	{ PR_GET_KEEPCAPS, keep_caps_get },
	{ PR_SET_KEEPCAPS, keep_caps_set },
	{ PR_CAP_AMBIENT, ambient },
};

long ids_prctl(struct kernel *k, struct call *c)
{
	struct idcred cred, old;
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		long ret;

		if (options[i].option != arg_int(c, 0))
			continue;
		err = guestids_caller(k, c, &cred);
		if (err < 0)
			return err;
		old = cred;
		ret = options[i].act(&cred, c->arg[1], c->arg[2]);
		if (ret < 0 || memcmp(&old, &cred, sizeof(cred)) == 0)
			return ret;
		err = call_valid(c) ? idcred_set(k->ids->creds, c->tid, &cred) : -ESRCH;
		return err < 0 ? err : ret;
	}
	return sys_prctl(k, c);
}
