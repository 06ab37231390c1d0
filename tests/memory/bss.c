/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bss.c - a program that brings 160 MiB of its own along, of which it writes MIB
 */
#include "../guest/t.h"

static char bss[160ul << 20];

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	char c;

	memset(bss, 1, bytes < sizeof(bss) ? bytes : sizeof(bss));
	dprintf(1, "ready\n");
	while (read(0, &c, 1) == 1 && c != '\n')
		;
	dprintf(1, "freed\n");
	return 0;
}
