/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_idcred.c - credentials that the guest kernel keeps: what calls and set-id programs
 * make of them, and that they go where a process goes
 *
 * What is expected was written down from credentials(7), capabilities(7) and the pages of
 * the calls; suite ids compares with a real system. Includes ids_cred.c: there is no door
 * here whose caller could be gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/ids/guestids.h"

#define call_valid(c) ((void)(c), true)
#include "../../src/kernel/ids/ids_cred.c"
#undef call_valid

#define BOUND (BIT(CAP_CHOWN) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_KILL))
#define NOT (-1)	/* an id that is left as it is */

static struct guest_ids guest;
static struct kernel kernel = { .ids = &guest };

static int make_table(void **state)
{
	guest.creds = idcred_create(BOUND);
	return guest.creds && idcred_probe() == 0 ? 0 : -1;
}

static int free_table(void **state)
{
	idcred_destroy(guest.creds);
	return 0;
}

static struct idcred of(pid_t pid)
{
	struct idcred c;

	assert_int_equal(idcred_get(guest.creds, pid, &c), 0);
	return c;
}

/* Begin with these ids, and with all capabilities or none. */
static void begin(const uint32_t uid[3], bool caps)
{
	struct idcred c = { .bounding = BOUND };

	for (int i = 0; i < 3; i++)
		c.uid[i] = c.gid[i] = uid[i];
	c.uid[ID_FS] = c.gid[ID_FS] = uid[ID_EFFECTIVE];
	c.permitted = caps ? BOUND : 0;
	c.effective = caps && uid[ID_EFFECTIVE] == 0 ? BOUND : 0;
	assert_int_equal(idcred_set(guest.creds, getpid(), &c), 0);
}

typedef long (*handler)(struct kernel *k, struct call *c);

