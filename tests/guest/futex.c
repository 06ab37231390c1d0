/* SPDX-License-Identifier: Apache-2.0 */
/* futex.c - wait, wake, requeue, timeouts, priority inheritance without requeue, robust lists */
#include <linux/futex.h>
#include <pthread.h>

#include "t.h"

static int word;

static long futex(int *at, int op, int val, const struct timespec *ts, int *at2, int val3)
{
	return syscall(SYS_futex, at, op, val, ts, at2, val3);
}

static void *waiter(void *arg)
{
	(void)arg;
	while (futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == -1 && errno == EINTR)
		;
	return NULL;
}

static pthread_mutex_t pi_lock, robust;
static long counter;

static void *adds(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&pi_lock);
		counter++;
		pthread_mutex_unlock(&pi_lock);
	}
	return NULL;
}

static void *dies_holding(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&robust);
	return NULL;
}

int main(void)
{
	struct timespec soon = { .tv_nsec = 10000000 }, when;
	pthread_mutexattr_t attr;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t t[4];
	int other = 0, woken = 0;

	say("wait for another value", futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
	say("wait with a timeout", futex(&word, FUTEX_WAIT_PRIVATE, 0, &soon, NULL, 0));
	pthread_create(&t[0], NULL, waiter, NULL);
	while (!woken) {
		usleep(1000);
		woken = futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	pthread_join(t[0], NULL);
	say_number("woken", woken);
	say_number("requeue of nobody",
		   futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1L, &other, 0));
	say("a bad address", futex((int *)8, FUTEX_WAIT, 0, NULL, NULL, 0));
	say("an odd address", futex((int *)((char *)&word + 1), FUTEX_WAKE, 1, NULL, NULL, 0));

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	check("a PI mutex", pthread_mutex_init(&pi_lock, &attr) == 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, adds, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	fact("added under it", "%ld", counter);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_create(&t[0], NULL, dies_holding, NULL);
	pthread_join(t[0], NULL);
	check("a robust mutex tells its owner died", pthread_mutex_lock(&robust) == EOWNERDEAD);

	pthread_mutex_lock(&lock);
	clock_gettime(CLOCK_REALTIME, &when);
	when.tv_nsec += 10000000;
	if (when.tv_nsec >= 1000000000) {
		when.tv_sec++;
		when.tv_nsec -= 1000000000;
	}
	check("pthread_cond_timedwait, real time",
	      pthread_cond_timedwait(&cond, &lock, &when) == ETIMEDOUT);
	return t_failed;
}
