/* SPDX-License-Identifier: Apache-2.0 */
/* mqueue.c - POSIX message queues: priorities, timeout, notification, the mount */
#include <mqueue.h>

#include "t.h"

int main(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 32 };
	struct timespec past = { .tv_sec = 1 };
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	unsigned prio = 0;
	char buf[32];
	mqd_t q = mq_open("/weir-test", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);

	say("mq_open", q);
	if (q == (mqd_t)-1)
		return 0;
	say("send", mq_send(q, "low", 4, 1));
	say("send", mq_send(q, "high", 5, 9));
	say_number("receive", mq_receive(q, buf, sizeof(buf), &prio));
	check("the high one comes first", prio == 9 && strcmp(buf, "high") == 0);
	say_number("receive", mq_receive(q, buf, sizeof(buf), &prio));
	say("receive of nothing, with a time long past",
	    mq_timedreceive(q, buf, sizeof(buf), NULL, &past));
	say("notify", mq_notify(q, &ev));
	say("too long", mq_send(q, buf, 33, 0));
	say("unlink", mq_unlink("/weir-test"));
	say("open what is gone", mq_open("/weir-test", O_RDONLY));
	return t_failed;
}
