/* SPDX-License-Identifier: Apache-2.0 */
/* swap.c - swapon, swapoff, acct and quotactl are not for a guest */
#include <sys/quota.h>
#include <sys/swap.h>

#include "t.h"

int main(void)
{
	enter_dir();
	write_file("file", "not a swap file");
	say("swapon", swapon("file", 0));
	say("swapon of a missing file", swapon("missing", 0));
	say("swapoff", swapoff("file"));
	say("acct on", acct("file"));
	say("acct off", acct(NULL));
	say("quotactl", quotactl(QCMD(Q_SYNC, USRQUOTA), "/dev/null", 0, NULL));
	return t_failed;
}
