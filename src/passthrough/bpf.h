/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf.h - an interpreter for seccomp's classic BPF
 *
 * mask.c runs the program it is about to load against the lane table with it.
 */
#ifndef WEIR_PASSTHROUGH_BPF_H
#define WEIR_PASSTHROUGH_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>

/* Words of struct seccomp_data, as bits of bpf_result.loaded. */
#define BPF_WORD(member) (1u << (offsetof(struct seccomp_data, member) / 4))

struct bpf_result {
	uint32_t action;	/* SECCOMP_RET_... */
	uint32_t loaded;	/* BPF_WORD() of each word that was read on the way */
};

/**
 * bpf_check() - Is this a program that seccomp(2) takes and bpf_run() can run?
 *
 * Known instructions only, jumps forward and inside, loads aligned and inside
 * struct seccomp_data, every path ends in a return.
 *
 * Return: 0, -EINVAL, or -E2BIG if it is longer than the kernel allows.
 */
int bpf_check(const struct sock_filter *insn, unsigned len);

/* Run a program that passed bpf_check(). */
struct bpf_result bpf_run(const struct sock_filter *insn, const struct seccomp_data *data);

#endif
