/* SPDX-License-Identifier: Apache-2.0 */
/* shm.c - POSIX and System V shared memory, semaphores and messages, the guest's own */
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "t.h"

static void posix(void)
{
	int fd = shm_open("/weir-test", O_RDWR | O_CREAT | O_EXCL, 0600);
	char *p;
	sem_t *sem;

	say("shm_open", fd);
	if (fd == -1)
		return;
	need("ftruncate", ftruncate(fd, 4096));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sem = sem_open("/weir-test-sem", O_CREAT | O_EXCL, 0600, 0);
	check("sem_open", sem != SEM_FAILED);
	if (fork() == 0) {
		p[0] = 42;
		sem_post(sem);
		_exit(0);
	}
	sem_wait(sem);
	wait(NULL);
	check("a child's store is seen", p[0] == 42);
	say("shm_unlink", shm_unlink("/weir-test"));
	say("sem_unlink", sem_unlink("/weir-test-sem"));
}

static void sysv(void)
{
	struct {
		long type;
		char text[8];
	} m = { 1, "hello" };
	struct sembuf down = { 0, -1, 0 }, up = { 0, 1, 0 };
	int shm, sem, msg;
	char *p;

	shm = shmget(0x77656972, 65536, IPC_CREAT | IPC_EXCL | 0600);
	say("shmget of a key of our own", shm);
	p = shmat(shm, NULL, 0);
	check("shmat", p != (void *)-1);
	sem = semget(IPC_PRIVATE, 1, 0600);
	say("semget", sem);
	if (fork() == 0) {
		p[100] = 7;
		semop(sem, &up, 1);
		_exit(0);
	}
	say("semop", semop(sem, &down, 1));
	wait(NULL);
	check("a child's store is seen", p[100] == 7);
	say("shmctl remove", shmctl(shm, IPC_RMID, NULL));
	say("semctl remove", semctl(sem, 0, IPC_RMID));
	msg = msgget(IPC_PRIVATE, 0600);
	say("msgget", msg);
	say("msgsnd", msgsnd(msg, &m, sizeof(m.text), 0));
	m.text[0] = 0;
	say("msgrcv", msgrcv(msg, &m, sizeof(m.text), 1, 0));
	check("the message is whole", strcmp(m.text, "hello") == 0);
	say("msgctl remove", msgctl(msg, IPC_RMID, NULL));
}

int main(void)
{
	posix();
	sysv();
	return t_failed;
}
