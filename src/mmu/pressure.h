/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.h - how scarce the host's memory is
 *
 * /proc/pressure/memory and its triggers: accounting/psi.rst of the kernel's
 * documentation.
 */
#ifndef WEIR_MMU_PRESSURE_H
#define WEIR_MMU_PRESSURE_H

/**
 * pressure_watch() - Be told when tasks of the host wait for memory
 *
 * Return: a descriptor that is EPOLLPRI when they did for a tenth of a window
 * (of a second; of two where the host allows us no shorter one); -ENOENT,
 * -EOPNOTSUPP on a host without PSI, or another negative errno.
 */
int pressure_watch(void);

/* Hundredths of a percent of the last 10 s in which some task waited for memory,
 * or a negative errno. */
int pressure_now(void);

#endif
