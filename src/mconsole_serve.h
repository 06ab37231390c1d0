/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole_serve.h - a guest's management console: the monitor's socket, and who answers
 *
 * The monitor only receives. Each request is answered by a process of its own, which runs
 * the weir command that does it; so nothing here waits, and the guest kernel hears of it
 * by its control socket, as of any command.
 */
#ifndef WEIR_MCONSOLE_SERVE_H
#define WEIR_MCONSOLE_SERVE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "kernel/mconsole.h"

#define MCONSOLE_WORKERS 4	/* at once; further requests stay in the socket's queue */

/* Where an answer goes: the address as it came, which may be an abstract one. */
struct mconsole_client {
	int sock;
	struct sockaddr_un address;
	socklen_t len;
};

struct mconsole {
	int sock;				/* -1: there is none */
	struct mconsole_worker {
		pid_t pid;			/* 0: free */
		struct mconsole_client client;
	} worker[MCONSOLE_WORKERS];
};

/* Bind "mconsole" in a guest's directory, mode 0600. Return: 0 or a negative errno. */
int mconsole_create(struct mconsole *m, int dir);

/* The guest has ended, which whoever still waits is told. */
void mconsole_close(struct mconsole *m);

/* What to wait for on the socket: a bit of poll(2), or none while all workers are busy. */
short mconsole_events(const struct mconsole *m);

/* One datagram, received and given to a worker. @kernel: the monitor's socket to the
 * guest kernel, which passes a signal on to init. */
void mconsole_serve(struct mconsole *m, const char *guest, int kernel);

/* A child of the monitor has ended, with a status of wait(2); perhaps it was one of ours.
 * If it was killed, whom it would have answered is told. */
void mconsole_reaped(struct mconsole *m, pid_t pid, int status);

/* mconsole_answer.c: send all of an answer. A client that does not read it is given up. */
void mconsole_reply(const struct mconsole_client *c, const char *text, size_t len, unsigned err);

/* In the worker: do it, and answer. */
void mconsole_answer(const struct mconsole_client *c, const char *guest, const struct mconsole_plan *plan);

/* mconsole_fact.c: print the answer to a question. Return: an exit status. */
int mconsole_fact(const char *guest, const struct mconsole_plan *plan);

/* Ask for an operation of the control socket without waiting until it is done. */
int mconsole_control(const char *guest, const struct mconsole_plan *plan);

#endif