/* clang-format off */
static const struct change {
	uint32_t from[3];
	bool caps;
	handler uids, gids;	/* the same call for users and for groups; gids NULL: none */
	int arg[3];
	long ret;
	uint32_t to[4];		/* real, effective, saved, file system */
	char permitted, effective;	/* + all, - none: of users */
} changes[] = {
	/* setuid(2): root gives up all three, for good */
	{ { 0, 0, 0 }, true, ids_setuid, ids_setgid, { 7 }, 0, { 7, 7, 7, 7 }, '-', '-' },
	{ { 0, 0, 0 }, true, ids_setuid, ids_setgid, { NOT }, -EINVAL, { 0, 0, 0, 0 }, '+', '+' },
	/* ... a set-id program goes to and fro between real and saved */
	{ { 7, 8, 8 }, false, ids_setuid, ids_setgid, { 7 }, 0, { 7, 7, 8, 7 }, '-', '-' },
	{ { 7, 7, 8 }, false, ids_setuid, ids_setgid, { 8 }, 0, { 7, 8, 8, 8 }, '-', '-' },
	{ { 7, 7, 8 }, false, ids_setuid, ids_setgid, { 9 }, -EPERM, { 7, 7, 8, 7 }, '-', '-' },
	/* ... the effective id alone is nothing that it may be set to */
	{ { 7, 8, 9 }, false, ids_setuid, ids_setgid, { 8 }, -EPERM, { 7, 8, 9, 8 }, '-', '-' },
	/* setreuid(2): the saved one follows where the real one is set ... */
	{ { 7, 7, 7 }, false, ids_setreuid, ids_setregid, { 7, 7 }, 0, { 7, 7, 7, 7 }, '-', '-' },
	{ { 7, 8, 8 }, false, ids_setreuid, ids_setregid, { 8, 7 }, 0, { 8, 7, 7, 7 }, '-', '-' },
	/* ... or the effective one becomes another than the real was, and not else */
	{ { 7, 8, 9 }, false, ids_setreuid, ids_setregid, { NOT, 7 }, 0, { 7, 7, 9, 7 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setreuid, ids_setregid, { NOT, 9 }, 0, { 7, 9, 9, 9 }, '-', '-' },
	/* ... the saved one is none for the real */
	{ { 7, 8, 9 }, false, ids_setreuid, ids_setregid, { 9, NOT }, -EPERM, { 7, 8, 9, 8 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setreuid, ids_setregid, { 1, 1 }, -EPERM, { 7, 8, 9, 8 }, '-', '-' },
	/* setresuid(2): any of the three for any of the three */
	{ { 7, 8, 9 }, false, ids_setresuid, ids_setresgid, { 9, 7, 8 }, 0, { 9, 7, 8, 7 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setresuid, ids_setresgid, { NOT, NOT, 7 }, 0, { 7, 8, 7, 8 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setresuid, ids_setresgid, { NOT, 1, NOT }, -EPERM, { 7, 8, 9, 8 }, '-', '-' },
	/* capabilities(7): lost with the last 0, effective with the effective 0 */
	{ { 0, 0, 0 }, true, ids_setresuid, NULL, { 7, 7, 0 }, 0, { 7, 7, 0, 7 }, '+', '-' },
	{ { 0, 0, 0 }, true, ids_setresuid, NULL, { 7, 7, 7 }, 0, { 7, 7, 7, 7 }, '-', '-' },
	{ { 7, 7, 0 }, true, ids_setresuid, NULL, { NOT, 0, NOT }, 0, { 7, 0, 0, 0 }, '+', '+' },
	{ { 7, 7, 0 }, true, ids_setuid, NULL, { 0 }, 0, { 7, 0, 0, 0 }, '+', '+' },
	{ { 0, 0, 0 }, true, ids_setreuid, NULL, { 7, NOT }, 0, { 7, 0, 0, 0 }, '+', '+' },
	/* setfsuid(2) answers with the one before, whether it did anything or not */
	{ { 0, 0, 0 }, false, ids_setfsuid, ids_setfsgid, { 0 }, 0, { 0, 0, 0, 0 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setfsuid, ids_setfsgid, { 9 }, 8, { 7, 8, 9, 9 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setfsuid, ids_setfsgid, { 1 }, 8, { 7, 8, 9, 8 }, '-', '-' },
	{ { 7, 8, 9 }, false, ids_setfsuid, ids_setfsgid, { NOT }, 8, { 7, 8, 9, 8 }, '-', '-' },
};
/* clang-format on */

static uint64_t meant(char c)
{
	return c == '+' ? BOUND : 0;
}

static void one_change(size_t i, bool group)
{
	const struct change *t = &changes[i];
	struct call c = { .tid = getpid() };
	struct idcred now;
	long ret;

	for (int a = 0; a < 3; a++)	/* the upper half is not looked at */
		c.arg[a] = (uint32_t)t->arg[a] | UINT64_C(0xdeadbeef) << 32;
	begin(t->from, t->caps);
	ret = group ? t->gids(&kernel, &c) : t->uids(&kernel, &c);
	now = of(getpid());
	if (ret != t->ret || memcmp(group ? now.gid : now.uid, t->to, sizeof(t->to)) != 0 ||
	    (!group && (now.permitted != meant(t->permitted) || now.effective != meant(t->effective))))
		fail_msg("%s, row %zu: %ld, %u %u %u %u, permitted %#llx, effective %#llx",
			 group ? "groups" : "users", i, ret, now.uid[0], now.uid[1], now.uid[2],
			 now.uid[3], (unsigned long long)now.permitted,
			 (unsigned long long)now.effective);
}

static void test_changes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		one_change(i, false);
		/* For groups the right is CAP_SETGID, which no row without caps has. */
		if (changes[i].gids)
			one_change(i, true);
	}
}

static void test_keep_caps(void **state)
{
	struct call c = { .tid = getpid(), .arg = { 7 } };
	struct idcred cred = of(getpid());

	memset(&cred, 0, sizeof(cred));
	cred.permitted = cred.effective = cred.ambient = BOUND;
	cred.securebits = SECBIT_KEEP_CAPS;
	assert_int_equal(idcred_set(guest.creds, getpid(), &cred), 0);
	assert_int_equal(ids_setuid(&kernel, &c), 0);
	cred = of(getpid());
	assert_true(cred.permitted == BOUND && cred.effective == 0 && cred.ambient == 0);

	cred.uid[ID_EFFECTIVE] = cred.uid[ID_FS] = 0;
	cred.effective = BOUND;
	cred.securebits = SECBIT_NO_SETUID_FIXUP;
	assert_int_equal(idcred_set(guest.creds, getpid(), &cred), 0);
	assert_int_equal(ids_setuid(&kernel, &c), 0);
	cred = of(getpid());
	assert_true(cred.permitted == BOUND && cred.effective == BOUND);
}

/* ---- exec ------------------------------------------------------------------ */

/* clang-format off */
static const struct exec {
	uint32_t from[3], securebits;
	uint64_t ambient;
	struct idowner own;
	mode_t mode;
	bool no_new_privs;
	uint32_t uid[4], egid;
	char permitted, effective, ambient_then;	/* a: the ambient ones */
} execs[] = {
	/* a plain program: saved ones are the effective ones; a user has nothing */
	{ { 7, 8, 9 }, 0, 0, { 0, 0, 0 }, 0755, false, { 7, 8, 8, 8 }, 8, '-', '-', '-' },
	{ { 7, 7, 7 }, 0, BIT(CAP_KILL), { 0, 0, 0 }, 0755, false, { 7, 7, 7, 7 }, 7, 'a', 'a', 'a' },
	/* root has all, by its real id without effect */
	{ { 0, 0, 0 }, 0, 0, { 0, 0, 0 }, 0755, false, { 0, 0, 0, 0 }, 0, '+', '+', '-' },
	{ { 0, 7, 7 }, 0, 0, { 0, 0, 0 }, 0755, false, { 0, 7, 7, 7 }, 7, '+', '-', '-' },
	{ { 0, 0, 0 }, SECBIT_NOROOT, 0, { 0, 0, 0 }, 0755, false, { 0, 0, 0, 0 }, 0, '-', '-', '-' },
	/* set-uid */
	{ { 7, 7, 7 }, 0, 0, { 0, 5, S_ISUID }, 0755, false, { 7, 0, 0, 0 }, 7, '+', '+', '-' },
	{ { 7, 7, 7 }, 0, BIT(CAP_KILL), { 8, 5, S_ISUID }, 0755, false, { 7, 8, 8, 8 }, 7, '-', '-', '-' },
	{ { 7, 7, 7 }, 0, 0, { 0, 5, S_ISUID }, 0755, true, { 7, 7, 7, 7 }, 7, '-', '-', '-' },
	{ { 0, 0, 0 }, 0, 0, { 8, 5, S_ISUID }, 0755, false, { 0, 8, 8, 8 }, 0, '+', '-', '-' },
	/* set-gid, which without the group's x is mandatory locking of old */
	{ { 7, 7, 7 }, 0, 0, { 0, 5, S_ISGID }, 0755, false, { 7, 7, 7, 7 }, 5, '-', '-', '-' },
	{ { 7, 7, 7 }, 0, 0, { 0, 5, S_ISGID }, 0745, false, { 7, 7, 7, 7 }, 7, '-', '-', '-' },
	{ { 7, 7, 7 }, 0, 0, { 0, 5, S_ISUID | S_ISGID }, 0755, false, { 7, 0, 0, 0 }, 5, '+', '+', '-' },
};
/* clang-format on */

static void test_exec(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(execs); i++) {
		const struct exec *t = &execs[i];
		struct idcred old = { .bounding = BOUND, .securebits = t->securebits }, new;
		uint64_t a = t->ambient;

		for (int n = 0; n < 3; n++)
			old.uid[n] = old.gid[n] = t->from[n];
		old.uid[ID_FS] = old.gid[ID_FS] = t->from[ID_EFFECTIVE];
		old.inheritable = old.permitted = old.ambient = a;
		ids_exec_cred(&old, &t->own, S_IFREG | t->mode, t->no_new_privs, &new);
		if (memcmp(new.uid, t->uid, sizeof(t->uid)) != 0 || new.gid[ID_EFFECTIVE] != t->egid ||
		    new.gid[ID_SAVED] != t->egid || new.gid[ID_REAL] != old.gid[ID_REAL] ||
		    new.permitted != (t->permitted == 'a' ? a : meant(t->permitted)) ||
		    new.effective != (t->effective == 'a' ? a : meant(t->effective)) ||
		    new.ambient != (t->ambient_then == 'a' ? a : 0) || new.bounding != BOUND)
			fail_msg("row %zu: %u %u %u %u, group %u, permitted %#llx, effective %#llx, "
				 "ambient %#llx", i, new.uid[0], new.uid[1], new.uid[2], new.uid[3],
				 new.gid[ID_EFFECTIVE], (unsigned long long)new.permitted,
				 (unsigned long long)new.effective, (unsigned long long)new.ambient);
	}
}

/* ---- a mode and who asks, path_resolution(7) ------------------------------- */

static void test_may(void **state)
{
	static const struct {
		uint32_t uid, gid, group;	/* group: a supplementary one */
		uint64_t caps;
		mode_t mode;			/* of a file of 7:8 */
		int want;
		bool may;
	} rows[] = {
		{ 7, 1, 1, 0, S_IFREG | 0400, R_OK, true },
		{ 7, 8, 8, 0, S_IFREG | 0077, R_OK, false },	/* the first that fits counts */
		{ 1, 8, 1, 0, S_IFREG | 0040, R_OK, true },
		{ 1, 1, 8, 0, S_IFREG | 0040, R_OK, true },
		{ 1, 8, 8, 0, S_IFREG | 0404, R_OK, false },
		{ 1, 1, 1, 0, S_IFREG | 0004, R_OK, true },
		{ 1, 1, 1, 0, S_IFREG | 0004, R_OK | W_OK, false },
		{ 1, 1, 1, BIT(CAP_DAC_OVERRIDE), S_IFREG | 0000, R_OK | W_OK, true },
		{ 1, 1, 1, BIT(CAP_DAC_OVERRIDE), S_IFREG | 0666, X_OK, false },
		{ 1, 1, 1, BIT(CAP_DAC_OVERRIDE), S_IFREG | 0010, X_OK, true },
		{ 1, 1, 1, BIT(CAP_DAC_OVERRIDE), S_IFDIR | 0000, X_OK | W_OK, true },
		{ 1, 1, 1, BIT(CAP_DAC_READ_SEARCH), S_IFREG | 0000, R_OK, true },
		{ 1, 1, 1, BIT(CAP_DAC_READ_SEARCH), S_IFREG | 0000, R_OK | W_OK, false },
		{ 1, 1, 1, BIT(CAP_DAC_READ_SEARCH), S_IFDIR | 0000, R_OK | X_OK, true },
		{ 1, 1, 1, BIT(CAP_DAC_READ_SEARCH), S_IFDIR | 0000, W_OK, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct idcred c = { .effective = rows[i].caps, .ngroups = 1, .group = { rows[i].group } };

		c.uid[ID_FS] = rows[i].uid;
		c.gid[ID_FS] = rows[i].gid;
		if (idcred_may(&c, 7, 8, rows[i].mode, rows[i].want) != rows[i].may)
			fail_msg("row %zu", i);
	}
}

/* ---- where they are kept --------------------------------------------------- */

/* A process that becomes another program, or tries to, when it is told. */
struct program {
	pid_t pid;
	int in, out;
};

static void program_start(struct program *p, const char *program)
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		char c;

		dup2(in[0], 0);
		dup2(out[1], 1);
		if (read(0, &c, 1) == 1)
			execl(program, program, NULL);
		if (write(1, "-", 1) == 1 && read(0, &c, 1) == 1)	/* it failed */
			pause();
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	p->in = in[1];
	p->out = out[0];
}

/* Go on, and come back when the program (cat) has answered, or could not be had. */
static void program_exec(struct program *p)
{
	char c;

	assert_int_equal(write(p->in, "ab", 2), 2);
	assert_int_equal(read(p->out, &c, 1), 1);
}

static void program_end(struct program *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->in);
	close(p->out);
}

static const struct idcred user = { .uid = { 7, 7, 7, 7 }, .gid = { 7, 7, 7, 7 } };
static const struct idcred other = { .uid = { 7, 8, 8, 8 }, .gid = { 7, 7, 7, 7 } };

static void test_inherited(void **state)
{
	struct program p;

	assert_int_equal(idcred_set(guest.creds, getpid(), &user), 0);
	program_start(&p, "/bin/cat");
	assert_int_equal(of(p.pid).uid[ID_REAL], 7);
	program_exec(&p);
	assert_int_equal(of(p.pid).uid[ID_REAL], 7);
	program_end(&p);
	assert_int_equal(idcred_get(guest.creds, p.pid, &(struct idcred){ 0 }), -ESRCH);
}

static void test_at_exec(void **state)
{
	struct program p;

	assert_int_equal(idcred_set(guest.creds, getpid(), &user), 0);
	program_start(&p, "/bin/cat");
	assert_int_equal(idcred_set_at_exec(guest.creds, p.pid, &other), 0);
	assert_int_equal(of(p.pid).uid[ID_EFFECTIVE], 7);
	program_exec(&p);
	assert_int_equal(of(p.pid).uid[ID_EFFECTIVE], 8);
	program_end(&p);
}

static void test_exec_that_fails(void **state)
{
	struct program p;

	assert_int_equal(idcred_set(guest.creds, getpid(), &user), 0);
	program_start(&p, "/nowhere/cat");
	assert_int_equal(idcred_set_at_exec(guest.creds, p.pid, &other), 0);
	program_exec(&p);
	assert_int_equal(of(p.pid).uid[ID_EFFECTIVE], 7);
	/* Nor after the next try. */
	assert_int_equal(idcred_set_at_exec(guest.creds, p.pid, &other), 0);
	assert_int_equal(of(p.pid).uid[ID_EFFECTIVE], 7);
	program_end(&p);
}

static void test_a_set_is_kept_once(void **state)
{
	struct rlimit a, b;

	assert_int_equal(idcred_set(guest.creds, getpid(), &user), 0);
	getrlimit(RLIMIT_LOCKS, &a);
	assert_int_equal(idcred_set(guest.creds, getpid(), &other), 0);
	getrlimit(RLIMIT_LOCKS, &b);
	assert_true(a.rlim_cur != b.rlim_cur);
	assert_false(idcred_is_initial(getpid()));
	assert_int_equal(idcred_set(guest.creds, getpid(), &user), 0);
	getrlimit(RLIMIT_LOCKS, &b);
	assert_true(a.rlim_cur == b.rlim_cur);
	begin((const uint32_t[]){ 0, 0, 0 }, true);
	assert_true(idcred_is_initial(getpid()));
}

/* In a table of its own: a full one refuses what is new, and keeps what it has. */
static void test_full_table(void **state)
{
	struct idcred_table *t = idcred_create(BOUND);
	struct idcred c = user;
	int err = 0;

	for (uint32_t i = 0; i < IDCRED_MAX_SETS && err == 0; i++) {
		c.uid[ID_REAL] = 100 + i;
		err = idcred_set(t, getpid(), &c);
	}
	assert_int_equal(err, 0);
	c.uid[ID_REAL] = 1;
	assert_int_equal(idcred_set(t, getpid(), &c), -EAGAIN);
	assert_int_equal(idcred_set_at_exec(t, getpid(), &c), -EAGAIN);
	c.uid[ID_REAL] = 100;
	assert_int_equal(idcred_set(t, getpid(), &c), 0);
	assert_int_equal(idcred_get(t, getpid(), &c), 0);
	assert_int_equal(c.uid[ID_REAL], 100);
	idcred_destroy(t);
	begin((const uint32_t[]){ 0, 0, 0 }, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_keep_caps),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_may),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_at_exec),
		cmocka_unit_test(test_exec_that_fails),
		cmocka_unit_test(test_a_set_is_kept_once),
		cmocka_unit_test(test_full_table),
	};

	return cmocka_run_group_tests_name("idcred", tests, make_table, free_table);
}
