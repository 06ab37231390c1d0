/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_travel.h - timers of a guest whose clocks travel, as the guest sets them
 *
 * For the handlers of the calls of these names; the mask and they have seen to
 * it that it is ITIMER_REAL. Return: what the handler is to return.
 */
#ifndef WEIR_KERNEL_SYS_TRAVEL_H
#define WEIR_KERNEL_SYS_TRAVEL_H

struct kernel;
struct call;

long travel_sys_timerfd(struct kernel *k, struct call *c);
long travel_sys_setitimer(struct kernel *k, struct call *c);
long travel_sys_getitimer(struct kernel *k, struct call *c);
long travel_sys_alarm(struct kernel *k, struct call *c);

#endif
