/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestids.h - a guest whose users and owners the guest kernel keeps
 *
 * With [ids] uid = single the host gives one id. The calls of ids_calls.def then
 * stop (policy_ids.c), and are answered from two tables: who a task is (idcred.h)
 * and whose a file is (idowner.h). It is fidelity: programs of a multi-user system
 * find what they expect. It is no isolation between the guest's users: to the host
 * they are one, and a call that does not stop knows no difference.
 */
#ifndef WEIR_KERNEL_GUESTIDS_H
#define WEIR_KERNEL_GUESTIDS_H

#include "kernel/ids/idcred.h"
#include "kernel/ids/idowner.h"
#include "kernel/ids/idreach.h"
#include "kernel/ids/idwalk.h"
#include "kernel/kernel.h"
#include "kernel/syscall.h"

struct guest_ids {
	struct idcred_table *creds;
	struct idowner_list *owners;
	struct idreach reach;
};

#define IDS_CALL(nr, name) long ids_##name(struct kernel *k, struct call *c);
#include "kernel/ids/ids_calls.def"
#undef IDS_CALL

/* Boot: makes k->ids if the policy wants it. */
int guestids_init(struct kernel *k, struct ns_error *err);
void guestids_exit(struct kernel *k);

/* The caller's credentials. Return: 0 or -ESRCH. */
int guestids_caller(struct kernel *k, const struct call *c, struct idcred *ret);

/* Those of a process or thread by the guest's number, 0 is the caller. -ESRCH: none
 * that we know. @c may be NULL if @pid is not 0. */
int guestids_of_pid(struct kernel *k, const struct call *c, pid_t pid, struct idcred *ret);

/* The numbers of a host thread's process and (@ret_tid) of itself in its own pid
 * namespace; negative if there is none. */
pid_t guestids_guest_pid(pid_t host_tid, pid_t *ret_tid);

/* The caller's umask(2); 022 if it has gone. */
mode_t guestids_umask(const struct call *c);

/* ids_make.c: who owns what @cred makes in the directory of @w with @mode. */
void ids_new_owner(const struct idwalk *w, const struct idcred *cred, mode_t mode,
		   struct idowner *ret);

/* ids_owner.c: the file is written to by @cred: a set-id program is none afterwards,
 * unless by CAP_FSETID. */
int ids_written(struct kernel *k, const struct idwalk *w, const struct idcred *cred);

/* ids_file.c: /proc/PID/status with the lines that are ours. Return: as a handler, or
 * 1 if it is the host's to answer. */
long ids_proc_status(struct kernel *k, struct call *c, const struct idwalk *w, bool cloexec);

/* What an exec makes of credentials: of a file with these owners and set-id bits. */
void ids_exec_cred(const struct idcred *old, const struct idowner *own, mode_t mode,
		   bool no_new_privs, struct idcred *ret);

/* How the host does the rest of a call whose rights were looked at. */
static inline long ids_continue(struct call *c)
{
	return call_continue(c, "rights between the users of a guest with one host id are "
				"fidelity and no boundary: what a changed argument reaches is "
				"what that one id may reach anyway");
}

#endif
