/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asuser.c - run a program as a user of the guest, with no rights of guest root
 *
 *   asuser PROGRAM [ARG...]
 */
#include <grp.h>
#include <sys/prctl.h>

#include "../guest/t.h"

#define USER 1000

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (setgroups(0, NULL) == -1 || setresgid(USER, USER, USER) == -1 ||
	    setresuid(USER, USER, USER) == -1) {
		printf("SKIP the guest has no user %d: %s\n", USER, t_errno(errno));
		return 77;
	}
	execv(argv[1], argv + 1);
	printf("SKIP %s cannot be run as a user: %s\n", argv[1], t_errno(errno));
	return 77;
}
