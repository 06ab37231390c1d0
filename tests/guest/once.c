/* SPDX-License-Identifier: Apache-2.0 */
/* once.c - calls that the guest kernel does are each done once, also from many threads */
#include <pthread.h>
#include <sys/mount.h>

#include "t.h"

#define THREADS 16
#define ROUNDS 50

static int made[THREADS], failed_calls;

static void *makes(void *arg)
{
	long me = (long)arg;
	char name[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "fifo-%ld-%d", me, i);
		if (mknod(name, S_IFIFO | 0600, 0) == 0)
			made[me]++;
		else
			__atomic_add_fetch(&failed_calls, 1, __ATOMIC_RELAXED);
		if (sethostname(name, strlen(name)) == -1)
			__atomic_add_fetch(&failed_calls, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

int main(void)
{
	pthread_t t[THREADS];
	int total = 0, mounts = 0;

	enter_dir();
	for (long i = 0; i < THREADS; i++)
		need("thread", pthread_create(&t[i], NULL, makes, (void *)i) ? -1 : 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		total += made[i];
	}
	fact("made", "%d", total);
	fact("failed", "%d", failed_calls);
	mkdir("m", 0755);
	for (int i = 0; i < 20; i++)
		mounts += mount("none", "m", "tmpfs", 0, NULL) == 0;
	for (int i = 0; i < 20; i++)
		mounts -= umount("m") == 0;
	fact("mounts left", "%d", mounts);
	say("one umount more", umount("m"));
	return t_failed;
}
